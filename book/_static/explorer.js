/* The explorer's page: what is chosen stands in the address, Vega-Lite draws it from the data in the page. */
(() => {
  "use strict";
  const root = document.getElementById("gffn-explorer");
  const data = JSON.parse(document.getElementById("gffn-explorer-data").textContent);
  const controls = root.querySelector("form");
  const [note, words] = root.querySelectorAll("[aria-live] > *");
  const panels = root.querySelector(".gffn-panels");

  // Each choice offers what the ones before it leave. The weight is the joint loss's alone.
  const CHOICES = ["dataset", "labels", "batch", "weight", "scheme"];
  const titles = Object.fromEntries(data.cells.map((cell) => [cell.dataset, cell.title]));
  const short = (title) => title.split(" (")[0];

  function nearest(options, wanted) {
    const distance = (option) => Math.abs(Math.log(option / wanted));
    return options.reduce((best, option) => (distance(option) < distance(best) ? option : best));
  }

  /* What an address shows: the values, the options beside them, the cells, and what it asks for in vain. */
  function resolve(hash) {
    const asked = new URLSearchParams(hash.slice(1));
    const values = {}, options = {}, vain = [];
    let cells = data.cells;
    const choose = (name, offered) => {
      const wanted = asked.get(name) ?? data.start[name];
      options[name] = offered;
      values[name] = offered.includes(wanted) ? wanted
        : name === "batch" ? nearest(offered, wanted > 0 ? wanted : data.start.batch)
        : offered.includes(data.start[name]) ? data.start[name] : offered[0];
      if (asked.has(name) && values[name] !== wanted) vain.push(`${name}=${wanted}`);
    };
    for (const name of CHOICES) {
      const free = (cell) => name === "weight" && cell.loss !== "joint";
      const bound = cells.filter((cell) => !free(cell));
      choose(name, [...new Set((bound.length ? bound : cells).map((cell) => String(cell[name])))]);
      cells = cells.filter((cell) => free(cell) || String(cell[name]) === values[name]);
    }
    const missing = Object.keys(data.losses).filter((loss) => !cells.some((cell) => cell.loss === loss));
    choose("loss", ["both", ...cells.map((cell) => cell.loss)]);
    cells = cells.filter((cell) => ["both", cell.loss].includes(values.loss));
    return { values, options, cells, vain, missing };
  }

  // ---- in words

  const number = ([mean, half], percent) => {
    const [scale, digits, unit] = percent ? [100, 1, " %"] : [1, 3, ""];
    const text = (value) => (scale * value).toFixed(digits);
    return text(mean) + (half === null ? "" : ` ± ${text(half)}`) + unit;
  };

  function sentence(cell) {
    const n = cell.seeds.length;
    return `${data.losses[cell.loss].label}: accuracy ${number(cell.accuracy, true)}, ECE ${number(cell.ece)}, `
      + (cell.auroc ? `AUROC of ln p(x) ${number(cell.auroc.log_px)}, of max softmax ${number(cell.auroc.max_softmax)}`
        : "no out-of-distribution data")
      + ` (${n} ${n === 1 ? "run, seed" : "runs, seeds"} ${cell.seeds.join(", ")}; `
      + (cell.accuracy[1] === null ? "too few for an interval)" : "± is the 95 % interval)");
  }

  // ---- drawings

  const INK = "currentColor"; // of the page, light or dark
  const CONFIG = {
    background: null, font: getComputedStyle(document.body).fontFamily, view: { stroke: null },
    axis: { labelColor: INK, titleColor: INK, domainColor: INK, tickColor: INK, gridColor: INK, gridOpacity: 0.15, labelFlush: false,
      labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", tickCount: 5 },
    legend: { labelColor: INK, labelFontSize: 12, labelLimit: 0, orient: "bottom", columns: 1, title: null,
      symbolType: "stroke", symbolStrokeWidth: 2, symbolOpacity: 1 },
  };
  const x = (field, title, more) => ({ field, type: "quantitative", title, ...more });
  const unit = { scale: { domain: [0, 1] } };
  const line = (mark, values) => ({ data: { values }, mark: { type: "line", clip: true, ...mark } });
  const DIAGONAL = { ...line({ color: INK, strokeWidth: 1, strokeDash: [2, 3] }, [{ a: 0, b: 0 }, { a: 1, b: 1 }]),
    encoding: { x: x("a"), y: x("b") } };

  const bars = (cell) => cell.bins.map(([from, share, accuracy, confidence, low, high]) =>
    ({ from, to: from + 0.1, middle: from + 0.05, share, accuracy, confidence, low, high }));
  const barLayer = (cell, field, title) => ({
    data: { values: bars(cell) },
    mark: { type: "rect", color: data.losses[cell.loss].color, opacity: 0.75, stroke: INK, strokeWidth: 0.5, tooltip: { content: "data" } },
    encoding: { x: x("from", "confidence", unit), x2: { field: "to" }, y: x(field, title, unit), y2: { datum: 0 } },
  });

  // Lines told apart by colour and dash; names: label, colour and line style of each, as in the other chapters.
  const DASHES = { "-": [1, 0], "--": [6, 4], ":": [2, 3] };
  const styled = (names) => {
    const list = Object.values(names), domain = list.map((style) => style.label);
    return {
      color: { field: "name", type: "nominal", scale: { domain, range: list.map((style) => style.color) } },
      strokeDash: { field: "name", type: "nominal", scale: { domain, range: list.map((style) => DASHES[style.linestyle]) } },
    };
  };

  function roc(cell) {
    const names = Object.fromEntries(Object.entries(data.scores).map(([score, style]) =>
      [score, { ...style, label: `${style.label}, AUROC ${number(cell.auroc[score])}` }]));
    const values = Object.entries(cell.roc).flatMap(([score, rates]) =>
      rates.map((rate, i) => ({ name: names[score].label, a: i / (rates.length - 1), b: rate / 1000 })));
    return [DIAGONAL, { ...line({ strokeWidth: 2 }, values),
      encoding: { x: x("a", "false positive rate", unit), y: x("b", "true positive rate", unit), ...styled(names) } }];
  }

  function density(cell) {
    const { low, high } = cell.log_px;
    const names = { inside: { ...data.parts.inside, label: `${short(cell.title)} (in distribution)` },
      outside: { ...data.parts.outside, label: `${short(cell.outside)} (out of distribution)` } };
    const values = Object.entries(names).flatMap(([part, style]) => {
      const shares = cell.log_px[part];
      return [...shares, shares.at(-1)].map((share, i) =>
        ({ name: style.label, a: low + (i * (high - low)) / shares.length, b: share / 1000 }));
    });
    const step = line({ interpolate: "step-after", strokeWidth: 2 }, values);
    const encoding = { x: x("a", `ln p(x), unnormalised, seed ${cell.seeds[0]}`, { scale: { domain: [low, high], nice: false } }),
      y: x("b", "share of test images", { stack: null }), ...styled(names) };
    const { strokeDash, ...filled } = encoding;
    return [{ ...step, mark: { type: "area", interpolate: "step-after", opacity: 0.25 }, encoding: filled }, { ...step, encoding }];
  }

  const DRAWINGS = {
    "Reliability": (cell) => [barLayer(cell, "accuracy", "accuracy"), DIAGONAL,
      { data: { values: bars(cell) }, mark: { type: "rule", color: INK },
        encoding: { x: x("middle"), y: x("low"), y2: { field: "high" } } },
      { data: { values: bars(cell) }, mark: { type: "point", shape: "stroke", color: INK, size: 200, strokeWidth: 2, clip: true },
        encoding: { x: x("confidence"), y: x("confidence") } }],
    "Confidence": (cell) => [barLayer(cell, "share", "share of test images")],
    "ROC": (cell) => cell.roc && roc(cell),
    "ln p(x)": (cell) => cell.log_px && density(cell),
  };

  const element = (tag, ...children) => {
    const made = document.createElement(tag);
    made.append(...children);
    return made;
  };

  let views = [];
  function draw(cells) {
    views.forEach((view) => view.then(({ finalize }) => finalize()));
    views = [];
    panels.replaceChildren();
    for (const [title, layers] of Object.entries(DRAWINGS)) {
      for (const cell of cells.filter(layers)) {
        const drawing = element("div");
        drawing.setAttribute("role", "img");
        drawing.setAttribute("aria-label", `${title}. ${sentence(cell)}`);
        panels.append(element("figure", element("figcaption", element("strong", title), ` · ${data.losses[cell.loss].label}`), drawing));
        const spec = { width: "container", height: 200, autosize: { type: "fit-x", contains: "padding" }, layer: layers(cell), config: CONFIG };
        views.push(vegaEmbed(drawing, spec, { mode: "vega-lite", renderer: "svg", actions: false }));
      }
    }
  }

  // ---- the address and the controls

  function show() {
    const { values, options, cells, vain, missing } = resolve(location.hash);
    const label = (value) => titles[value] ?? data.losses[value]?.label ?? value;
    for (const [name, offered] of Object.entries(options)) {
      controls.elements[name].replaceChildren(...offered.map((value) => new Option(label(value), value)));
      controls.elements[name].value = values[name];
    }
    const view = `${titles[values.dataset]}, ${values.labels} labels, batch size ${values.batch}, `
      + `${values.weight === data.start.weight ? "" : `weight ${values.weight}, `}${values.scheme} scheme`;
    note.textContent = vain.length ? `The results do not hold ${vain.join(", ")}. Shown instead: ${view}, loss: ${values.loss}.` : "";
    words.replaceChildren(element("p", `${view}${cells[0].outside ? `, against ${cells[0].outside}` : ""}.`),
      element("ul", ...cells.map((cell) => element("li", sentence(cell))),
        ...missing.map((loss) => element("li", `no run with the ${data.losses[loss].label} loss yet`))));
    draw(cells);
  }

  controls.addEventListener("change", () => { location.hash = new URLSearchParams(new FormData(controls)); });
  controls.addEventListener("submit", (event) => event.preventDefault());
  // A hash without "=" is the name of a section on this page.
  addEventListener("hashchange", () => { if (!location.hash || location.hash.includes("=")) show(); });

  root.hidden = false;
  document.querySelectorAll(".tag_without-scripts").forEach((cell) => { cell.hidden = true; });
  show();
})();
