/* Draw a digit: two nets answer to what is drawn, in the page.
   Three parts: the maths, which needs no page and which a test compares with PyTorch; the presets; the page. */
(() => {
  "use strict";

  // ==== the maths

  // ---- the pad: ink from 0 to 1, row by row. It is drawn here and not by the browser, so that everybody sees the same.

  const PAD = 140, PEN = 6.5; // pixels of a side; the pen's radius
  const emptyPad = () => new Float32Array(PAD * PAD);

  /* A stroke of the pen through points [x, y], with a soft edge. */
  function stroke(pad, points) {
    points.forEach(([x1, y1], k) => {
      const [x0, y0] = points[Math.max(k - 1, 0)], dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
      const clip = (value) => Math.min(Math.max(Math.round(value), 0), PAD), reach = PEN + 1;
      for (let y = clip(Math.min(y0, y1) - reach); y < clip(Math.max(y0, y1) + reach); y++) {
        for (let x = clip(Math.min(x0, x1) - reach); x < clip(Math.max(x0, x1) + reach); x++) {
          const across = x + 0.5 - x0, down = y + 0.5 - y0;
          const along = length && Math.min(Math.max((across * dx + down * dy) / length, 0), 1);
          const ink = PEN + 0.5 - Math.hypot(across - along * dx, down - along * dy);
          pad[y * PAD + x] = Math.max(pad[y * PAD + x], Math.min(ink, 1));
        }
      }
    });
  }

  /* The inside of a polygon. */
  function fill(pad, corners) {
    const inside = (x, y) => corners.reduce((odd, [x1, y1], k) => {
      const [x0, y0] = corners.at(k - 1);
      return odd !== ((y0 > y) !== (y1 > y) && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
    }, false);
    for (let i = 0; i < pad.length; i++) if (inside((i % PAD) + 0.5, Math.floor(i / PAD) + 0.5)) pad[i] = 1;
  }

  const SHADE = 0.35; // what differs from a picture's ground by less, of what differs most, is its light and shade

  /* The pad for a picture of the browser, (width, height) RGBA bytes with sides up to PAD: grey, light on dark as in MNIST
     (by its border), in the middle. */
  function padOf({ data, width, height }) {
    const grey = Float32Array.from({ length: width * height }, (_, i) => {
      const [r, g, b, a] = data.subarray(4 * i, 4 * i + 4);
      return 1 - ((255 - (0.299 * r + 0.587 * g + 0.114 * b)) * a) / 65025; // on white paper
    });
    const border = grey.filter((_, i) => {
      const x = i % width, y = Math.floor(i / width);
      return x === 0 || y === 0 || x === width - 1 || y === height - 1;
    }).sort();
    const ground = border[border.length >> 1];
    const raised = grey.map((value) => Math.max(ground > 0.5 ? ground - value : value - ground, 0));
    const most = raised.reduce((top, value) => Math.max(top, value), 0.05);
    const pad = emptyPad(), left = (PAD - width) >> 1, top = (PAD - height) >> 1;
    raised.forEach((value, i) => {
      pad[(top + Math.floor(i / width)) * PAD + left + (i % width)] = Math.max((value / most - SHADE) / (1 - SHADE), 0);
    });
    return pad;
  }

  // ---- the image that a net gets, made as those of MNIST were: 28 x 28, the ink's longer side 20, its centre of mass in the middle

  const SIZE = 28, BOX = 20, MIDDLE = 14.5; // where MNIST's centres of mass lie, from the edge
  const FAINT = 0.1;

  function imageOf(pad) {
    const columns = new Float64Array(PAD), rows = new Float64Array(PAD);
    let [left, right, top, bottom] = [PAD, -1, PAD, -1];
    pad.forEach((ink, i) => {
      const x = i % PAD, y = Math.floor(i / PAD);
      columns[x] += ink;
      rows[y] += ink;
      if (ink > FAINT) [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
    });
    const image = new Float64Array(SIZE * SIZE);
    if (right < 0) return image;
    const side = (Math.max(right - left, bottom - top) + 1) / BOX; // of a pixel of the image, on the pad
    const centre = (sums) => sums.reduce((sum, ink, i) => sum + ink * (i + 0.5), 0) / sums.reduce((sum, ink) => sum + ink);
    const [x, y] = [columns, rows].map((sums) => shares(centre(sums), side));
    for (let i = 0; i < SIZE; i++) {
      for (let j = 0; j < SIZE; j++) {
        let ink = 0;
        for (const [down, high] of y[i]) for (const [across, wide] of x[j]) ink += high * wide * pad[down * PAD + across];
        image[i * SIZE + j] = ink;
      }
    }
    return image;
  }

  /* Along one side: which pixels of the pad each pixel of the image is the mean of, and with what weights. */
  function shares(centre, side) {
    return Array.from({ length: SIZE }, (_, t) => {
      const from = centre + (t - MIDDLE) * side, to = from + side, parts = [];
      for (let s = Math.max(Math.floor(from), 0); s < Math.min(to, PAD); s++) {
        parts.push([s, (Math.min(s + 1, to) - Math.max(s, from)) / side]);
      }
      return parts;
    });
  }

  // ---- the net

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;

  /* A net of draw_nets.js, its weights as numbers again, each output's a multiple of its step. */
  function netOf({ layers, level, quantiles }) {
    return {
      level,
      quantiles: new Float32Array(bytes(quantiles)),
      layers: layers.map(({ shape, weights, steps, biases }) => {
        const whole = new Int8Array(bytes(weights)), step = new Float32Array(bytes(steps)), inputs = whole.length / shape[0];
        return { shape, weights: Float64Array.from(whole, (n, i) => n * step[Math.floor(i / inputs)]), biases: new Float32Array(bytes(biases)) };
      }),
    };
  }

  /* (channels, size, size) -> 3x3 convolution with zeros around the image, 2x2 maximum, ReLU. */
  function convolve({ shape: [outputs, channels], weights, biases }, image, size, padding) {
    const wide = size + 2 * padding, before = new Float64Array(channels * wide * wide);
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < size; y++) {
        before.set(image.subarray((c * size + y) * size, (c * size + y + 1) * size), (c * wide + y + padding) * wide + padding);
      }
    }
    const half = (wide - 2) / 2, after = new Float64Array(outputs * half * half); // the ReLU's zeros
    for (let o = 0; o < outputs; o++) {
      for (let y = 0; y < wide - 2; y++) {
        for (let x = 0; x < wide - 2; x++) {
          let sum = biases[o];
          for (let c = 0; c < channels; c++) {
            for (let dy = 0, w = (o * channels + c) * 9, at = (c * wide + y) * wide + x; dy < 3; dy++, w += 3, at += wide) {
              sum += weights[w] * before[at] + weights[w + 1] * before[at + 1] + weights[w + 2] * before[at + 2];
            }
          }
          const to = (o * half + (y >> 1)) * half + (x >> 1);
          if (sum > after[to]) after[to] = sum;
        }
      }
    }
    return after;
  }

  function linear({ shape: [outputs, inputs], weights, biases }, values) {
    return Float64Array.from({ length: outputs }, (_, o) => {
      let sum = biases[o];
      for (let i = 0; i < inputs; i++) sum += weights[o * inputs + i] * values[i];
      return sum;
    });
  }

  /* Ink (28 * 28) from 0 to 1 -> logits (10). */
  function logitsOf({ layers: [first, second, third, hidden, last] }, image, { mean, std }) {
    let values = image.map((ink) => (ink - mean) / std);
    values = convolve(first, values, SIZE, 3);
    values = convolve(second, values, 16, 1);
    values = convolve(third, values, 8, 1);
    return linear(last, linear(hidden, values).map((value) => Math.max(value, 0)));
  }

  /* What a net says of an image: p(y|x), its best label, ln p(x) from the mean of the training images, and the share of test
     images with a lower one. */
  function answer(net, image, scale) {
    const logits = logitsOf(net, image, scale), top = logits.reduce((a, b) => Math.max(a, b));
    const lnZ = top + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - top), 0));
    const probabilities = logits.map((value) => Math.exp(value - lnZ)), lnP = lnZ - net.level;
    const label = logits.indexOf(top);
    return { logits, probabilities, label, confidence: probabilities[label], lnP, rank: rank(net.quantiles, lnP) };
  }

  /* The share of values below one, from their quantiles at even steps. */
  function rank(quantiles, value) {
    const last = quantiles.length - 1, above = quantiles.findIndex((q) => q >= value);
    if (above <= 0) return above === 0 ? 0 : 1;
    const [low, high] = [quantiles[above - 1], quantiles[above]];
    return (above - 1 + (value - low) / (high - low)) / last;
  }

  // ==== what can be chosen

  const arc = (x, y, across, down, from, to) => Array.from({ length: 25 }, (_, k) => {
    const angle = ((from + ((to - from) * k) / 24) * Math.PI) / 180;
    return [x + across * Math.cos(angle), y + down * Math.sin(angle)];
  });
  const pen = (...strokes) => (pad) => strokes.forEach((points) => stroke(pad, points));

  function shoe(pad) {
    fill(pad, [[16, 98], [16, 70], [20, 60], [30, 58], [36, 66], [46, 66], [56, 56], [66, 64], [86, 76], [108, 80], [122, 86], [128, 98]]);
    fill(pad, [[12, 100], [130, 100], [130, 108], [12, 108]]);
  }

  /* Grey squares of any brightness, a pixel of the image each. */
  function noise(pad) {
    let state = 1;
    const squares = Array.from({ length: BOX * BOX }, () => (state = (48271 * state) % 2147483647) / 2147483647), side = PAD / BOX;
    for (let i = 0; i < pad.length; i++) pad[i] = squares[Math.floor(i / PAD / side) * BOX + Math.floor((i % PAD) / side)];
  }

  // tests/test_draw.py checks what these sentences say of the nets.
  const PRESETS = [
    { name: "A seven", draw: pen([[40, 34], [98, 32], [84, 60], [68, 112]]),
      see: "Both nets see a seven, each at more than 99.9 %. ln p(x) lies 4.8 nats below its mean in the standard net, "
        + "0.07 below in the joint one." },
    { name: "A three", draw: pen(arc(64, 48, 24, 22, -150, 80), arc(62, 92, 28, 24, -80, 150)),
      see: "Both nets see a three, as surely. But if ln p(x) is a density, the standard net calls this three over a million "
        + "times as likely as the seven. To the joint net they are all but equally likely." },
    { name: "Four or nine", draw: pen([[72, 30], [66, 28], [48, 50], [54, 68], [72, 70], [90, 60]], [[92, 28], [90, 70], [86, 116]]),
      see: "It could be either. The joint net is at 60 % for a four and 40 % for a nine; the standard net is 99 % sure of a "
        + "nine. Both put ln p(x) among the digits’." },
    { name: "A letter", draw: pen([[46, 114], [46, 28], [76, 28], [94, 38], [94, 56], [76, 68], [48, 68]], [[70, 68], [100, 114]]),
      see: "An R, and both nets are more than 99.9 % sure of an eight. ln p(x) gives no warning: in both nets it lies well among "
        + "the values of test images." },
    { name: "A shoe", draw: shoe,
      see: "Both nets see a two, at 99 % and 91 %. Here ln p(x) does warn: in the standard net it is lower than for all test images, "
        + "in the joint one lower than for 99.9 % of them. Now try the grey shoe." },
    { name: "A grey shoe", draw: shoe, ink: 72,
      see: "The same shoe with less ink, and the joint net’s ln p(x) is that of an ordinary digit. Move the slider: from full ink to "
        + "none it goes from nearly the lowest of all to the highest. The standard net’s stays below 96 % of the test images." },
    { name: "Empty page", draw: () => {},
      see: "The joint net calls it likelier than any of the 10,000 test images. Its confidence tells more than its ln p(x): "
        + "13 %, hardly above a blind guess. The standard net puts ln p(x) below 97 % of the test images, and says one at 41 %." },
    { name: "Noise", draw: noise,
      see: "The joint net calls noise likelier than any of the 10,000 test images, too, and guesses at 16 %. In the standard net "
        + "ln p(x) is lower than for 97 % of the test images." },
  ];

  function padOfPreset({ draw }) {
    const pad = emptyPad();
    draw(pad);
    return pad;
  }

  // ---- numbers in words

  const percent = (share) => (share > 0.999 ? "over 99.9 %" : `${(100 * share).toFixed(1)} %`);

  function standing(rank) {
    const share = Math.max(rank, 1 - rank), word = rank < 0.5 ? "lower" : "higher";
    const part = share === 1 ? "all" : `${share < 0.99 ? Math.round(100 * share) : Math.floor(1000 * share) / 10} % of the`;
    return `${word} than ${part} test images`;
  }

  globalThis.gffnDraw = { padOf, imageOf, netOf, answer, rank, PRESETS, padOfPreset, standing };
  const root = globalThis.document?.getElementById("gffn-draw");
  if (!root) return; // a test of the maths

  // ==== the page

  const NAMES = { conditional: "standard", joint: "joint" }; // of the nets, by loss
  const LOOKS = { conditional: "#3b8bc2", joint: "#d55e00" }; // as in the other chapters (gffn_core/pages/style.py)
  const RANGE = 30; // nats from the mean to either end of the axis
  const OWN = "Draw on the black board, or choose one of the above.";

  const element = (tag, content = [], attributes = {}) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...[content].flat());
    return made;
  };
  const nats = (value) => value.toFixed(Math.abs(value) < 1 ? 2 : 1).replace("-", "−");
  const glued = (text) => text.replaceAll(" %", "\u00a0%"); // no line begins with a sign
  const across = (value) => 112 + (104 * Math.min(Math.max(value, -RANGE), RANGE)) / RANGE;

  // ---- the answers: a panel for each net

  /* Test images by ln p(x), a bar a nat. */
  function outline(quantiles) {
    const counts = new Float64Array(2 * RANGE + 1);
    for (const value of quantiles) counts[Math.round(value) + RANGE] += 1;
    const top = Math.max(...counts);
    const steps = Array.from(counts, (count, i) => {
      const [from, to] = [i - RANGE - 0.5, i - RANGE + 0.5].map((value) => across(value).toFixed(1)), height = (72 - (60 * count) / top).toFixed(1);
      return `L${from} ${height}L${to} ${height}`;
    });
    return `M${across(-RANGE)} 72${steps.join("")}V72Z`;
  }

  function panel(name, net) {
    const said = element("p", element("b", "?")), cells = Array.from({ length: 10 }, () => element("dd"));
    const bars = element("dl", cells.map((cell, digit) => element("div", [element("dt", String(digit)), cell])));
    const figure = element("figure", [element("figcaption", NAMES[name]), said, bars], { style: `--hue: ${LOOKS[name]}` });
    const label = `ln p(x) of the test images in the ${NAMES[name]} net, from its mean`;
    figure.insertAdjacentHTML("beforeend", `<svg viewBox="0 0 224 92" role="img" aria-label="${label}"><path d="${outline(net.quantiles)}" fill="${LOOKS[name]}"/>`
      + `<path d="M8 72H216" stroke="currentColor" stroke-opacity="0.5"/><text x="8" y="87" text-anchor="start">−${RANGE}</text>`
      + `<text x="112" y="87" text-anchor="middle">mean</text><text x="216" y="87" text-anchor="end">+${RANGE} nats</text>`
      + `<path class="gffn-mark" stroke="currentColor" fill="currentColor"/></svg>`);
    const place = element("p", "ln p(x) of the test images");
    figure.append(place);
    return { name, net, figure, said, cells, place, label, svg: figure.querySelector("svg"), mark: figure.querySelector(".gffn-mark") };
  }

  /* Shows an answer; returns it in words. */
  function tell({ name, said, cells, place, label: hill, svg, mark }, { probabilities, label, confidence, lnP, rank }) {
    const sure = percent(confidence), where = `${nats(lnP)} nats, ${standing(rank)}`;
    said.replaceChildren(element("b", String(label)), glued(` at ${sure}`));
    cells.forEach((cell, digit) => {
      cell.textContent = glued(`${Math.round(100 * probabilities[digit])} %`);
      cell.style.setProperty("--value", probabilities[digit].toFixed(4));
    });
    place.textContent = glued(`ln p(x): ${where}`);
    mark.setAttribute("d", `M${across(lnP).toFixed(1)} 76V9l-4 -7h8l-4 7`);
    svg.setAttribute("aria-label", `${hill}; this image at ${where}.`);
    return `The ${NAMES[name]} net: ${label} at ${sure}; ln p(x) ${where}.`;
  }

  // ---- the board

  const [board, view] = root.querySelectorAll("canvas"), [clear, choose] = root.querySelectorAll(".gffn-run button");
  const file = root.querySelector("[type=file]"), slider = root.querySelector("[type=range]");
  const [sentence, status] = root.querySelectorAll("[aria-live] > *");
  const buttons = PRESETS.map(({ name }) => element("button", name, { type: "button", "aria-pressed": false }));
  const cursor = { x: PAD / 2, y: PAD / 2, down: false }; // of the keyboard
  let pad = emptyPad(), panels = [], scale, begun = false, shown = -1, frame = 0, speak = 0; // shown: the preset

  /* Grey values from 0 to 1 -> a square canvas, white on black as the nets see it. */
  function paint(canvas, values) {
    const image = new ImageData(canvas.width, canvas.height);
    values.forEach((value, i) => image.data.fill(255 * value, 4 * i, 4 * i + 3));
    for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255;
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  function render() {
    frame = 0;
    const ink = slider.value / 100, image = imageOf(pad).map((value) => ink * value);
    paint(board, pad.map((value) => ink * value));
    paint(view, image);
    if (document.activeElement === board && board.matches(":focus-visible")) drawCursor();
    slider.nextElementSibling.textContent = `${slider.value} %`;
    if (!begun) return; // the reader has yet to guess
    const words = panels.map((one) => tell(one, answer(one.net, image, scale)));
    clearTimeout(speak); // a screen reader hears what stays
    speak = setTimeout(() => { status.textContent = words.join(" "); }, 800);
  }

  function drawCursor() {
    const context = board.getContext("2d");
    context.strokeStyle = context.fillStyle = "#f0b429";
    context.beginPath();
    context.arc(cursor.x, cursor.y, PEN, 0, 7);
    if (cursor.down) context.fill();
    else context.stroke();
  }

  const update = () => { frame ||= requestAnimationFrame(render); };

  function say(text) {
    const box = sentence.parentElement;
    box.style.minHeight = `${box.getBoundingClientRect().height}px`; // else the board would move under the pen
    sentence.textContent = glued(text);
  }

  /* Another drawing, or the same changed: what was said of a preset no longer holds. */
  function changed(preset = -1) {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === preset));
    say(PRESETS[preset]?.see ?? OWN);
    [begun, shown] = [true, preset];
    root.querySelector(".gffn-board span").hidden = true;
    update();
  }

  function start(next, ink = 100, preset = -1) {
    pad = next;
    slider.value = ink;
    changed(preset);
  }

  // ---- pointer and keys

  let last = null; // point of the stroke that is being drawn

  function drawTo(event) {
    const box = board.getBoundingClientRect(), unit = PAD / box.width;
    const point = [(event.clientX - box.left) * unit, (event.clientY - box.top) * unit];
    stroke(pad, last ? [last, point] : [point]);
    last = point;
  }

  board.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    board.setPointerCapture(event.pointerId);
    last = null;
    drawTo(event);
    changed();
  });
  board.addEventListener("pointermove", (event) => {
    if (!last || !event.isPrimary) return;
    const between = event.getCoalescedEvents?.() ?? [];
    (between.length ? between : [event]).forEach(drawTo);
    update();
  });
  for (const end of ["pointerup", "pointercancel"]) board.addEventListener(end, () => { last = null; });

  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  board.addEventListener("keydown", (event) => {
    const { key } = event, from = [cursor.x, cursor.y];
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (key in MOVES) [cursor.x, cursor.y] = from.map((value, i) => Math.min(Math.max(value + 4 * MOVES[key][i], 0), PAD));
    else if (key === " ") cursor.down = !cursor.down;
    else if (key === "Delete") start(emptyPad());
    else return;
    event.preventDefault();
    if (cursor.down) {
      stroke(pad, [from, [cursor.x, cursor.y]]);
      changed();
    }
    update();
  });
  for (const name of ["focus", "blur"]) board.addEventListener(name, update);

  // ---- pictures

  async function take(picture) {
    try {
      const bitmap = await createImageBitmap(picture), share = PAD / Math.max(bitmap.width, bitmap.height);
      const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(Math.round(share * side), 1));
      const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(bitmap, 0, 0, width, height);
      start(padOf(context.getImageData(0, 0, width, height)));
    } catch {
      say("This browser cannot read that file as a picture. Try a PNG or a JPEG.");
    }
  }

  const pictureIn = ({ files }) => [...files].find(({ type }) => type.startsWith("image/")) ?? files[0];
  choose.addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files.length) take(file.files[0]);
    file.value = ""; // so that the same can be chosen again
  });
  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) take(pictureIn(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => { if (event.clipboardData?.files.length) take(pictureIn(event.clipboardData)); });

  clear.addEventListener("click", () => start(emptyPad()));
  slider.addEventListener("input", () => changed(PRESETS[shown]?.ink ? shown : -1)); // a sentence on the slider stays
  buttons.forEach((button, i) => button.addEventListener("click", () => start(padOfPreset(PRESETS[i]), PRESETS[i].ink, i)));

  // ---- the nets: half a megabyte, which nothing of the page waits for

  const script = element("script", [], { src: new URL("draw_nets.js", document.currentScript.src) });
  script.addEventListener("load", () => {
    scale = gffnNets;
    panels = Object.entries(gffnNets.nets).map(([name, net]) => panel(name, netOf(net)));
    root.querySelector(".gffn-panels").replaceChildren(...panels.map(({ figure }) => figure));
    update();
  });
  script.addEventListener("error", () => { root.querySelector(".gffn-panels").textContent = "The nets could not be loaded."; });
  document.head.append(script);

  root.querySelector(".gffn-presets").append(...buttons);
  root.previousElementSibling.hidden = true; // says that scripts are needed
  root.hidden = false;
  sentence.textContent = OWN;
  update();
})();
