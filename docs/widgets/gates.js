// One unit, a cliff, and the slope that a smooth gate shows. Chapter 5.
"use strict";

// Unit 1 of chapter 2's network: w = (−3, 6), b = 6, v = 9, and two candidates with λ = 1/3 that explain them exactly.
// Candidate 2 stays at (−3, 0), candidate 1 is at (2 + t, 2 − t), where z = 12 − 9t. alpha null: the true gate, a step.
const gateOf = (z, alpha) => (alpha === null ? Number(z > 0) : 1 / (1 + Math.exp(-alpha * z)));

// ‖θ − ⅓∇Φ(x₁) − ⅓∇Φ(x₂)‖² and its slope in t as the attack computes it: the gate's own derivative is αg(1 − g),
// and that of max(z, 0) is the gate.
function unitLoss(t, alpha) {
  const z = 12 - 9 * t, g = gateOf(z, alpha), other = gateOf(15, alpha);
  const bend = alpha === null ? 0 : -9 * alpha * g * (1 - g); // dg/dt
  const left = [
    -3 - 3 * g * (2 + t) + 9 * other, // of w
    6 - 3 * g * (2 - t),
    6 - 3 * g - 3 * other, // of b
    9 - Math.max(z, 0) / 3 - 5, // of v
  ];
  const change = [-3 * (bend * (2 + t) + g), -3 * (bend * (2 - t) - g), -3 * bend, 3 * g]; // d left/dt
  return {
    loss: left.reduce((sum, r) => sum + r * r, 0),
    slope: left.reduce((sum, r, k) => sum + 2 * r * change[k], 0),
  };
}

// Descent by that slope, in steps of at most 0.02: all t on the way.
function descend(t, alpha, steps = 300) {
  const way = [t];
  for (let step = 0; step < steps; step++) {
    const move = 0.01 * unitLoss(way[step], alpha).slope;
    way.push(way[step] - Math.max(-0.02, Math.min(0.02, move)));
  }
  return way;
}

widget.start("gates", (panel) => {
  const { html, svg, show } = widget, x = [-0.5, 2.5], xticks = [0, 0.5, 1, 1.5, 2], edge = 4 / 3;
  const state = { alpha: 1, start: 1.4 };
  const common = { role: "img", x, xticks, xlabel: "t, where candidate 1 is at (2 + t, 2 − t)", height: 230 };
  const plots = {
    loss: widget.plot(panel, {
      ...common, y: [0, 120], yticks: [0, 50, 100], ylabel: "loss",
      label: "Loss over t, with the true gate and the smooth one",
    }),
    slope: widget.plot(panel, {
      ...common, y: [-60, 260], yticks: [0, 100, 200], ylabel: "slope",
      label: "Slope of the loss over t, true and surrogate",
    }),
  };
  const legend = "Unit 1 of chapter 2's network, alone. Solid: the true gate, a step; dashed: the smooth gate σ(αz). " +
    "Circle: the start; dots and diamond: where 300 steps down the dashed slope lead. The sample is at t = 0. " +
    "Sharper gates see less far, and with α = 10 the dashed loss has a dip inside the edge.";
  html("p", { class: "note" }, panel, legend);
  const alpha = { min: -1, max: 3, step: 0.05, value: Math.log10(state.alpha) };
  const sharpness = widget.slider(panel, "sharpness of the gate, α ", alpha, (value) => {
    state.alpha = 10 ** value;
    draw();
  });
  const start = { min: x[0], max: x[1], step: 0.01, value: state.start };
  const place = widget.slider(panel, "start of candidate 1, t ", start, (value) => {
    state.start = value;
    draw();
  });
  const status = widget.status(panel);

  function curve(name, alpha, kind) {
    // the true loss jumps at the edge: one line for each side of it
    for (const [low, high] of alpha === null ? [[x[0], edge - 1e-9], [edge, x[1]]] : [x]) {
      const points = Array.from({ length: 801 }, (_, k) => low + ((high - low) * k) / 800);
      const line = plots[name].path(points.map((t) => [t, unitLoss(t, alpha)[name]]));
      svg("path", { d: line, class: `line ${kind}` }, plots[name].area);
    }
  }

  function draw() {
    const way = descend(state.start, state.alpha), end = way.at(-1);
    const size = show(state.alpha, state.alpha < 9.5 ? 1 : 0);
    for (const [name, plot] of Object.entries(plots)) {
      plot.area.replaceChildren();
      svg("path", { d: plot.path([[x[0], 0], [x[1], 0]]), class: "line thin" }, plot.area);
      for (const [t, side] of [[edge - 0.3, "unit on"], [edge + 0.3, "unit off"]]) {
        svg("text", { x: plot.X(t), y: 24, "text-anchor": "middle" }, plot.area, side);
      }
      curve(name, null, "");
      curve(name, state.alpha, "blue dashed");
      const spot = (t) => [plot.X(t), plot.Y(unitLoss(t, state.alpha)[name])];
      for (const t of way) svg("circle", { cx: spot(t)[0], cy: spot(t)[1], r: 2, class: "plus" }, plot.area);
      svg("circle", { cx: spot(way[0])[0], cy: spot(way[0])[1], r: 6, class: "hollow" }, plot.area);
      svg("path", { d: `M${spot(end)}m0 -7l7 7l-7 7l-7 -7z`, class: "plus" }, plot.area);
    }
    sharpness.setAttribute("aria-valuetext", size);
    place.setAttribute("aria-valuetext", show(state.start));
    const [truth, seen] = [null, state.alpha].map((each) => show(unitLoss(state.start, each).slope));
    status.textContent = `α = ${size}. At t = ${show(state.start)} the true slope is ${truth}, ` +
      `the smooth gate's ${seen}; descent by it ends at t = ${show(end)}.`;
  }
  draw();
});
