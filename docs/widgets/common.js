// What the widgets share: elements, plots, sliders and points that can be dragged. No framework, nothing loaded.
"use strict";

const widget = {
  // Call build(panel) for each <div data-widget="name">. The still picture before it is then for paper alone.
  start(name, build) {
    for (const panel of document.querySelectorAll(`[data-widget="${name}"]`)) {
      const still = panel.previousElementSibling;
      if (still && still.querySelector("img")) still.classList.add("still");
      build(panel);
    }
  },

  // A new element below parent: html("p", { class: "note" }, panel, "text").
  html(name, attributes = {}, parent = null, text = "") {
    return widget.fill(document.createElement(name), attributes, parent, text);
  },

  svg(name, attributes = {}, parent = null, text = "") {
    return widget.fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, parent, text);
  },

  fill(element, attributes, parent, text) {
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  },

  // A number for people: two digits behind the point, a true minus.
  show(value, digits = 2) {
    const text = value.toFixed(digits);
    return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
  },

  // A line of text that screen readers speak when it changes.
  status(parent) {
    return widget.html("p", { role: "status" }, parent);
  },

  slider(parent, label, { min, max, step, value }, moved) {
    const line = widget.html("label", { class: "slider" }, parent, label);
    const input = widget.html("input", { type: "range", min, max, step, value }, line);
    input.addEventListener("input", () => moved(Number(input.value)));
    return input;
  },

  // Axes over the ranges x and y, with ticks. X and Y turn numbers into places; what is drawn in `area` is clipped.
  plot(parent, { label, x, y, xlabel, ylabel, xticks, yticks, height = 400, role = "group" }) {
    const width = 420, left = 56, right = 10, top = 8, bottom = 42, { svg, show } = widget;
    const wide = width - left - right, high = height - top - bottom;
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role, "aria-label": label }, parent);
    const X = (a) => left + ((a - x[0]) / (x[1] - x[0])) * wide;
    const Y = (b) => top + ((y[1] - b) / (y[1] - y[0])) * high;
    const box = { x: left, y: top, width: wide, height: high };
    svg("rect", { ...box, class: "box" }, root);
    for (const a of xticks) {
      svg("path", { d: `M${X(a)} ${top + high}v5`, class: "axis" }, root);
      svg("text", { x: X(a), y: top + high + 18, "text-anchor": "middle" }, root, show(a, a % 1 ? 1 : 0));
    }
    for (const b of yticks) {
      svg("path", { d: `M${left} ${Y(b)}h-5`, class: "axis" }, root);
      svg("text", { x: left - 8, y: Y(b) + 4, "text-anchor": "end" }, root, show(b, b % 1 ? 1 : 0));
    }
    svg("text", { x: left + wide / 2, y: height - 6, "text-anchor": "middle" }, root, xlabel);
    const turned = { transform: `translate(13 ${top + high / 2}) rotate(-90)`, "text-anchor": "middle" };
    svg("text", turned, root, ylabel);
    const area = svg("svg", { ...box, viewBox: `${left} ${top} ${wide} ${high}`, role: "none" }, root);
    const path = (points) => "M" + points.map(([a, b]) => `${X(a).toFixed(2)} ${Y(b).toFixed(2)}`).join("L");
    return { root, area, X, Y, x, y, path };
  },

  // A point of a plot that mouse, touch and arrow keys move; moved([a, b]) is called, and `place` puts it somewhere.
  handle(plot, label, draw, moved) {
    const { root, x, y } = plot, inside = (value, [low, high]) => Math.min(high, Math.max(low, value));
    const range = { "aria-valuemin": x[0], "aria-valuemax": x[1], "aria-roledescription": "point to drag" };
    const told = { role: "slider", "aria-label": label, ...range };
    const group = widget.svg("g", { class: "handle", tabindex: 0, ...told }, root);
    widget.svg("circle", { r: 18, class: "reach" }, group); // what a finger can hit
    draw(group);
    let at = [0, 0];
    const go = (a, b) => moved([inside(a, x), inside(b, y)]);
    group.addEventListener("pointerdown", (event) => group.setPointerCapture(event.pointerId));
    // A finger drags the point, not the page. (Chromium ignores touch-action within an SVG.)
    group.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    group.addEventListener("pointermove", (event) => {
      if (!group.hasPointerCapture(event.pointerId)) return;
      const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(root.getScreenCTM().inverse());
      const across = (p.x - plot.X(x[0])) / (plot.X(x[1]) - plot.X(x[0]));
      const up = (p.y - plot.Y(y[0])) / (plot.Y(y[1]) - plot.Y(y[0]));
      go(x[0] + across * (x[1] - x[0]), y[0] + up * (y[1] - y[0]));
    });
    group.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      go(at[0] + 0.1 * step[0], at[1] + 0.1 * step[1]);
    });
    return {
      group,
      place(point, text) {
        at = point;
        group.setAttribute("transform", `translate(${plot.X(point[0])} ${plot.Y(point[1])})`);
        group.setAttribute("aria-valuenow", point[0].toFixed(2));
        group.setAttribute("aria-valuetext", `${widget.show(point[0])}, ${widget.show(point[1])}. ${text}`);
      },
    };
  },
};
