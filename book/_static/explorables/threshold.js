/* From how many points on does the estimate prefer a Gaussian to a sphere? Exact numbers, one table. */
(function () {
  "use strict";

  /* Nats by which the mean estimate of a Gaussian exceeds a sphere's, between the sizes of the table. */
  function advantage(data, d, n) {
    const row = data.advantage[data.dimensions.indexOf(d)];
    const at = Math.log10(n);
    const last = data.log_sizes.length - 1;
    const right = Math.min(last, Math.max(1, data.log_sizes.findIndex((x) => x >= at)));
    const [a, b] = [data.log_sizes[right - 1], data.log_sizes[right]];
    return row[right - 1] + ((row[right] - row[right - 1]) * (at - a)) / (b - a);
  }

  function inWords(n) {
    const power = Math.floor(Math.log10(n) + 1e-9);
    return power < 5 ? Math.round(n).toLocaleString("en") : `${(n / 10 ** power).toFixed(1)}e${power}`;
  }

  function start(root, data) {
    root.innerHTML = `
      <div class="explorable-bar">
        <label>dimension d <input type="range" name="d" min="0" max="${data.dimensions.length - 1}" step="1" value="${data.dimensions.indexOf(16)}"></label>
        <label>points n <input type="range" name="n" min="1" max="12" step="0.05" value="2"></label>
      </div>
      <canvas width="720" height="300" class="explorable-paper explorable-wide" role="img" aria-label="Threshold number of points against the dimension, with the chosen point"></canvas>
      <p class="explorable-said" aria-live="polite"></p>`;
    const field = (name) => root.querySelector(`[name="${name}"]`);
    const canvas = root.querySelector("canvas");
    const said = root.querySelector(".explorable-said");
    const [left, low] = [44, 40];
    const count = data.dimensions.length;
    const [least, most] = [data.dimensions[0], data.dimensions[count - 1]];

    function show() {
      const i = Number(field("d").value);
      const d = data.dimensions[i];
      const n = 10 ** Number(field("n").value);
      const gain = advantage(data, d, n);
      const threshold = data.threshold[i];
      const { color } = window.EAE_PAPER;
      const { pen, width, height } = window.EAE_PAPER.pen(canvas, window.innerWidth < 576 ? 0.7 : 0.42);
      const across = (at) => left + ((data.dimensions[at] - least) / (most - least)) * (width - left - 20);
      const up = (power) => height - low - ((power - 1) / 11) * (height - low - 30);
      pen.fillStyle = color("#000");
      pen.font = "13px sans-serif";
      for (let power = 2; power <= 12; power += 2) pen.fillText(`1e${power}`, 6, up(power) + 4);
      data.dimensions.forEach((value, at) => { if (value % 4 === 0) pen.fillText(value, across(at) - 6, height - 24); });
      pen.fillText("dimension d", width - 90, height - 6);
      pen.fillText("points n", 6, 14);
      pen.strokeStyle = color("#0072b2");
      pen.lineWidth = 2;
      pen.beginPath();
      data.threshold.forEach((value, at) => pen.lineTo(across(at), up(Math.min(12, Math.log10(value)))));
      pen.stroke();
      pen.lineWidth = 1;
      pen.fillStyle = color(gain > 0 ? "#009e73" : "#d55e00");
      pen.beginPath();
      pen.arc(across(i), up(Math.log10(n)), 7, 0, 2 * Math.PI);
      pen.fill();
      const winner = gain > 0 ? "the Gaussian" : "the sphere";
      said.textContent = `d = ${d}, n = ${inWords(n)}: the mean estimate prefers ${winner} by ${Math.abs(gain).toFixed(2)} nats. `
        + (threshold > 10 ** 12 ? "The Gaussian wins only beyond 1e12 points." : `The Gaussian wins from about ${inWords(threshold)} points on (the line).`);
    }
    ["d", "n"].forEach((name) => field(name).addEventListener("input", show));
    window.EAE_PAPER.watch(root, show);
  }

  window.EAE_THRESHOLD_AT = advantage;
  document.addEventListener("DOMContentLoaded", () => {
    const root = document.getElementById("sphere-threshold");
    if (root && window.EAE_THRESHOLD) start(root, window.EAE_THRESHOLD);
  });
}());
