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


def training(history, title="Training over flow time", dotted=None):
    r"""Loss, margins, norms, alignment and accuracy of a training run, and of a second one, `dotted`, in dots."""
    figure, every = panels(5, title)
    layers = [f"layer {layer + 1}" for layer in range(history["norm"].shape[1])]
    shown = (
        ("log L (natural logarithm)", ["log_loss"], ["log L"]),
        ("margin yΦ(x), units of the output", ["median_margin", "min_margin"], ["median", "smallest"]),
        ("norm ‖θˡ‖", ["norm"], layers),
        ("cosine of θˡ and −∂L/∂θˡ", ["alignment"], layers),
        ("share classified correctly", ["train_accuracy", "test_accuracy"], ["training set", "test set"]),
    )
    for axes, (what, keys, labels) in zip(every, shown, strict=True):
        both = (np.column_stack([run[key] for key in keys]).T for run in (history, dotted or history))
        for line, label, values, others in zip(cycle(LINES), labels, *both, strict=False):
            axes.plot(history["time"][1:], values[1:], **line, label=label)  # time 0 has no logarithm
            if dotted:
                axes.plot(dotted["time"], others, ".", color=line["color"], markersize=7)
        axes.set(xscale="log", xlabel="flow time T = Σ step size", ylabel=what)
        if len(labels) > 1:
            axes.legend(fontsize=9)
    return figure


def kkt(report, name):
    r"""λ of a `kkt.Report` against the margin and against σ(−yΦ), the two that theory connects it with."""
    title = f"KKT conditions at the {len(report.lam)} training samples of {plain(name)}"
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


def panels(count, title, columns=3, size=(4.2, 3.6)):
    r"""A figure with a title and `count` axes with a grid, so many a row."""
    rows = -(-count // columns)
    figure = blank(size[0] * min(count, columns), size[1] * rows, title)
    every = cells(figure, rows, min(count, columns)).ravel()[:count]
    for axes in every:
        axes.set_axis_on()
        axes.grid(alpha=0.3)
    return figure, every


def legend(figure, axes, columns, **options):
    r"""What the lines of one of its axes are, below the whole figure."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns, **options)
