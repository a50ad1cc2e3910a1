/* The latent explorer: one code, drawn by four decoders at once. No library, no request. */
(function () {
  "use strict";

  const REACH = 4; // of the planes, in units of the code

  function floats(text) {
    return new Float32Array(bytes(text).buffer);
  }

  function bytes(text) {
    const raw = atob(text);
    const out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i += 1) out[i] = raw.charCodeAt(i);
    return out;
  }

  function unpack(model) {
    return {
      name: model.name,
      title: model.title,
      distance: model.distance,
      cloud: floats(model.cloud),
      layers: model.layers.map((layer) => ({
        weight: new Int8Array(bytes(layer.w).buffer),
        scale: floats(layer.s),
        bias: floats(layer.b),
      })),
    };
  }

  /* Pixels in [0, 1] of a code: linear layers with ReLU between them, a sigmoid at the end. */
  function decode(model, code) {
    let x = Float32Array.from(code);
    model.layers.forEach((layer, number) => {
      const rows = layer.bias.length;
      const columns = x.length;
      const y = new Float32Array(rows);
      for (let i = 0, at = 0; i < rows; i += 1) {
        let sum = 0;
        for (let j = 0; j < columns; j += 1, at += 1) sum += layer.weight[at] * x[j];
        const value = sum * layer.scale[i] + layer.bias[i];
        y[i] = number < model.layers.length - 1 ? Math.max(0, value) : 1 / (1 + Math.exp(-value));
      }
      x = y;
    });
    return x;
  }

  function normal() {
    const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
    return radius * Math.cos(2 * Math.PI * Math.random());
  }

  const COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a400", "#777777", "#7b4ea3", "#9c5a3c"];

  function drawPlane(canvas, model, labels, code) {
    const { pen, width: side } = window.EAE_PAPER.pen(canvas, 1);
    const { color } = window.EAE_PAPER;
    const place = (v) => ((v + REACH) / (2 * REACH)) * side;
    const colors = COLORS.map(color);
    pen.globalAlpha = 0.75;
    for (let i = 0; i < labels.length; i += 1) {
      pen.fillStyle = colors[labels[i]];
      pen.fillRect(place(model.cloud[2 * i]) - 1.5, side - place(model.cloud[2 * i + 1]) - 1.5, 3, 3);
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = color("#777");
    pen.setLineDash([5, 4]);
    [1, 2, 3].forEach((radius) => {
      pen.beginPath();
      pen.arc(side / 2, side / 2, (radius / (2 * REACH)) * side, 0, 2 * Math.PI);
      pen.stroke();
    });
    pen.setLineDash([]);
    pen.lineWidth = 3;
    pen.strokeStyle = color("#000");
    pen.fillStyle = color("#fff");
    pen.beginPath();
    pen.arc(place(code[0]), side - place(code[1]), 7, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
    pen.lineWidth = 1;
  }

  function drawImage(canvas, pixels, side) {
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(side, side);
    for (let i = 0; i < pixels.length; i += 1) {
      const level = Math.round(255 * pixels[i]);
      image.data.set([level, level, level, 255], 4 * i);
    }
    pen.putImageData(image, 0, 0);
  }

  function element(tag, attributes, text) {
    const made = document.createElement(tag);
    Object.entries(attributes || {}).forEach(([name, value]) => made.setAttribute(name, value));
    if (text) made.textContent = text;
    return made;
  }

  function start(root, data) {
    const models = data.models.map(unpack);
    let code = [0, 0];
    const grid = element("div", { class: "explorable-grid" });
    const panels = models.map((model) => {
      const panel = element("div", { class: "explorable-panel" });
      const plane = element("canvas", {
        width: 240, height: 240, tabindex: "0", role: "img",
        "aria-label": `Plane of codes of the ${model.title}. Arrow keys move the point.`,
      });
      const picture = element("canvas", {
        width: data.side, height: data.side, class: "explorable-picture", role: "img",
        "aria-label": `What the decoder of the ${model.title} draws`,
      });
      const name = element("p", { class: "explorable-name" }, model.title);
      const distance = element("p", { class: "explorable-note" }, `Gaussian codes: distance ${model.distance}`);
      panel.append(name, picture, plane, distance);
      grid.append(panel);
      return { model, plane, picture };
    });
    const bar = element("div", { class: "explorable-bar" });
    const sliders = ["first", "second"].map((which) => {
      const label = element("label", {}, `${which} number `);
      const input = element("input", { type: "range", min: -REACH, max: REACH, step: "0.05", value: "0" });
      label.append(input);
      bar.append(label);
      return input;
    });
    const button = element("button", { type: "button" }, "draw a Gaussian code");
    const said = element("span", { class: "explorable-said", "aria-live": "polite" });
    bar.append(button, said);
    root.replaceChildren(grid, bar);

    let waiting = false;
    function show() {
      waiting = false;
      panels.forEach(({ model, plane, picture }) => {
        drawPlane(plane, model, data.labels, code);
        drawImage(picture, decode(model, code), data.side);
      });
      sliders.forEach((slider, i) => { slider.value = code[i]; });
      said.textContent = `code (${code[0].toFixed(2)}, ${code[1].toFixed(2)})`;
    }
    function move(next) {
      code = next.map((v) => Math.max(-REACH, Math.min(REACH, v)));
      if (!waiting) {
        waiting = true;
        window.requestAnimationFrame(show);
      }
    }
    sliders.forEach((slider, i) => slider.addEventListener("input", () => {
      move(i === 0 ? [Number(slider.value), code[1]] : [code[0], Number(slider.value)]);
    }));
    button.addEventListener("click", () => move([normal(), normal()]));
    const steps = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
    panels.forEach(({ plane }) => {
      function follow(event) {
        const box = plane.getBoundingClientRect();
        move([
          (2 * (event.clientX - box.left) / box.width - 1) * REACH,
          (1 - 2 * (event.clientY - box.top) / box.height) * REACH,
        ]);
      }
      plane.addEventListener("pointerdown", (event) => {
        plane.setPointerCapture(event.pointerId);
        follow(event);
      });
      plane.addEventListener("pointermove", (event) => {
        if (plane.hasPointerCapture(event.pointerId)) follow(event);
      });
      plane.addEventListener("keydown", (event) => {
        const step = steps[event.key];
        if (!step) return;
        event.preventDefault();
        move([code[0] + step[0], code[1] + step[1]]);
      });
    });
    window.EAE_PAPER.watch(root, show);
  }

  window.EAE_EXPLORE = { unpack, decode };
  document.addEventListener("DOMContentLoaded", () => {
    const root = document.getElementById("latent-explorer");
    if (root && window.EAE_LATENT) start(root, window.EAE_LATENT);
  });
}());
