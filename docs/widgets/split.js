// One sample for two: splitting and merging within a cell of the gates. Chapter 8.
"use strict";

// The network of chapter 2: two inputs, two units, exact. θ = Σ λᵢyᵢ∇Φ(xᵢ) with λ₁ = λ₂ = 1/3 and y = +1.
const NET = { weight: [[-3, 6], [2, 2]], bias: [6, 1], last: [9, 3] };
const SAMPLES = [[2, 2], [-3, 0]], LAM = 1 / 3;

const unitInputs = (net, x) => net.weight.map((row, j) => row[0] * x[0] + row[1] * x[1] + net.bias[j]);

const outputOf = (net, x) => unitInputs(net, x).reduce((sum, z, j) => sum + net.last[j] * Math.max(z, 0), 0);

// ‖θ − Σ cᵢ∇Φ(xᵢ)‖² over all weights and biases, for c = λy.
function residualOf(net, x, c) {
  const left = [...net.weight.flat(), ...net.bias, ...net.last], units = net.bias.length;
  x.forEach((sample, i) => {
    unitInputs(net, sample).forEach((z, j) => {
      if (z <= 0) return; // an off unit has no gradient
      const signal = c[i] * net.last[j];
      left[2 * j] -= signal * sample[0];
      left[2 * j + 1] -= signal * sample[1];
      left[2 * units + j] -= signal;
      left[3 * units + j] -= c[i] * z;
    });
  });
  return left.reduce((sum, value) => sum + value * value, 0);
}

// The part of a polygon where row·x + bias has the given sign (Sutherland and Hodgman).
function cut(polygon, row, bias, sign) {
  const height = ([a, b]) => sign * (row[0] * a + row[1] * b + bias), kept = [];
  polygon.forEach((p, i) => {
    const q = polygon[(i + 1) % polygon.length], [h, g] = [height(p), height(q)];
    if (h >= 0) kept.push(p);
    if (h * g < 0) kept.push([0, 1].map((k) => p[k] + (h / (h - g)) * (q[k] - p[k])));
  });
  return kept;
}

widget.start("split", (panel) => {
  const { html, svg, show } = widget, whole = SAMPLES[1], state = { share: 0.5, half: [-2, 0.5] };
  const hint = "Drag either half of sample 2, or move it with the arrow keys; the other keeps the weighted mean.";
  html("p", {}, panel, hint);
  const corners = [[-7, -5], [5, -5], [5, 7], [-7, 7]];
  const plot = widget.plot(panel, {
    label: "The plane of the inputs, cut by the kinks of two units, with sample 2 split in two",
    x: [-7, 5], y: [-5, 7], xlabel: "input 1", ylabel: "input 2", height: 404,
    xticks: [-6, -4, -2, 0, 2, 4], yticks: [-4, -2, 0, 2, 4, 6],
  });
  const over = widget.plot(panel, {
    label: "Root of the residual over the size of the split", role: "img", x: [0, 3], y: [0, 6], height: 190,
    xticks: [0, 1, 2, 3], yticks: [0, 2, 4, 6], xlabel: "size of the split (1: as above)", ylabel: "√ residual",
  });
  widget.slider(panel, "share of λ in the round half ", { min: 0.1, max: 0.9, step: 0.05, value: 0.5 }, (value) => {
    state.share = value;
    draw();
  });
  const merge = html("button", { type: "button" }, panel, "Merge");
  merge.addEventListener("click", () => {
    state.half = whole;
    draw();
  });
  const legend = "The network is chapter 2's. Dashed: where a unit changes sides. Shaded: the cell of sample 2, " +
    "where unit 1 is on and unit 2 off. Thin: along this line Φ stays what it is, within the cell.";
  html("p", { class: "note" }, panel, legend);
  const status = widget.status(panel);

  // The halves at `size` times the split, the λ of all three samples, and the residual.
  function split(size = 1) {
    const { share } = state, v = state.half.map((value, k) => size * (value - whole[k]));
    const halves = [1, -share / (1 - share)].map((way) => whole.map((value, k) => value + way * v[k]));
    const c = [LAM, share * LAM, (1 - share) * LAM];
    return { halves, c, residual: residualOf(NET, [SAMPLES[0], ...halves], c) };
  }

  const marks = [
    (group) => svg("circle", { r: 7, class: "plus" }, group),
    (group) => svg("rect", { x: -6.5, y: -6.5, width: 13, height: 13, class: "minus" }, group),
  ];
  const handles = marks.map((mark, which) =>
    widget.handle(plot, `${which ? "Square" : "Round"} half of sample 2`, mark, (point) => {
      const ratio = which ? -(1 - state.share) / state.share : 1;
      state.half = point.map((value, k) => whole[k] + ratio * (value - whole[k]));
      draw();
    }),
  );

  function draw() {
    const { area, path, X, Y } = plot, { halves, c, residual } = split();
    const on = (p) => unitInputs(NET, p).map((z) => z > 0);
    const line = (points, kind, to = area, by = path) => svg("path", { d: by(points), class: `line ${kind}` }, to);
    area.replaceChildren();
    const cell = NET.weight.reduce((rest, row, j) => cut(rest, row, NET.bias[j], on(whole)[j] ? 1 : -1), corners);
    svg("path", { d: path(cell) + "Z", class: "band" }, area);
    NET.weight.forEach((row, j) => line([-9, 9].map((a) => [a, -(row[0] * a + NET.bias[j]) / row[1]]), "dashed"));
    line([-9, 9].map((a) => [a, (a - whole[0]) / 2 + whole[1]]), "thin"); // orthogonal to unit 1's weights
    svg("text", { x: X(4.9), y: Y(-0.9), "text-anchor": "end" }, area, "unit 1 on above");
    svg("text", { x: X(-4.2), y: Y(5.4) }, area, "unit 2 on to the right");
    line(halves, "green");
    SAMPLES.forEach((p, i) => {
      svg("circle", { cx: X(p[0]), cy: Y(p[1]), r: 5, class: "hollow" }, area);
      svg("text", { x: X(p[0]) - 6, y: Y(p[1]) + 24 }, area, `x${"₁₂"[i]}`);
    });
    over.area.replaceChildren();
    const sizes = Array.from({ length: 601 }, (_, k) => k / 200);
    line(sizes.map((t) => [t, Math.sqrt(split(t).residual)]), "green", over.area, over.path);
    svg("circle", { cx: over.X(1), cy: over.Y(Math.sqrt(residual)), r: 5, class: "plus" }, over.area);
    handles.forEach((handle, i) => handle.place(halves[i], `λ ${show(c[i + 1])}`));
    const same = halves.every((p) => String(on(p)) === String(on(whole)));
    status.textContent = `λ ${show(c[1], 3)} and ${show(c[2], 3)}, together ${show(LAM, 3)}; Φ ` +
      `${halves.map((p) => show(outputOf(NET, p), 1)).join(" and ")}. Residual ‖θ − Σλy∇Φ‖² = ${show(residual, 3)}: ` +
      (same ? "both halves are in the cell." : "a half has left the cell.");
  }
  draw();
});
