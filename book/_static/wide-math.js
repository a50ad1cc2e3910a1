/* A formula within a line that is wider than the column gets a line of its own, which scrolls. */
(function () {
  "use strict";
  function look() {
    document.querySelectorAll("article mjx-container:not([display])").forEach((formula) => {
      formula.classList.remove("wide-math");
      const column = formula.closest("p, li, dd, td, th, figcaption, summary") ?? formula.parentElement;
      formula.classList.toggle("wide-math", formula.getBoundingClientRect().width > column.clientWidth);
    });
  }
  window.addEventListener("load", () => {
    window.MathJax?.startup?.promise?.then(look);
    new ResizeObserver(look).observe(document.querySelector("article"));
  });
})();
