r"""Plots: the losses of an attack, a training run, a KKT report, and a plain one for the experiments (cf. Fig. 4)."""

from itertools import cycle

import numpy as np

from . import BLACK, BLUE, GREEN, LINES, ORANGE, SKY
from .images import blank, cells, plain

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
    figure, (axes,) = panels(1, None, height=4)
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


def training(history, title="Training over flow time", dotted=None, more=()):
    r"""Loss, margins, gained norms and alignment of a training run, and of a second one, `dotted`, in dots.

    `more` panels: of each its label and a function of the history that gives {label of a line: values}.
    """
    figure, every = panels(4 + len(more), title, 3 if more else 2)
    shown = [
        ("log L (natural logarithm)", lambda run: {"log L": run["log_loss"]}),
        ("margin yΦ(x)", lambda run: {"median": run["median_margin"], "smallest": run["min_margin"]}),
        ("gained, ‖θˡ‖² − ‖θ₀ˡ‖²", lambda run: _layers(run["norm"] ** 2 - history["norm"][0] ** 2)),
        ("cosine of θˡ and −∂L/∂θˡ", lambda run: _layers(run["alignment"])),
        *more,
    ]
    for axes, (what, values) in zip(every, shown, strict=True):
        for line, (label, line_values) in zip(cycle(LINES), values(history).items(), strict=False):
            axes.plot(history["time"][1:], line_values[1:], **line, label=label)  # time 0 has no logarithm
        for line, dots in zip(cycle(LINES), values(dotted).values() if dotted else (), strict=False):
            axes.plot(dotted["time"], dots, ".", color=line["color"], markersize=4)
        axes.set(xscale="log", xlabel="flow time T = Σ step size", ylabel=what)
        if len(axes.get_legend_handles_labels()[0]) > 1:
            axes.legend()
    return figure


def _layers(values):
    r"""Values of each layer (times, L), by its name."""
    return {f"layer {layer + 1}": each for layer, each in enumerate(values.T)}


def kkt(report, name):
    r"""λ of a `kkt.Report` against the margin and against σ(−yΦ), the two that theory connects it with."""
    title = f"KKT conditions at the {len(report.lam)} training samples of {plain(name)}"
    figure, (left, right) = panels(2, title, height=3)
    left.plot(report.margin, report.lam, "o", color=BLUE, alpha=0.7)
    left.axvline(report.gamma, linestyle="--", color=BLACK, label=f"γ = {report.gamma:.3g}, the smallest margin")
    left.set(xlabel="margin yΦ(x), units of the output", ylabel="λ, the best that is not negative")
    left.set_title("complementary slackness: λ = 0 beyond γ")
    left.legend()
    right.plot(report.late, report.lam, "o", color=BLUE, alpha=0.7)
    largest = max(report.late.max(), report.lam.max())
    right.plot([0, largest], [0, largest], "--", color=BLACK, label="equal")
    right.set(xlabel="c σ(−yΦ(x)), with the best c", ylabel="λ, the best that is not negative")
    right.set_title(f"late in training λ ∝ σ(−yΦ): cosine {report.cosine:.3f}")
    right.legend()
    return figure


def panels(count, title, columns=3, height=2.0):
    r"""A figure with a title and `count` axes with a grid, so many a row, each row `height` inches high."""
    rows = -(-count // columns)
    figure = blank(height * rows + 0.4, title)
    every = cells(figure, rows, min(count, columns)).ravel()[:count]
    for axes in every:
        axes.set_axis_on()
        axes.grid()
    return figure, every


def legend(figure, axes, columns, **options):
    r"""What the lines of one of its axes are, below the whole figure."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns, **options)
