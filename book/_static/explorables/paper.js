/* What the explorables draw on: canvases as wide as their column, in the colours of the page. */
(function () {
  "use strict";

  const BRIGHTER = 0.4; // as in the figures' dark twins, eae_book/render/dark.py

  /* Red, green and blue of "#rrggbb", "#rgb" or "rgb(...)". */
  function channels(colour) {
    if (colour[0] !== "#") return colour.match(/[\d.]+/g).slice(0, 3).map(Number);
    const wide = colour.length === 4 ? colour.replace(/[^#]/g, "$&$&") : colour;
    return [1, 3, 5].map((at) => parseInt(wide.slice(at, at + 2), 16));
  }

  /* A colour made for white paper, on a page with this ground and ink: lightness turned, hue kept. */
  function turned(colour, ground, ink) {
    const values = channels(colour).map((v) => v / 255);
    const swapped = 1 - Math.max(...values) - Math.min(...values);
    const level = Math.max(...values.map((v) => v + swapped), 1e-9) ** -BRIGHTER;
    const [low, high] = [channels(ground), channels(ink)];
    const mixed = values.map((v, i) => Math.round(low[i] + (high[i] - low[i]) * (v + swapped) * level));
    return `rgb(${mixed.join(", ")})`;
  }

  /* A colour of the figures as this page shows it. */
  function color(made) {
    const root = document.documentElement;
    if (root.dataset.theme !== "dark") return made;
    const style = getComputedStyle(root);
    const [ground, ink] = ["background", "text-base"].map((n) => style.getPropertyValue(`--pst-color-${n}`).trim());
    return turned(made, ground || "#121212", ink || "#e9ecf0");
  }

  /* A pen over fresh paper, in pixels of the page, whatever the screen's; height is a share of the width. */
  function pen(canvas, share) {
    const dense = window.devicePixelRatio || 1;
    const width = canvas.clientWidth || canvas.width;
    const height = Math.round(width * share);
    const [across, down] = [Math.round(width * dense), Math.round(height * dense)];
    if (canvas.width !== across) canvas.width = across;
    if (canvas.height !== down) canvas.height = down;
    const context = canvas.getContext("2d");
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.fillStyle = color("#fff");
    context.fillRect(0, 0, width, height);
    return { pen: context, width, height };
  }

  /* Draw now, and again whenever the theme or the width of the root changes. */
  function watch(root, draw) {
    new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    let width = root.clientWidth;
    new ResizeObserver(() => {
      if (root.clientWidth === width) return;
      width = root.clientWidth;
      draw();
    }).observe(root);
    draw();
  }

  window.EAE_PAPER = { color, pen, turned, watch };
}());
