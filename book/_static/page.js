/* Every page: wide formulas scroll, and paper is white. */
(function () {
  "use strict";

  /* A formula within a line that is wider than its column gets a line of its own, which scrolls. */
  function look() {
    const formulas = [...document.querySelectorAll("article mjx-container:not([display])")];
    formulas.forEach((formula) => formula.classList.remove("wide-math"));
    const column = (formula) => formula.closest("p, li, dd, td, th, figcaption, summary") ?? formula.parentElement;
    formulas
      .filter((formula) => formula.getBoundingClientRect().width > column(formula).clientWidth)
      .forEach((formula) => formula.classList.add("wide-math"));
  }
  window.addEventListener("load", () => {
    window.MathJax?.startup?.promise?.then(look);
    const article = document.querySelector("article");
    let width = 0;
    if (article) {
      new ResizeObserver(() => {
        if (article.clientWidth !== width) look();
        width = article.clientWidth;
      }).observe(article);
    }
  });

  const root = document.documentElement;
  let theme = null;
  window.addEventListener("beforeprint", () => {
    theme = root.dataset.theme;
    root.dataset.theme = "light";
  });
  window.addEventListener("afterprint", () => {
    if (theme) root.dataset.theme = theme;
  });
})();
