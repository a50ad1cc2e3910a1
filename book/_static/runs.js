/* The table of recorded runs, narrowed to an experiment, a data set, a model or a word. */
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const bar = document.getElementById("runs-filter");
  const table = bar?.parentElement.querySelector("#runs-filter ~ .runs-table table");
  if (!table) return;

  /* In a row's first cell: experiment and run as code, and behind them "data set, model". */
  const rows = [...table.tBodies[0].rows].map((row) => {
    const [experiment, run] = [...row.cells[0].querySelectorAll("code")].map((code) => code.textContent);
    const [data, model] = (row.cells[0].querySelector("br")?.nextSibling?.textContent ?? "").trim().split(", ");
    return { row, text: row.textContent.toLowerCase(), experiment, run, data, model };
  });

  const choice = (name, key) => {
    const label = document.createElement("label");
    const select = document.createElement("select");
    select.add(new Option("all", ""));
    [...new Set(rows.map((each) => each[key]).filter(Boolean))].sort().forEach((value) => select.add(new Option(value, value)));
    label.append(name, select);
    bar.append(label);
    return { key, select };
  };
  const choices = [choice("experiment", "experiment"), choice("data", "data"), choice("model", "model")];
  const word = Object.assign(document.createElement("input"), { type: "search", placeholder: "any word" });
  const label = document.createElement("label");
  label.append("search", word);
  const said = Object.assign(document.createElement("span"), { className: "runs-said" });
  said.setAttribute("aria-live", "polite");
  bar.append(label, said);

  const show = () => {
    let shown = 0;
    rows.forEach((each) => {
      const fits = choices.every(({ key, select }) => !select.value || each[key] === select.value);
      each.row.hidden = !(fits && each.text.includes(word.value.trim().toLowerCase()));
      shown += !each.row.hidden;
    });
    said.textContent = `${shown} of ${rows.length} runs`;
  };
  bar.addEventListener("input", show);
  show();
});
