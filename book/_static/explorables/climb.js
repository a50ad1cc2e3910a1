/* Free points that climb the nearest-neighbour estimate under exact batch normalisation. */
(function () {
  "use strict";

  function normal() {
    return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  }

  function logGamma(x) { // Lanczos' series, to 1e-10
    const c = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2, -0.5395239384953e-5];
    let sum = 1.000000000190015;
    c.forEach((value, i) => { sum += value / (x + 1 + i); });
    return -(x + 5.5) + (x + 0.5) * Math.log(x + 5.5) + Math.log((2.5066282746310005 * sum) / x);
  }

  function digamma(n) { // of a whole number
    let sum = -0.5772156649015329;
    for (let i = 1; i < n; i += 1) sum += 1 / i;
    return sum;
  }

  const logBall = (d) => (d / 2) * Math.log(Math.PI) - logGamma(d / 2 + 1);
  const gaussianEntropy = (d) => (d / 2) * Math.log(2 * Math.PI * Math.E);

  /* Each coordinate with mean 0 and variance 1 over the points; also the standard deviations. */
  function standardise(x, n, d) {
    const z = new Float64Array(n * d);
    const sd = new Float64Array(d);
    for (let j = 0; j < d; j += 1) {
      let mean = 0;
      let square = 0;
      for (let i = 0; i < n; i += 1) mean += x[i * d + j] / n;
      for (let i = 0; i < n; i += 1) square += (x[i * d + j] - mean) ** 2 / n;
      sd[j] = Math.sqrt(square);
      for (let i = 0; i < n; i += 1) z[i * d + j] = (x[i * d + j] - mean) / sd[j];
    }
    return { z, sd };
  }

  /* The estimate in nats and its gradient, of points z (n x d), from k-th neighbours. */
  function estimate(z, n, d, k) {
    const gradient = new Float64Array(n * d);
    const squares = new Float64Array(n);
    let sum = 0;
    for (let i = 0; i < n; i += 1) {
      for (let j = 0; j < n; j += 1) {
        let square = 0;
        for (let c = 0; c < d; c += 1) square += (z[i * d + c] - z[j * d + c]) ** 2;
        squares[j] = j === i ? Infinity : square;
      }
      const order = Array.from(squares.keys()).sort((a, b) => squares[a] - squares[b]);
      const j = order[k - 1];
      sum += 0.5 * Math.log(squares[j]);
      for (let c = 0; c < d; c += 1) {
        const pull = (d / n) * (z[i * d + c] - z[j * d + c]) / squares[j];
        gradient[i * d + c] += pull;
        gradient[j * d + c] -= pull;
      }
    }
    return { value: (d * sum) / n + logBall(d) + digamma(n) - digamma(k), gradient };
  }

  /* One step of ascent: the gradient through the normalisation, at a length that suits the points. */
  function climb(x, n, d, k, rate) {
    const { z, sd } = standardise(x, n, d);
    const { value, gradient } = estimate(z, n, d, k);
    for (let j = 0; j < d; j += 1) {
      let mean = 0;
      let along = 0;
      for (let i = 0; i < n; i += 1) {
        mean += gradient[i * d + j] / n;
        along += (gradient[i * d + j] * z[i * d + j]) / n;
      }
      for (let i = 0; i < n; i += 1) {
        const at = i * d + j;
        z[at] += (rate * n * (gradient[at] - mean - z[at] * along)) / (d * sd[j] * sd[j]);
      }
    }
    return { x: standardise(z, n, d).z, value };
  }

  function norms(z, n, d) {
    return Array.from({ length: n }, (_, i) => {
      let square = 0;
      for (let c = 0; c < d; c += 1) square += z[i * d + c] ** 2;
      return Math.sqrt(square);
    });
  }

  function spread(values) {
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
  }

  function gaussianNormSpread(d) { // of chi with d degrees of freedom
    const mean = Math.SQRT2 * Math.exp(logGamma((d + 1) / 2) - logGamma(d / 2));
    return Math.sqrt(d - mean * mean);
  }

  function drawPoints(canvas, z, n, d) {
    const { pen, width: side } = window.EAE_PAPER.pen(canvas, 1);
    const place = (v) => ((v + 3.5) / 7) * side;
    pen.fillStyle = window.EAE_PAPER.color("#0072b2");
    for (let i = 0; i < n; i += 1) {
      pen.beginPath();
      pen.arc(place(z[i * d]), side - place(d > 1 ? z[i * d + 1] : 0), 3, 0, 2 * Math.PI);
      pen.fill();
    }
  }

  /* Histogram of the lengths and a Gaussian's density; returns the ends of the axis. */
  function drawNorms(canvas, lengths, d) {
    const { pen, width, height } = window.EAE_PAPER.pen(canvas, 1);
    const { color } = window.EAE_PAPER;
    const low = Math.max(0, Math.sqrt(d) - 3);
    const high = Math.sqrt(d) + 3;
    const bins = new Array(30).fill(0);
    lengths.forEach((length) => {
      const bin = Math.floor(((length - low) / (high - low)) * bins.length);
      if (bin >= 0 && bin < bins.length) bins[bin] += 1;
    });
    const density = (r) => Math.exp((d - 1) * Math.log(Math.max(r, 1e-9)) - (r * r) / 2 - (d / 2 - 1) * Math.LN2 - logGamma(d / 2));
    const cell = (high - low) / bins.length;
    const top = Math.max(...bins.map((count) => count / (lengths.length * cell)), density(Math.sqrt(Math.max(d - 1, 0.01))));
    pen.fillStyle = color("#56b4e9");
    bins.forEach((count, i) => {
      const tall = ((count / (lengths.length * cell)) / top) * (height - 6);
      pen.fillRect((i * width) / bins.length, height - tall, width / bins.length - 1, tall);
    });
    pen.strokeStyle = color("#000");
    pen.setLineDash([5, 4]);
    pen.beginPath();
    for (let i = 0; i <= 100; i += 1) {
      const r = low + ((high - low) * i) / 100;
      pen.lineTo((i * width) / 100, height - (density(r) / top) * (height - 6));
    }
    pen.stroke();
    pen.setLineDash([]);
    return [low, high];
  }

  function start(root) {
    root.innerHTML = `
      <div class="explorable-bar">
        <label>points n <input type="range" name="n" min="20" max="200" step="10" value="100"></label>
        <label>dimension d <input type="range" name="d" min="2" max="32" step="1" value="16"></label>
        <label>neighbour k <input type="range" name="k" min="1" max="9" step="1" value="1"></label>
        <button type="button" name="run">climb</button>
        <button type="button" name="again">draw anew</button>
      </div>
      <div class="explorable-grid explorable-two">
        <div class="explorable-panel"><canvas width="320" height="320" class="explorable-paper" role="img" aria-label="The first two coordinates of the points"></canvas><p class="explorable-note">two of the coordinates</p></div>
        <div class="explorable-panel"><canvas width="320" height="320" class="explorable-paper" role="img" aria-label="Histogram of the lengths of the points beside a Gaussian's"></canvas><p class="explorable-note explorable-ends"></p></div>
      </div>
      <p class="explorable-said" aria-live="off"></p>`;
    const field = (name) => root.querySelector(`[name="${name}"]`);
    const [points, lengths] = root.querySelectorAll("canvas");
    const said = root.querySelector(".explorable-said");
    let state;
    let running = false;

    function again() {
      const [n, d, k] = ["n", "d", "k"].map((name) => Number(field(name).value));
      const x = Float64Array.from({ length: n * d }, normal);
      state = { n, d, k, step: 0, x: standardise(x, n, d).z };
      show();
    }
    function show() {
      const { n, d, k, x, step } = state;
      const { value } = estimate(x, n, d, k);
      const found = norms(x, n, d);
      drawPoints(points, x, n, d);
      const [low, high] = drawNorms(lengths, found, d);
      root.querySelector(".explorable-ends").textContent =
        `lengths, ${low.toFixed(1)} to ${high.toFixed(1)}; dashed, a Gaussian's`;
      said.textContent = `n = ${n}, d = ${d}, k = ${k}, after ${step} steps: estimate ${value.toFixed(2)} nats; `
        + `entropy of N(0, I) ${gaussianEntropy(d).toFixed(2)} nats; spread of the lengths over a Gaussian's `
        + `${(spread(found) / gaussianNormSpread(d)).toFixed(2)}`;
    }
    function loop() {
      if (!running) return;
      for (let i = 0; i < 2; i += 1) {
        state.x = climb(state.x, state.n, state.d, state.k, 0.02).x;
        state.step += 1;
      }
      show();
      if (state.step < 600) window.requestAnimationFrame(loop);
      else toggle();
    }
    function toggle() {
      running = !running;
      field("run").textContent = running ? "pause" : "climb";
      if (running) window.requestAnimationFrame(loop);
    }
    field("run").addEventListener("click", () => {
      if (!running && state.step >= 600) again();
      toggle();
    });
    field("again").addEventListener("click", again);
    ["n", "d", "k"].forEach((name) => field(name).addEventListener("input", again));
    again();
    window.EAE_PAPER.watch(root, show);
  }

  window.EAE_CLIMB = { standardise, estimate, climb, norms, spread, gaussianNormSpread };
  document.addEventListener("DOMContentLoaded", () => {
    const root = document.getElementById("climbing-points");
    if (root) start(root);
  });
}());
