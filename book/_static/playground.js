/* The playground: small nets that train in the page, each with its own loss, side by side from the same start.
   Three parts: the maths, which needs no page and which a test compares with PyTorch; the picture; the controls. */
(() => {
  "use strict";

  // ==== the maths

  // ---- random numbers from a seed (mulberry32), so that everybody sees the same

  function generator(seed) {
    let state = Math.imul(seed + 1, 0x9e3779b9);
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    return { uniform, normal, below: (n) => Math.floor(n * uniform()) };
  }

  // ---- data: points of the plane in the square from -SIDE to SIDE, far from its edges

  const SIDE = 3, NOISE = 0.2;
  const SHAPES = {
    moons: { classes: 2, point(label, { uniform, normal }) {
      const angle = Math.PI * uniform(), sign = label ? -1 : 1;
      return [sign * (Math.cos(angle) - 0.5) + 0.15 * normal(), sign * (Math.sin(angle) - 0.25) + 0.15 * normal()];
    } },
    spirals: { classes: 2, point(label, { uniform, normal }) {
      const radius = 0.2 + 1.4 * uniform(), angle = 3.2 * radius + Math.PI * label;
      return [radius * Math.cos(angle) + 0.08 * normal(), radius * Math.sin(angle) + 0.08 * normal()];
    } },
    blobs: { classes: 3, point(label, { normal }) {
      const angle = Math.PI * (0.5 + (2 * label) / 3);
      return [Math.cos(angle) + 0.4 * normal(), Math.sin(angle) + 0.4 * normal()];
    } },
  };

  /* n points, x (n, 2) and their labels (n), of which a share NOISE is drawn at random. */
  function sample(shape, n, random) {
    const { classes, point } = SHAPES[shape];
    const x = new Float64Array(2 * n), labels = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      const label = i % classes;
      x.set(point(label, random), 2 * i);
      labels[i] = random.uniform() < NOISE ? random.below(classes) : label;
    }
    return { x, labels };
  }

  function square(n, random) {
    return Float64Array.from({ length: 2 * n }, () => SIDE * (2 * random.uniform() - 1));
  }

  // ---- the net: two hidden layers. Parameters lie in one array, layer by layer, weights (out, in) then biases, as in PyTorch.

  function layersOf(sizes) {
    let from = 0;
    return sizes.slice(1).map((outputs, l) => {
      const layer = { inputs: sizes[l], outputs, weights: from, biases: from + outputs * sizes[l] };
      from = layer.biases + outputs;
      return layer;
    });
  }

  const count = (layers) => layers.at(-1).biases + layers.at(-1).outputs;

  function initialise(layers, random) {
    const parameters = new Float64Array(count(layers));
    for (const { inputs, outputs, weights } of layers) {
      for (let i = 0; i < outputs * inputs; i++) parameters[weights + i] = random.normal() / Math.sqrt(inputs);
    }
    return parameters;
  }

  const ACTIVATIONS = { // with the slope as a function of the value
    tanh: { value: Math.tanh, slope: (h) => 1 - h * h },
    relu: { value: (a) => (a > 0 ? a : 0), slope: (h) => (h > 0 ? 1 : 0) },
  };

  /* Inputs (n, 2) -> the values of every layer, inputs first and logits (n, K) last. */
  function forward(layers, activation, parameters, x) {
    const values = [x];
    for (const layer of layers) {
      const { inputs, outputs, weights, biases } = layer, last = layer === layers.at(-1);
      const before = values.at(-1), n = before.length / inputs, after = new Float64Array(n * outputs);
      for (let i = 0; i < n; i++) {
        for (let o = 0; o < outputs; o++) {
          let sum = parameters[biases + o];
          for (let j = 0, w = weights + o * inputs; j < inputs; j++) sum += parameters[w + j] * before[i * inputs + j];
          after[i * outputs + o] = last ? sum : activation.value(sum);
        }
      }
      values.push(after);
    }
    return values;
  }

  /* The gradient of the parameters from that of the logits (n, K), which is overwritten. */
  function backward(layers, activation, parameters, values, gradient) {
    const result = new Float64Array(parameters.length);
    for (let l = layers.length - 1; l >= 0; l--) {
      const { inputs, outputs, weights, biases } = layers[l], before = values[l], n = before.length / inputs;
      const passed = new Float64Array(before.length);
      for (let i = 0; i < n; i++) {
        for (let o = 0; o < outputs; o++) {
          const g = gradient[i * outputs + o];
          if (g === 0) continue;
          result[biases + o] += g;
          for (let j = 0, w = weights + o * inputs; j < inputs; j++) {
            result[w + j] += g * before[i * inputs + j];
            passed[i * inputs + j] += g * parameters[w + j];
          }
        }
      }
      if (l > 0) for (let i = 0; i < passed.length; i++) passed[i] *= activation.slope(before[i]);
      gradient = passed;
    }
    return result;
  }

  // ---- the losses

  function logSumExp(values) {
    let top = -Infinity, sum = 0;
    for (const value of values) top = Math.max(top, value);
    for (const value of values) sum += Math.exp(value - top);
    return top + Math.log(sum);
  }

  /* Logits (n, K) -> ln Z (n). */
  const logPartition = (logits, classes) =>
    Float64Array.from({ length: logits.length / classes }, (_, i) => logSumExp(logits.subarray(i * classes, (i + 1) * classes)));

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const LINEAR_FROM = 20; // the exponential of the self-normalised loss goes on as its tangent

  /* From ln Z of n examples, then of references: what a loss adds to the conditional one, and the derivative of the sum
     in each ln Z. That in the score of a label is -1/n in all of them. */
  function joint(lnZ, n, weight) {
    const total = logSumExp(lnZ);
    return {
      added: weight * (total - Math.log(lnZ.length) - mean(lnZ.subarray(0, n))),
      push: lnZ.map((value, i) => (i < n ? (1 - weight) / n : 0) + weight * Math.exp(value - total)),
    };
  }

  const LOSSES = {
    conditional: (lnZ, n) => ({ added: 0, push: lnZ.map(() => 1 / n) }),
    joint,
    self_normalised(lnZ, n, weight, classes) {
      const t = lnZ.map((value) => value - Math.log(classes));
      const charge = (u) => Math.expm1(Math.min(u, LINEAR_FROM)) + Math.max(u - LINEAR_FROM, 0) * Math.exp(LINEAR_FROM) - u;
      return {
        added: weight * mean(t.map(charge)),
        push: t.map((u) => (1 + weight * Math.expm1(Math.min(u, LINEAR_FROM))) / n),
      };
    },
    references: joint, // with as many references as examples
  };

  /* Logits of labels.length examples, then of any references -> the loss and its gradient in the logits. */
  function evaluate(loss, weight, logits, labels, classes) {
    const n = labels.length, lnZ = logPartition(logits, classes);
    const { added, push } = LOSSES[loss](lnZ, n, weight, classes);
    const gradient = logits.map((f, i) => push[Math.floor(i / classes)] * Math.exp(f - lnZ[Math.floor(i / classes)]));
    let conditional = 0;
    labels.forEach((label, i) => {
      conditional += (lnZ[i] - logits[i * classes + label]) / n;
      gradient[i * classes + label] -= 1 / n;
    });
    return { loss: conditional + added, gradient };
  }

  // ---- training

  /* Adam as in PyTorch; changes parameters and state. */
  function adam(parameters, gradient, state, rate) {
    state.step += 1;
    const first = 1 - 0.9 ** state.step, second = Math.sqrt(1 - 0.999 ** state.step);
    for (let i = 0; i < parameters.length; i++) {
      const g = gradient[i];
      state.m[i] += 0.1 * (g - state.m[i]);
      state.v[i] += 0.001 * (g * g - state.v[i]);
      parameters[i] -= ((rate / first) * state.m[i]) / (Math.sqrt(state.v[i]) / second + 1e-8);
    }
  }

  const HIDDEN = 16, RATE = 0.01, TEST = 1000;

  /* All that a state of the controls fixes: points, the same initial net for every loss, the same batches. */
  function experiment({ data, points, net, seed, batch, weight }) {
    const { classes } = SHAPES[data], layers = layersOf([2, HIDDEN, HIDDEN, classes]);
    const train = sample(data, points, generator(6 * seed)), test = sample(data, TEST, generator(6 * seed + 1));
    const elsewhere = square(TEST, generator(6 * seed + 2));
    const start = initialise(layers, generator(6 * seed + 3));
    const learner = (loss) => ({
      loss, parameters: start.slice(), state: { step: 0, m: new Float64Array(start.length), v: new Float64Array(start.length) },
      random: generator(6 * seed + 4), references: generator(6 * seed + 5),
    });
    return { classes, layers, activation: ACTIVATIONS[net], train, test, elsewhere, batch, weight, learner };
  }

  function step({ classes, layers, activation, train, batch, weight }, learner) {
    const { loss, parameters, state, random, references } = learner;
    const n = Math.min(batch, train.labels.length), rows = loss === "references" ? 2 * n : n;
    const x = new Float64Array(2 * rows), labels = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      const k = random.below(train.labels.length);
      x[2 * i] = train.x[2 * k];
      x[2 * i + 1] = train.x[2 * k + 1];
      labels[i] = train.labels[k];
    }
    if (rows > n) x.set(square(n, references), 2 * n);
    const values = forward(layers, activation, parameters, x);
    const { gradient } = evaluate(loss, weight, values.at(-1), labels, classes);
    adam(parameters, backward(layers, activation, parameters, values, gradient), state, RATE);
  }

  // ---- what is measured

  /* Mean gap of accuracy and confidence over ten bins of confidence. */
  function calibrationError(confidence, correct) {
    const gaps = new Float64Array(10);
    confidence.forEach((value, i) => { gaps[Math.max(Math.ceil(10 * value) - 1, 0)] += value - correct[i]; });
    return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / confidence.length;
  }

  /* Share of pairs in which the inside is above the outside. */
  function auroc(inside, outside) {
    const sorted = Float64Array.from(outside).sort();
    const below = (value) => {
      let low = 0, high = sorted.length;
      while (low < high) { const middle = (low + high) >> 1; if (sorted[middle] < value) low = middle + 1; else high = middle; }
      return low;
    };
    return mean(Float64Array.from(inside, below)) / sorted.length;
  }

  function deviation(values) {
    const centre = mean(values);
    return Math.sqrt(mean(values.map((value) => (value - centre) ** 2)));
  }

  /* Confidence and ln Z of any points. */
  function answers({ classes, layers, activation }, { parameters }, x) {
    const logits = forward(layers, activation, parameters, x).at(-1), lnZ = logPartition(logits, classes);
    const best = Uint8Array.from(lnZ, (_, i) => {
      let top = 0;
      for (let k = 1; k < classes; k++) if (logits[i * classes + k] > logits[i * classes + top]) top = k;
      return top;
    });
    const confidence = lnZ.map((value, i) => Math.exp(logits[i * classes + best[i]] - value));
    return { logits, lnZ, best, confidence };
  }

  function measure(run, learner) {
    const { train, test, elsewhere, classes } = run;
    const held = answers(run, learner, test.x), seen = answers(run, learner, train.x);
    const correct = held.best.map((k, i) => k === test.labels[i]);
    return {
      nll: evaluate("conditional", 0, held.logits, test.labels, classes).loss,
      ece: calibrationError(held.confidence, correct),
      accuracy: mean(Float64Array.from(correct)),
      confidence: mean(held.confidence),
      level: mean(seen.lnZ),
      spread: deviation(seen.lnZ),
      auroc: auroc(held.lnZ, answers(run, learner, elsewhere).lnZ),
    };
  }

  // ==== what can be chosen

  const DEFAULTS = { data: "moons", points: "100", losses: "conditional.joint", batch: "32", weight: "1", net: "relu", seed: "1" };
  const BATCHES = ["1", "2", "4", "8", "16", "32", "64", "128"], WEIGHTS = ["0", "0.1", "0.3", "1", "3", "10", "30", "100"];
  const ALLOWED = {
    data: (value) => Object.keys(SHAPES).includes(value),
    points: (value) => ["50", "100", "400"].includes(value),
    losses: (value) => value.split(".").every((loss, i, all) => Object.keys(LOSSES).includes(loss) && all.indexOf(loss) === i),
    batch: (value) => BATCHES.includes(value),
    weight: (value) => WEIGHTS.includes(value),
    net: (value) => Object.keys(ACTIVATIONS).includes(value),
    seed: (value) => /^\d{1,4}$/.test(value),
  };

  /* The choices in an address; what it does not hold, or holds in vain, is as by default. */
  function choicesOf(hash) {
    const asked = new URLSearchParams(hash.slice(1));
    return Object.fromEntries(Object.entries(DEFAULTS).map(([name, usual]) =>
      [name, ALLOWED[name](asked.get(name) ?? "") ? asked.get(name) : usual]));
  }

  const numbers = ({ points, batch, weight, seed, ...rest }) => ({ ...rest, points: +points, batch: +batch, weight: +weight, seed: +seed });

  // Each sentence was checked at STEPS steps with twenty seeds; tests/test_playground.py checks it with one.
  const PRESETS = [
    { name: "Batch of one", choices: { data: "blobs", batch: "1", losses: "conditional.joint.self_normalised" },
      see: "A single example has nothing to be compared with: the standard and the joint net stay the same, to the last digit. "
        + "The self-normalised net compares with a fixed level, and its ln Z is the more even." },
    { name: "Even on the points", choices: { data: "spirals" },
      see: "The joint net gives all training points nearly the same ln Z; in the standard net it differs by several nats from "
        + "point to point. Away from the points nothing holds ln Z, and it goes where it likes: try another seed." },
    { name: "References", choices: { losses: "joint.references", points: "400" },
      see: "Random points of the square enter the same sum, without labels. Now ln Z is high on the data and low elsewhere: "
        + "a density ratio. In the joint net without them, what ln Z does off the points is an accident of the seed." },
    { name: "Too sure", choices: { points: "50" },
      see: "One label in five is drawn at random, and both nets learn even these by heart. ECE is lowest early on; then both become "
        + "too sure, and the standard net’s held-back loss ends higher. Stopping early would have helped both." },
    { name: "Weight of 100", choices: { weight: "100" },
      see: "With a hundred times the penalty, the joint net’s held-back loss ends far below that of the standard net, and its ECE below, too." },
  ].map((preset) => ({ ...preset, choices: { ...DEFAULTS, ...preset.choices } }));

  const OWN = "Choose an experiment above, or make your own: change anything, press Run, and compare.";
  const STEPS = 3000; // of a run, in about ten seconds

  globalThis.gffnPlayground = { layersOf, forward, backward, evaluate, calibrationError, auroc, ACTIVATIONS, experiment, step, measure,
    choicesOf, numbers, PRESETS, STEPS };
  const root = globalThis.document?.getElementById("gffn-playground");
  if (!root) return; // a test of the maths

  // ==== the picture

  const LOOKS = { // as in the other chapters (gffn_core/pages/style.py)
    conditional: { name: "standard", color: "#3b8bc2", dash: "" },
    joint: { name: "joint", color: "#d55e00", dash: "6 4" },
    self_normalised: { name: "self-normalised", color: "#1b9e77", dash: "2 3" },
    references: { name: "with references", color: "#9270c4", dash: "7 3 2 3" },
  };
  const RANGE = 4; // nats of ln Z from its mean on the training points to the end of the colours
  const GRID = 64;
  const grid = Float64Array.from({ length: 2 * GRID * GRID }, (_, i) => { // rows from the top
    const cell = i >> 1, across = ((i % 2 ? Math.floor(cell / GRID) : cell % GRID) + 0.5) / GRID;
    return SIDE * (2 * across - 1) * (i % 2 ? -1 : 1);
  });
  const small = Object.assign(document.createElement("canvas"), { width: GRID, height: GRID });

  /* The colours of the theme, "#rrggbb" in custom.css. */
  function palette() {
    const style = getComputedStyle(root);
    return Object.fromEntries(["unsure", "sure", "low", "even", "high"].map((name) =>
      [name, style.getPropertyValue(`--${name}`).match(/\w\w/g).map((hex) => parseInt(hex, 16))]));
  }

  /* values (GRID * GRID) from -1 to 1 -> from `low` over `middle` to `high`, and the training points. */
  function paint(canvas, values, low, middle, high) {
    const { x, labels } = run.train;
    const size = Math.round(canvas.clientWidth * devicePixelRatio), context = canvas.getContext("2d");
    if (canvas.width !== size) canvas.width = canvas.height = size;
    const image = new ImageData(GRID, GRID);
    values.forEach((value, i) => {
      const share = Math.min(Math.abs(value), 1), end = value < 0 ? low : high;
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = middle[c] + share * (end[c] - middle[c]);
      image.data[4 * i + 3] = 255;
    });
    small.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(small, 0, 0, size, size);
    const r = size / (30 + 6 * Math.sqrt(labels.length));
    context.lineWidth = r / 2;
    labels.forEach((label, i) => {
      const across = ((x[2 * i] / SIDE + 1) * size) / 2, down = ((1 - x[2 * i + 1] / SIDE) * size) / 2;
      context.beginPath();
      if (label < 2) context.arc(across, down, r, 0, 7);
      else for (const turn of [0, 2.1, 4.2]) context.lineTo(across + 1.3 * r * Math.sin(turn), down - 1.3 * r * Math.cos(turn));
      context.closePath();
      [context.fillStyle, context.strokeStyle] = label === 1 ? ["#16191d", "#fff"] : ["#fff", "#16191d"];
      context.fill();
      context.stroke();
    });
  }

  const element = (tag, content, attributes = {}) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...[content].flat());
    return made;
  };
  const percent = (value) => `${(100 * value).toFixed(1)} %`, number = (value) => value.toFixed(2);
  const thousands = (n) => n.toLocaleString("en");
  const NUMBERS = { // below the maps
    "held-back loss": (m) => number(m.nll),
    "ECE": (m) => percent(m.ece),
    "accuracy": (m) => percent(m.accuracy),
    "spread of ln Z": (m) => number(m.spread),
    "AUROC of ln Z": (m) => number(m.auroc),
  };

  function panel(loss) {
    const { name, color } = LOOKS[loss];
    const maps = ["confidence", "ln Z"].map(() => element("canvas", [], { role: "img" }));
    const cells = Object.keys(NUMBERS).map(() => element("dd", ""));
    const terms = Object.keys(NUMBERS).map((term, i) => element("div", [element("dt", term), cells[i]]));
    const parts = [element("figcaption", name), "confidence", maps[0], "ln Z", maps[1], element("dl", terms)];
    return { figure: element("figure", parts, { style: `--hue: ${color}` }), maps, cells };
  }

  function drawMaps(learner) {
    const { confidence, lnZ } = answers(run, learner, grid), colors = palette(), least = 1 / run.classes;
    const { level } = learner.history.at(-1);
    paint(learner.maps[0], confidence.map((p) => (p - least) / (1 - least)), colors.unsure, colors.unsure, colors.sure);
    paint(learner.maps[1], lnZ.map((value) => (value - level) / RANGE), colors.low, colors.even, colors.high);
  }

  function writeNumbers({ loss, maps, cells, history }) {
    const measured = history.at(-1), { name } = LOOKS[loss];
    Object.values(NUMBERS).forEach((text, i) => { cells[i].textContent = text(measured); });
    maps[0].setAttribute("aria-label", `Map of confidence, ${name} loss. On held-back points the mean confidence is `
      + `${percent(measured.confidence)}, the accuracy ${percent(measured.accuracy)}.`);
    maps[1].setAttribute("aria-label", `Map of ln Z, ${name} loss. On the training points its standard deviation is `
      + `${number(measured.spread)} nats; against random points of the square its AUROC is ${number(measured.auroc)}.`);
  }

  function drawChart(svg, metric, title, least, text, label) {
    const lines = learners.map(({ loss, history }) => ({ ...LOOKS[loss], last: text(history.at(-1)[metric]),
      points: history.slice(1).map((m) => [m.at, m[metric]]) })); // what an untrained net has would flatten the rest
    const top = Math.max(least, ...lines.flatMap(({ points }) => points.map(([, value]) => value)));
    const place = ([step, value]) => `${(40 + (180 * step) / end).toFixed(1)},${(92 - (84 * value) / top).toFixed(1)}`;
    svg.setAttribute("aria-label", `${title} after ${at} steps: ${lines.map(({ name, last }) => `${name} ${last}`).join(", ")}.`);
    svg.innerHTML = `<path d="M40 8V92H220" stroke="currentColor" stroke-opacity="0.5" fill="none"/><text x="36" y="12">${label(top)}</text>`
      + `<text x="36" y="95">0</text><text x="220" y="107">${thousands(end)} steps</text>` + lines.map(({ color, dash, points }) =>
        `<polyline fill="none" stroke="${color}" stroke-width="2" stroke-dasharray="${dash}" points="${points.map(place).join(" ")}"/>`).join("");
  }

  // ==== the controls

  const INTERVAL = 50, STRIDE = 5; // steps between measurements, and in a frame
  const form = root.querySelector("form");
  const [sentence, status] = root.querySelectorAll("[aria-live] > *");
  const [toggle, some, reset] = root.querySelectorAll(".gffn-run button");
  const stage = root.querySelector(".gffn-panels"), charts = root.querySelectorAll("svg");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let run, learners, at, end, frame = 0, pending = false; // pending: to run once the address has changed

  function measureAll() {
    for (const learner of learners) {
      if (learner.history.at(-1)?.at !== at) learner.history.push({ at, ...measure(run, learner) });
    }
  }

  function write() {
    learners.forEach(writeNumbers);
    drawChart(charts[0], "nll", "Loss on held-back points", 1, number, (value) => value.toFixed(1));
    drawChart(charts[1], "ece", "ECE on held-back points", 0.2, percent, (value) => `${Math.round(100 * value)} %`);
    root.querySelector(".gffn-run span").textContent = `step ${thousands(at)}`;
  }

  function showAll() {
    measureAll();
    write();
    learners.forEach(drawMaps);
  }

  function advance() {
    if (at === end) end += STEPS;
    for (const learner of learners) for (let i = 0; i < STRIDE; i++) step(run, learner);
    at += STRIDE;
    if (at % INTERVAL === 0) measureAll();
  }

  /* One map a frame, in turns; where motion is unwelcome, all of them now and then. */
  function tick() {
    advance();
    if (!calm.matches) drawMaps(learners[(at / STRIDE) % learners.length]);
    if (!calm.matches && at % INTERVAL === 0) write();
    if (calm.matches && at % (10 * INTERVAL) === 0) showAll();
    if (at < end) frame = requestAnimationFrame(tick);
    else pause();
  }

  function play() {
    toggle.textContent = "Pause";
    status.textContent = "Running.";
    frame = requestAnimationFrame(tick);
  }

  function pause() {
    cancelAnimationFrame(frame);
    frame = 0;
    toggle.textContent = "Run";
    showAll();
    const each = (text) => learners.map(({ loss, history }) => `${LOOKS[loss].name} ${text(history.at(-1))}`).join(", ");
    status.textContent = `Step ${thousands(at)}. Held-back loss: ${each((m) => number(m.nll))}. ECE: ${each((m) => percent(m.ece))}.`;
  }

  function restart(choices) {
    run = experiment(numbers(choices));
    [at, end] = [0, STEPS];
    learners = choices.losses.split(".").map((loss) => ({ ...run.learner(loss), ...panel(loss), history: [] }));
    stage.style.setProperty("--count", learners.length);
    stage.replaceChildren(...learners.map(({ figure }) => figure));
    pause();
  }

  // ---- what is chosen stands in the address

  const { batch, weight } = form.elements;
  const boxes = [...form.querySelectorAll("[name=losses]")];
  const scales = [[batch, BATCHES], [weight, WEIGHTS]];
  const buttons = PRESETS.map(({ name }) => element("button", name, { type: "button" }));
  const addressOf = (choices) => `#${new URLSearchParams(choices)}`;

  function nameScales() {
    for (const [slider, values] of scales) {
      slider.nextElementSibling.textContent = values[slider.value];
      slider.setAttribute("aria-valuetext", values[slider.value]);
    }
  }

  function chosen() {
    const values = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, form.elements[name].value]));
    for (const [slider, scale] of scales) values[slider.name] = scale[slider.value];
    return { ...values, losses: boxes.filter((box) => box.checked).map((box) => box.value).join(".") };
  }

  function show() {
    const choices = choicesOf(location.hash);
    for (const name of ["data", "points", "net", "seed"]) form.elements[name].value = choices[name];
    for (const [slider, scale] of scales) slider.value = scale.indexOf(choices[slider.name]);
    for (const box of boxes) box.checked = choices.losses.split(".").includes(box.value);
    nameScales();
    const fits = PRESETS.map((preset) => addressOf(preset.choices) === addressOf(choices));
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", fits[i]));
    sentence.textContent = PRESETS[fits.indexOf(true)]?.see ?? OWN;
    restart(choices);
    if (pending) play();
    pending = false;
  }

  function go(choices, then) {
    pending = then;
    if (addressOf(choices) === location.hash) show();
    else location.hash = addressOf(choices);
  }

  form.addEventListener("input", nameScales);
  form.addEventListener("change", () => go(chosen(), frame > 0)); // what runs starts anew
  form.addEventListener("submit", (event) => event.preventDefault());
  buttons.forEach((button, i) => button.addEventListener("click", () => go(PRESETS[i].choices, !calm.matches)));
  toggle.addEventListener("click", () => (frame ? pause() : play()));
  some.addEventListener("click", () => { advance(); pause(); });
  reset.addEventListener("click", show);
  // A hash without "=" is the name of a section on this page.
  addEventListener("hashchange", () => { if (!location.hash || location.hash.includes("=")) show(); });
  addEventListener("resize", () => learners.forEach(drawMaps));
  new MutationObserver(() => learners.forEach(drawMaps)).observe(document.documentElement, { attributeFilter: ["data-theme"] });

  root.querySelector(".gffn-presets").append(...buttons);
  root.previousElementSibling.hidden = true; // says that scripts are needed
  root.hidden = false;
  show();
})();
