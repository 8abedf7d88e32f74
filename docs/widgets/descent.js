// Noise that becomes digits: the attack on the shipped net, frame by frame. Chapter 1.
"use strict";

{
  // descent.data.js has the numbers, descent.png the pictures: a row for each frame, the truth last.
  const place = document.currentScript.src.replace("descent.js", "");
  const data = widget.html("script", { src: `${place}descent.data.js` });
  data.addEventListener("load", () => widget.start("descent", build));
  document.head.append(data);

  function build(panel) {
    const { html } = widget, { iterations, loss, ncc, digits } = window.descent, last = iterations.length - 1;

    // One half of a row of the sprite, whose rest lies outside the visible part. Returns a function that picks the row.
    function strip(title, half, kind) {
      const element = html("div", { class: `strip ${kind}`, role: "img", "aria-label": title }, panel);
      element.style.aspectRatio = `${digits / 2} / 1`;
      element.style.backgroundImage = `url("${place}descent.png")`;
      element.style.backgroundSize = `200% ${100 * (last + 2)}%`;
      element.style.backgroundPositionX = `${100 * half}%`;
      return (row) => (element.style.backgroundPositionY = `${(100 * row) / (last + 1)}%`);
    }

    const legend = "In each pair of rows, above: candidates; below: the training images that they end up nearest to, " +
      "less the mean image. Each picture is scaled to its own range; grey is 0. The start is random numbers along " +
      "the 20 main directions of layer 1. (The demo goes on with a refinement, which is left out here.)";
    const halves = [0, 1].map((half) => {
      const candidates = strip(`Candidates, ${half ? "even" : "odd"} digits`, half, "");
      strip(`Training images, ${half ? "even" : "odd"} digits`, half, "truth")(last + 1);
      return candidates;
    });
    const showFrame = (frame) => halves.forEach((pick) => pick(frame));
    const slider = widget.slider(panel, "iteration ", { min: 0, max: last, step: 1, value: last }, show);
    const play = html("button", { type: "button" }, panel, "Play");
    const status = widget.status(panel);
    html("p", { class: "note" }, panel, legend);
    let timer = null;

    function show(frame) {
      slider.value = frame;
      slider.setAttribute("aria-valuetext", `iteration ${iterations[frame]}`);
      showFrame(frame);
      status.textContent = `Iteration ${iterations[frame]} of ${iterations[last]}: loss ${widget.show(loss[frame])}, ` +
        `median correlation of the ten pairs ${widget.show(ncc[frame])}.`;
    }

    function stop() {
      clearInterval(timer);
      timer = null;
      play.textContent = "Play";
      status.setAttribute("role", "status");
    }

    play.addEventListener("click", () => {
      if (timer) return stop();
      let frame = Number(slider.value) === last ? 0 : Number(slider.value);
      play.textContent = "Stop";
      status.setAttribute("role", "none"); // not every frame is to be spoken
      show(frame);
      timer = setInterval(() => {
        frame += 1;
        if (frame === last) stop();
        show(frame);
      }, 400);
    });
    slider.addEventListener("input", stop);
    show(last);
  }
}
