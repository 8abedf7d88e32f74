// The widest street: an SVM without slack in the plane, whose points can be dragged. Chapter 4.
"use strict";

// All ways to choose `size` of the numbers from `first` to n − 1.
function choices(n, size, first = 0) {
  if (size === 0) return [[]];
  const found = [];
  for (let i = first; i < n; i++) for (const rest of choices(n, size - 1, i + 1)) found.push([i, ...rest]);
  return found;
}

// The solution of Ax = b by Gauss's elimination; null if A is singular.
function solve(a, b) {
  const rows = a.map((row, i) => [...row, b[i]]), n = b.length;
  for (let k = 0; k < n; k++) {
    const best = rows.reduce((top, row, i) => (i > k && Math.abs(row[k]) > Math.abs(rows[top][k]) ? i : top), k);
    [rows[k], rows[best]] = [rows[best], rows[k]];
    if (Math.abs(rows[k][k]) < 1e-10) return null;
    for (let i = 0; i < n; i++) {
      if (i === k) continue;
      const factor = rows[i][k] / rows[k][k];
      rows[i] = rows[i].map((value, j) => value - factor * rows[k][j]);
    }
  }
  return rows.map((row, i) => row[n] / row[i]);
}

const dot = (p, q) => p[0] * q[0] + p[1] * q[1];

// Multipliers λ, w = Σ λᵢyᵢxᵢ and b; null if no line separates the points. Two support vectors are enough in the
// plane, with a bias three, and so every choice of them is tried. For a choice, KKT are linear equations,
//     Σⱼ λⱼ yᵢyⱼ⟨xᵢ, xⱼ⟩ + yᵢb = 1   for the chosen i,      Σⱼ λⱼyⱼ = 0   if there is a b.
// If the λ are not negative and no point is nearer than those, all four conditions hold, and w is the solution.
function hardMargin(x, y, bias) {
  for (let size = 1; size <= (bias ? 3 : 2); size++) {
    for (const chosen of choices(x.length, size)) {
      const rows = chosen.map((i) => chosen.map((j) => y[i] * y[j] * dot(x[i], x[j])));
      if (bias) rows.forEach((row, k) => row.push(y[chosen[k]]));
      if (bias) rows.push([...chosen.map((i) => y[i]), 0]);
      const found = solve(rows, rows.map((_, k) => (k < size ? 1 : 0)));
      if (!found || found.slice(0, size).some((value) => value < 0)) continue;
      const lam = x.map((_, i) => (chosen.includes(i) ? found[chosen.indexOf(i)] : 0));
      const w = [0, 1].map((k) => lam.reduce((sum, value, i) => sum + value * y[i] * x[i][k], 0));
      const b = bias ? found[size] : 0;
      if (x.every((point, i) => y[i] * (dot(w, point) + b) > 1 - 1e-7)) return { lam, w, b };
    }
  }
  return null;
}

widget.start("street", (panel) => {
  const { html, svg, show } = widget;
  const x = [[2, 0.5], [0.5, 1.5], [3, 3], [-0.5, -2], [-2, 0.5], [-3, -2]], y = [1, 1, 1, -1, -1, -1]; // chapter 4's
  html("p", {}, panel, "Drag a point, or choose one with the Tab key and move it with the arrow keys.");
  const ticks = [-4, -2, 0, 2, 4];
  const plot = widget.plot(panel, {
    label: "Six points of two classes and the widest street between them",
    x: [-4, 4], y: [-4, 4], xlabel: "coordinate 1", ylabel: "coordinate 2", xticks: ticks, yticks: ticks, height: 410,
  });
  const line = html("label", { class: "check" }, panel);
  const bias = html("input", { type: "checkbox" }, line);
  line.append(" with a bias b: the street need not be centred on the origin");
  bias.addEventListener("change", draw);
  const legend = "Circles: y = +1; squares: y = −1; ringed: support vectors, λ > 0. " +
    "Thin arrows: the λᵢyᵢxᵢ, one after another; thick arrow: their sum w.";
  html("p", { class: "note" }, panel, legend);
  const status = widget.status(panel);

  const handles = x.map((_, i) => {
    const mark = (group) => {
      svg("circle", { r: 11, class: "ring" }, group);
      if (y[i] > 0) svg("circle", { r: 6.5, class: "plus" }, group);
      else svg("rect", { x: -6, y: -6, width: 12, height: 12, class: "minus" }, group);
      svg("text", { x: 14, y: -10 }, group);
    };
    return widget.handle(plot, `Point ${i + 1}, class ${y[i] > 0 ? "+1" : "−1"}`, mark, (point) => {
      x[i] = point;
      draw();
    });
  });

  // An arrow of the plane, from p to q.
  function arrow(p, q, kind) {
    const [a, b, c, d] = [plot.X(p[0]), plot.Y(p[1]), plot.X(q[0]), plot.Y(q[1])];
    const turn = (Math.atan2(d - b, c - a) * 180) / Math.PI;
    svg("path", { d: `M${a} ${b}L${c} ${d}`, class: `line ${kind}` }, plot.area);
    const at = `translate(${c} ${d}) rotate(${turn})`;
    svg("path", { d: "M0 0l-9 -4v8z", transform: at, class: `head ${kind}` }, plot.area);
  }

  // The long line ⟨w, x⟩ + b = level, as two points.
  function ends({ w, b }, level) {
    const size = dot(w, w), foot = w.map((value) => (value * (level - b)) / size), far = 20 / Math.sqrt(size);
    return [[foot[0] - far * w[1], foot[1] + far * w[0]], [foot[0] + far * w[1], foot[1] - far * w[0]]];
  }

  function draw() {
    const found = hardMargin(x, y, bias.checked), { area, path, X, Y } = plot;
    area.replaceChildren();
    if (found) {
      const [near, far] = [ends(found, 1), ends(found, -1)];
      svg("path", { d: path([near[0], near[1], far[1], far[0]]) + "Z", class: "band" }, area);
      for (const side of [near, far]) svg("path", { d: path(side), class: "line dashed" }, area);
      svg("path", { d: path(ends(found, 0)), class: "line" }, area);
    }
    svg("path", { d: `M${X(0) - 6} ${Y(0)}h12M${X(0)} ${Y(0) - 6}v12`, class: "line" }, area);
    const support = found ? x.map((_, i) => i).filter((i) => found.lam[i] > 0) : [];
    let sum = [0, 0];
    for (const i of support) {
      const next = sum.map((value, k) => value + found.lam[i] * y[i] * x[i][k]);
      arrow(sum, next, "green");
      sum = next;
    }
    if (found) {
      arrow([0, 0], found.w, "thick");
      svg("text", { x: X(found.w[0]) + 8, y: Y(found.w[1]) + 14 }, area, "w");
    }
    handles.forEach((handle, i) => {
      const lam = found ? `λ ${show(found.lam[i])}` : "";
      handle.group.classList.toggle("on", support.includes(i));
      handle.group.lastChild.textContent = support.includes(i) ? lam : "";
      handle.place(x[i], lam);
    });
    const pair = (p, digits) => `(${p.map((value) => show(value, digits)).join(", ")})`;
    const terms = support.map((i, k) => {
      const sign = y[i] < 0 ? "− " : k ? "+ " : "";
      return `${sign}${show(found.lam[i])} · ${pair(x[i], 1)}`;
    });
    status.textContent = found
      ? `w = ${terms.join(" ")} = ${pair(found.w)}${bias.checked ? `, b = ${show(found.b)}` : ""}. ` +
        `From the middle to the edge: 1/‖w‖ = ${show(1 / Math.sqrt(dot(found.w, found.w)))}.`
      : `No line ${bias.checked ? "" : "through the origin "}separates the two classes: ` +
        "there is no w with all margins at least 1.";
  }
  draw();
});
