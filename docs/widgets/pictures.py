r"""What the widgets show before anybody touches them, computed by the package: four figures for paper."""

import autograd
import numpy as np

from minirecon import Layer, kkt, losses
from minirecon.experiments.drawing import BLACK, BLUE, GREEN, ORANGE
from minirecon.experiments.drawing.images import blank


def descent(image, iterations, loss, ncc):
    r"""A film strip: some of the frames in the sprite, and the truth."""
    shown = [0, 8, 10, 13, 19, 20]
    rows = image.reshape(len(iterations) + 1, -1, image.shape[1])[shown]
    title = "From a random start to digits: the attack on the shipped network, and ten of its twenty digits"
    figure = blank(3.7, title)
    axes = figure.subplots()
    axes.imshow(rows.reshape(-1, image.shape[1]), cmap="gray", vmin=0, vmax=255, interpolation="none")
    names = [
        f"iteration {iterations[k]}\nloss {loss[k]:.1f}\nNCC {np.median(ncc[k]):.2f}".replace("-", "−")
        for k in shown[:-1]
    ]
    axes.set_yticks(14 + 28 * np.arange(len(shown)), [*names, "training\nimages"])
    axes.set(xticks=[], xlabel="the candidates that end up nearest to ten training images; NCC: their median")
    return figure


def street():
    r"""The chapter's six points, the street between them, and w as a sum."""
    x = np.array([[2, 0.5], [0.5, 1.5], [3, 3], [-0.5, -2], [-2, 0.5], [-3, -2]])
    y = np.array([1, 1, 1, -1, -1, -1])
    w, _, lam = kkt.hard_margin(x, y, bias=False)
    figure = blank(4.6, "The widest street between two classes: w is a sum over the samples at its edges")
    axes = figure.subplots()
    a = np.array([-4.0, 4.0])
    edge = [(level - w[0] * a) / w[1] for level in (-1, 0, 1)]
    axes.fill_between(a, edge[0], edge[2], color=BLUE, alpha=0.15, linewidth=0)
    for level, b in zip((-1, 0, 1), edge, strict=True):
        axes.plot(a, b, color=BLACK, linestyle="--" if level else "-")
    for label, colour, marker in ((1, ORANGE, "o"), (-1, BLUE, "s")):
        name = f"y = {label:+d}".replace("-", "−")
        axes.plot(*x[y == label].T, marker, color=colour, markersize=6, label=name)
    axes.plot(*x[lam > 0].T, "o", color=BLACK, markersize=12, fillstyle="none", label="support vectors, λ > 0")
    arrow = {"angles": "xy", "scale_units": "xy", "scale": 1, "zorder": 3}
    terms = (lam * y)[:, None] * x
    at = np.cumsum(terms, axis=0) - terms
    on = lam > 0
    axes.quiver(*at[on].T, *terms[on].T, color=GREEN, width=0.006, label="λᵢyᵢxᵢ, one after another", **arrow)
    axes.quiver(0, 0, *w, color=BLACK, width=0.008, label="w, their sum", **arrow)
    for point, value in zip(x[on], lam[on], strict=True):
        axes.annotate(f"λ {value:.2f}", point, (9, 6), textcoords="offset points")
    axes.set(xlim=(-4, 4), ylim=(-4, 4), xlabel="coordinate 1", ylabel="coordinate 2", aspect="equal")
    figure.legend(loc="outside right center")
    return figure


def gates():
    r"""Loss and slope of unit 1 of chapter 2's network alone, over the way of candidate 1, as in chapter 5."""
    unit = (Layer(np.array([[-3.0, 6.0]]), np.array([6.0])), Layer(np.array([[9.0]])))
    two, way = np.array([[2.0, 2.0], [-3.0, 0.0]]), np.array([[1.0, -1.0], [0.0, 0.0]])

    def loss(t, alpha):
        return losses.parameter_loss(unit, two + t * way, np.full(2, 2 / 3), np.ones(2), alpha)

    figure = blank(2.9, "One unit, and a candidate that moves: only a smooth gate has a slope beyond the cliff")
    panels = figure.subplots(1, 2)
    near = np.linspace(0.01, 1, 28) ** 2  # to the edge
    sides = 4 / 3 - 11 / 6 * near[::-1], 4 / 3 + 7 / 6 * near
    for alpha, colour, style in ((None, BLACK, "-"), (10.0, BLUE, "--"), (1.0, GREEN, ":")):
        name = "the true gate, a step" if alpha is None else f"σ(αz), α = {alpha:.0f}"
        for number, side in enumerate(sides if alpha is None else [np.concatenate(sides)]):
            curves = [loss(t, alpha) for t in side], [autograd.grad(loss)(t, alpha) for t in side]
            for axes, curve in zip(panels, curves, strict=True):
                axes.plot(side, curve, style, color=colour, label=None if number else name)
    panels[0].set(ylabel="loss", title="parameter loss: the unit is off from t = 4/3 on", ylim=(0, 120))
    panels[1].set(
        ylabel="slope",
        title="its slope, as the attack computes it",
        ylim=(-60, 260),
        yticks=[-50, 0, 50, 100, 150, 200, 250],
    )
    for axes in panels:
        axes.set(xlabel="t, where candidate 1 is at (2 + t, 2 − t)", xticks=[-0.5, 0, 0.5, 1, 1.5, 2, 2.5])
    panels[0].legend()
    return figure


def split():
    r"""Sample 2 of chapter 2's network split in two, and the residual over the size of the split, as in chapter 8."""
    net = (Layer(np.array([[-3.0, 6.0], [2.0, 2.0]]), np.array([6.0, 1.0])), Layer(np.array([[9.0, 3.0]])))
    x, v = np.array([[2.0, 2.0], [-3.0, 0.0]]), np.array([1.0, 0.5])
    sizes = np.linspace(0, 3, 91)

    def root(size):
        halves = np.array([x[0], x[1] + size * v, x[1] - size * v])
        return losses.parameter_loss(net, halves, 3 * np.array([1 / 3, 1 / 6, 1 / 6]), np.ones(3)) ** 0.5

    figure = blank(3.3, "One sample for two: within a cell of the gates the residual stays 0")
    left, right = figure.subplots(1, 2)
    a = np.array([-7.0, 5.0])
    left.fill(*np.transpose([(-7, -4.5), (1 / 3, -5 / 6), (-7, 6.5)]), color=BLUE, alpha=0.15, linewidth=0)
    for w, b in zip(*net[0], strict=True):
        left.plot(a, -(w[0] * a + b) / w[1], "--", color=BLACK)
    left.plot(a, (a + 3) / 2, color=BLACK, linewidth=0.4)
    left.plot(*np.transpose([x[1] + v, x[1] - v]), "-", color=GREEN)
    left.plot(*(x[1] + v), "o", color=ORANGE, markersize=6)
    left.plot(*(x[1] - v), "s", color=BLUE, markersize=6)
    left.plot(*x.T, "o", color=BLACK, fillstyle="none")
    for point, name in zip(x, ("x₁", "x₂"), strict=True):
        left.annotate(name, point, (-3, -12), textcoords="offset points")
    left.annotate("unit 1\non above", (4.8, -1.9), ha="right")
    left.annotate("unit 2 on to the right", (-4.6, 5.3))
    left.set(xlim=(-7, 5), ylim=(-5, 7), xlabel="input 1", ylabel="input 2", aspect="equal")
    left.set_title(
        "the two units' kinks (dashed), sample 2 split\nalong the thin line; in the cell Φ is the same on it"
    )
    right.plot(sizes, [root(size) for size in sizes], color=GREEN)
    right.plot(1, 0, "o", color=ORANGE, markersize=6, clip_on=False)
    right.set(xlabel="size of the split (1: as drawn)", ylabel="√ residual", ylim=(-0.03, 1.5))
    right.set_title("‖θ − Σ λy∇Φ‖; ‖θ‖ = √180")
    right.grid()
    return figure
