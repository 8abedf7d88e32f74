r"""Plots: the losses of an attack, a training run, a KKT report, and a plain one for the experiments (cf. Fig. 4).

Lines differ in colour and in style, for colour-blind readers and for print.
"""

import numpy as np

from .images import BLACK, BLUE, GREEN, ORANGE, SKY, blank, cells

STYLES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, ":"), (BLACK, "-."), (SKY, (0, (5, 1))))
LINES = [{"color": colour, "linestyle": style} for colour, style in STYLES]
MARKED = [line | {"marker": marker} for line, marker in zip(LINES, "os^Dv", strict=True)]
TERMS = {  # of the attack's loss, as a Reconstruction's history has them
    "parameter": (BLUE, "-", "parameter loss"),
    "layer 1": (BLUE, "-", "parameter loss, layer 1"),
    "upper": (SKY, "--", "parameter loss, upper layers, times their weight"),
    "lambda": (ORANGE, "--", "lambda loss"),
    "range": (GREEN, ":", "range loss"),
    "margin": (BLACK, "-.", "margin loss"),
}


def loss_history(history):
    r"""The terms of the attack's loss, as they enter its sum, over the iterations. None if there were none."""
    if not history:
        return None
    figure, (axes,) = panels(1, None, size=(7.2, 4.8))
    for name, values in history.items():
        colour, style, label = TERMS[name]
        shown = np.where(values > 0, values, np.nan)  # the axis is logarithmic
        note = "" if np.any(values > 0) else " (0 throughout)"
        axes.plot(np.arange(1, len(values) + 1), shown, style, color=colour, label=label + note)
    axes.set(yscale="log", xlabel="iteration", ylabel="term of the loss, as it enters the sum")
    axes.set_title("The attack's loss, term by term")
    axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def training(history):
    r"""Loss, margins and norms over the flow time of a training run."""
    figure, (upper, middle, lower) = panels(3, None, 1, (7.2, 8 / 3), sharex=True)
    history = {key: values[history["time"] > 0] for key, values in history.items()}  # the axis is logarithmic
    time = history["time"]
    upper.plot(time, history["log_loss"], color=BLUE)
    upper.set(ylabel="log L (natural logarithm)", title="Training: loss, margins and layers over flow time")
    middle.plot(time, history["median_margin"], color=BLUE, label="median")
    middle.plot(time, history["min_margin"], "--", color=ORANGE, label="smallest")
    middle.set(ylabel="margin yΦ(x), units of the output")
    middle.legend()
    for layer, cosine in enumerate(history["alignment"].T):
        lower.plot(time, cosine, **LINES[layer % 4], label=f"layer {layer + 1}")
    lower.set(ylabel="cosine of θ and −∇L", xlabel="flow time T = Σ step size", xscale="log", ylim=(-0.05, 1.05))
    lower.legend()
    return figure


def kkt(report, name):
    r"""λ of a `kkt.Report` against the margin and against σ(−yΦ), the two that theory connects it with."""
    title = f"KKT conditions at the {len(report.lam)} training samples of {name}"
    figure, (left, right) = panels(2, title, size=(4.5, 4.4))
    left.plot(report.margin, report.lam, "o", color=BLUE, markersize=5, alpha=0.7)
    left.axvline(report.gamma, linestyle="--", color=ORANGE, label=f"γ = {report.gamma:.3g}, the smallest margin")
    left.set(xlabel="margin yΦ(x), units of the output", ylabel="λ, the best that is not negative")
    left.set_title("complementary slackness: λ = 0 beyond γ", fontsize=11)
    left.legend(fontsize=9)
    right.plot(report.late, report.lam, "o", color=BLUE, markersize=5, alpha=0.7)
    largest = max(report.late.max(), report.lam.max())
    right.plot([0, largest], [0, largest], "--", color=ORANGE, label="equal")
    right.set(xlabel="c σ(−yΦ(x)), with the best c", ylabel="λ, the best that is not negative")
    right.set_title(f"late in training λ ∝ σ(−yΦ): cosine {report.cosine:.3f}", fontsize=11)
    right.legend(fontsize=9)
    return figure


def panels(count, title, columns=3, size=(4.2, 3.6), sharex=False):
    r"""A figure with a title and `count` axes with a grid, so many a row; `sharex` as in Matplotlib."""
    rows = -(-count // columns)
    figure = blank(size[0] * min(count, columns), size[1] * rows, title)
    every = cells(figure, rows, min(count, columns), sharex=sharex).ravel()[:count]
    for axes in every:
        axes.set_axis_on()
        axes.grid(alpha=0.3)
    return figure, every


def legend(figure, axes, columns, **options):
    r"""What the lines of one of its axes are, below the whole figure."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns, **options)
