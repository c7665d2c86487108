/* The dial of chapter 1: turns the logits of its table into sliders, and computes the rest anew when they move. */
(() => {
  "use strict";
  const root = document.getElementById("gffn-dial");
  const [conditional, joint, difference] = root.querySelectorAll("p output");
  const LIMIT = 5;

  const logSumExp = (values) => {
    const top = Math.max(...values);
    return top + Math.log(values.reduce((sum, value) => sum + Math.exp(value - top), 0));
  };
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const text = (value) => (Math.round(1000 * value) / 1000 || 0).toFixed(3); // no "-0.000"

  // One example is one <tbody>: a row with its p'(x), then a row for each class.
  const examples = [...root.querySelectorAll("tbody")].map((body, i) => {
    const [head, ...rows] = body.rows;
    const classes = rows.map((row) => {
      const [logit, ...cells] = row.querySelectorAll("td");
      const slider = document.createElement("input"), value = document.createElement("output");
      Object.assign(slider, { type: "range", min: -LIMIT, max: LIMIT, step: 0.1, value: logit.textContent });
      slider.setAttribute("aria-label", `logit of example ${i + 1}, class ${row.querySelector("th").textContent[0]}`);
      slider.addEventListener("input", show);
      logit.replaceChildren(slider, " ", value);
      return { slider, value, cells, label: Number(row.dataset.label) };
    });
    const weight = head.querySelector("output");
    head.cells[0].append(" · both logits ", shifter(i, -1), " ", shifter(i, 1));
    return { classes, weight };
  });

  function shifter(i, step) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = step > 0 ? "+1" : "−1";
    button.setAttribute("aria-label", `${button.textContent} to both logits of example ${i + 1}`);
    button.addEventListener("click", () => {
      const sliders = examples[i].classes.map(({ slider }) => slider);
      // At the end of a slider both stay, or they would not move by the same.
      if (sliders.some((slider) => Math.abs(slider.valueAsNumber + step) > LIMIT)) return;
      for (const slider of sliders) slider.value = slider.valueAsNumber + step;
      show();
    });
    return button;
  }

  function show() {
    const n = examples.length;
    const logits = examples.map(({ classes }) => classes.map(({ slider }) => slider.valueAsNumber));
    const lnZ = logits.map(logSumExp); // of each example, (1.2)
    const total = logSumExp(lnZ);
    const score = mean(examples.map(({ classes }, i) => logits[i][classes.findIndex(({ label }) => label)]));
    const losses = [mean(lnZ) - score, total - Math.log(n) - score]; // (1.4), (1.11)
    conditional.textContent = text(losses[0]);
    joint.textContent = text(losses[1]);
    difference.textContent = text(losses[1] - losses[0]);
    examples.forEach(({ classes, weight }, i) => {
      weight.textContent = text(Math.exp(lnZ[i] - total)); // (1.9)
      classes.forEach(({ value, cells, label }, k) => {
        const given = Math.exp(logits[i][k] - lnZ[i]), together = Math.exp(logits[i][k] - total);
        value.textContent = logits[i][k].toFixed(1);
        [given, together, (given - label) / n, together - label / n].forEach((number, column) => { // (1.5), (1.10)
          cells[column].textContent = text(number);
          cells[column].style.setProperty("--value", number);
        });
      });
    });
  }

  show();
})();
