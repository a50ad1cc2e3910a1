// What test_book.py needs to know of an open page, measured in the browser that shows it.
async () => {
  await window.MathJax?.startup?.promise;
  document.getAnimations().forEach(animation => animation.finish()); // colours fade in
  const canvas = (width, height) => {
    const made = Object.assign(document.createElement("canvas"), {width, height});
    return made.getContext("2d", {willReadFrequently: true});
  };
  const dot = canvas(1, 1);

  // Any CSS colour as red, green, blue, alpha: 0 to 255.
  const rgba = colour => {
    dot.clearRect(0, 0, 1, 1);
    dot.fillStyle = colour;
    dot.fillRect(0, 0, 1, 1);
    return [...dot.getImageData(0, 0, 1, 1).data];
  };

  // Relative luminance and contrast as WCAG 2.1 defines them.
  const luminance = rgb => {
    const [r, g, b] = rgb.map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };

  // A translucent colour over an opaque one; and all layers below an element's text.
  const over = (top, below) =>
    top.slice(0, 3).map((v, i) => (v * top[3] + below[i] * (255 - top[3])) / 255);
  const ground = element => {
    const layers = [];
    for (let e = element; e && layers.at(-1)?.[3] !== 255; e = e.parentElement) {
      layers.push(rgba(getComputedStyle(e).backgroundColor));
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };

  // Letters and digits that can be seen; symbols of an icon font say nothing by themselves.
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
    const seen = element.checkVisibility({visibilityProperty: true, opacityProperty: true});
    if (!/[\p{L}\p{N}]/u.test(text) || !seen || element.closest("script, style, svg, noscript")) {
      continue;
    }
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const below = ground(element);
    texts.push({
      text: text.slice(0, 60),
      contrast: contrast(over(rgba(style.color), below), below),
      large: size >= 24 || (size >= 18.66 && style.fontWeight >= 700),
    });
  }

  const picture = async img => {
    img.loading = "eager"; // a picture far down would never come
    await img.decode();
    const [w, h] = [img.naturalWidth, img.naturalHeight];
    const drawn = canvas(w, h);
    drawn.drawImage(img, 0, 0);
    const corners = [[0, 0], [w - 1, 0], [0, h - 1], [w - 1, h - 1]];
    return {
      source: img.src,
      dark: img.classList.contains("dark-twin"),
      filter: getComputedStyle(img).filter,
      corners: corners.map(([x, y]) => [...drawn.getImageData(x, y, 1, 1).data]),
    };
  };

  const cut = [...document.querySelectorAll("article mjx-container[display=true]")]
    .filter(formula => formula.scrollWidth > formula.clientWidth + 1);

  return {
    theme: document.documentElement.dataset.theme,
    formulas: document.querySelectorAll("article mjx-container").length,
    cut_formulas: cut.map(formula => formula.closest("[id]").id),
    broken_formulas: [...document.querySelectorAll("mjx-merror")].map(e => e.textContent),
    texts,
    ground: rgba(getComputedStyle(document.body).backgroundColor),
    pictures: await Promise.all([...document.querySelectorAll("article figure:not(.front) img")]
      .filter(img => img.checkVisibility()).map(picture)),
  };
}
