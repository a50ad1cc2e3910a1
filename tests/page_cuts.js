// What of an open page is wider than its place, and whether a reader can see that it scrolls.
async () => {
  // The page sets wide formulas anew in the frame after its width has changed.
  for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
  const article = document.querySelector("article") ?? document.body; // a search has no article
  const edge = article.getBoundingClientRect().right + 1;
  const name = e => `${e.tagName.toLowerCase()}.${e.getAttribute("class") ?? ""}: ` +
    e.textContent.trim().slice(0, 40);
  const scrolls = e => /auto|scroll/.test(getComputedStyle(e).overflowX);
  const scroller = e => {
    for (let up = e; up && up !== article; up = up.parentElement) if (scrolls(up)) return up;
    return null;
  };
  const seen = [...article.querySelectorAll("*")].filter(e =>
    e.checkVisibility() && !e.closest("mjx-assistive-mml")); // which is for screen readers alone
  const wide = seen.filter(e => scrolls(e) && e.scrollWidth > e.clientWidth + 1);
  // The shade that lies still below a ground that scrolls along, see book.css.
  const cue = e => getComputedStyle(e).backgroundAttachment.includes("local");
  return {
    hidden: seen.filter(e => e.getBoundingClientRect().right > edge && !scroller(e)).map(name),
    silent: wide.filter(e => !cue(e)).map(name),
    outputs: wide.filter(e => e.matches(".cell_output .output pre, .cell_output .text_plain pre"))
      .map(name),
    tables: wide.filter(e => e.matches(".book-table-scroll")).map(name),
  };
}
