/* Film of training: a slider through the epochs of two nets. What it shows is in film_frames.js. */
(() => {
  "use strict";
  const root = document.getElementById("gffn-film");
  if (!root) return;

  const { low, high, nets } = globalThis.gffnFilm;
  const LOOKS = { conditional: ["#3b8bc2", ""], joint: ["#d55e00", "4 2"] }; // as in the other chapters (gffn_core/pages/style.py)
  const NAMES = { conditional: "standard", joint: "joint" }; // of the nets, by loss
  const LAST = nets.joint.length - 1, SECONDS = 6; // of the whole film
  const [hills, bars] = root.querySelectorAll("svg"), table = root.querySelector("tbody");
  const slider = root.querySelector("input"), play = root.querySelector("button"), status = root.querySelector("[aria-live]");
  slider.max = LAST;

  const WIDTH = 300, HEIGHT = 170, FOOT = 24; // of a drawing, and of the room for the axis below
  const across = (share) => 26 + share * (WIDTH - 42), up = (share) => HEIGHT - FOOT - share * (HEIGHT - FOOT - 8);
  const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;

  function frameOf(svg, ticks, marks) {
    const axis = ticks.map(([at, text]) => `<text x="${across(at)}" y="${HEIGHT - 8}" text-anchor="middle">${text}</text>`);
    svg.insertAdjacentHTML("beforeend", `<path d="M${across(0)} ${up(0)}H${across(1)}" stroke="currentColor" stroke-opacity="0.5"/>${axis.join("")}${marks}`);
    return Object.fromEntries(Object.entries(LOOKS).map(([name, [hue, dash]]) => {
      svg.insertAdjacentHTML("beforeend", `<path fill="none" stroke="${hue}" stroke-width="2" stroke-dasharray="${dash}"/><path fill="${hue}"/>`);
      return [name, [...svg.querySelectorAll("path")].slice(-2)];
    }));
  }

  const nats = [0, 10, 20, 30, 40].map((value) => [(value - low) / (high - low), value]);
  const hill = frameOf(hills, nats, "");
  const shares = [0, 0.5, 1].map((share) => [share, 100 * share]);
  const side = shares.map(([at, text]) => `<text x="22" y="${up(at) + 4}" text-anchor="end">${text}</text>`).join("");
  const line = frameOf(bars, shares, `${side}<path d="M${across(0)} ${up(0)}L${across(1)} ${up(1)}" stroke="currentColor" stroke-opacity="0.5" stroke-dasharray="2 3"/>`);

  /* A hill's outline, each as high as the other: what to compare is where they lie and how wide they are. */
  function outline(counts) {
    const top = Math.max(...counts), n = counts.length;
    return `M${across(0)} ${up(0)}${counts.map((count, i) => `L${across(i / n)} ${up(count / top)}H${across((i + 1) / n)}`).join("")}V${up(0)}`;
  }

  function show() {
    const epoch = Number(slider.value), words = [];
    table.replaceChildren(...Object.entries(nets).map(([name, frames]) => {
      const { ln_z, share, right, spread, accuracy, ece } = frames[epoch];
      hill[name][0].setAttribute("d", outline(ln_z));
      const seen = share.map((part, i) => [i, part]).filter(([, part]) => part >= 0.005); // 50 images
      line[name][0].setAttribute("d", seen.map(([i], k) => `${k ? "L" : "M"}${across((i + 0.5) / 10)} ${up(right[i])}`).join(""));
      line[name][1].setAttribute("d", seen.map(([i, part]) => {
        const r = 2 + 9 * Math.sqrt(part);
        return `M${across((i + 0.5) / 10) - r} ${up(right[i])}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
      }).join(""));
      const row = document.createElement("tr");
      for (const text of [NAMES[name], percent(accuracy), ece.toFixed(3), spread.toFixed(2)]) {
        row.append(Object.assign(document.createElement(row.children.length ? "td" : "th"), { textContent: text }));
      }
      row.firstChild.scope = "row";
      words.push(`${NAMES[name]}: ECE ${ece.toFixed(3)}, standard deviation of ln Z ${spread.toFixed(2)}`);
      return row;
    }));
    const place = epoch ? `epoch ${epoch} of ${LAST}` : "before training";
    root.querySelector("output").textContent = place;
    slider.setAttribute("aria-valuetext", `${place}. ${words.join(". ")}`);
    hills.setAttribute("aria-label", `How many test images have which ln Z, ${place}. ${words.join(". ")}.`);
    bars.setAttribute("aria-label", `Accuracy against confidence of both nets, ${place}. ${words.join(". ")}.`);
  }

  let playing = 0;
  function stop() {
    clearInterval(playing);
    playing = 0;
    play.textContent = "Play";
    status.textContent = slider.getAttribute("aria-valuetext"); // a screen reader hears what stays
  }
  play.hidden = matchMedia("(prefers-reduced-motion: reduce)").matches;
  play.addEventListener("click", () => {
    if (playing) return stop();
    if (Number(slider.value) === LAST) slider.value = 0;
    play.textContent = "Pause";
    playing = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (Number(slider.value) === LAST) stop();
    }, (1000 * SECONDS) / LAST);
    show();
  });
  slider.addEventListener("input", () => {
    if (playing) stop();
    show();
  });
  show();
  root.hidden = false;
  root.previousElementSibling.hidden = true;
})();
