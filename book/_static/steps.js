// A slider that shows one of the figures after it in its cell; without scripts all are there.
for (const label of document.querySelectorAll("label.gffn-steps")) {
  const input = label.querySelector("input");
  const names = input.dataset.names.split("|");
  const figures = label.closest(".cell").querySelectorAll("figure.gffn-figure");
  const show = () => {
    figures.forEach((figure, i) => (figure.hidden = i !== input.valueAsNumber));
    label.querySelector("output").textContent = names[input.valueAsNumber];
    input.setAttribute("aria-valuetext", names[input.valueAsNumber]);
  };
  input.addEventListener("input", show);
  label.hidden = false;
  show();
}
