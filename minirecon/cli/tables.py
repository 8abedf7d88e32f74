r"""Tables that the command line prints, 79 columns wide: scores (paper, section 5), KKT conditions (section 3)."""

import textwrap

import numpy as np

from .. import kkt as conditions
from .. import mlp
from ..metrics import NULLS

ROWS = {
    "zero": "λ = 0",
    "late": "λ = c σ(−yΦ(x)), best c",
    "best": "best λ ≥ 0",
    "signed": "best λ of either sign",
}
IMAGE_ROW = "{ncc[median]:.3f}, {ncc[over_0.8]} of {n}, {ncc[over_0.9]} of {n}, {one_to_one[over_0.9]} of {n}"
SSIM_ROW = ", {ssim[median]:.3f}, {ssim[over_0.4]} of {n}"
POINT_ROW = "{distance[candidates_within_0.15]} of {distance[candidates]}, {distance[samples_within_0.15]} of {n}"


def columns(widths, rows):
    r"""Rows of texts in columns of these widths: the first flush left, the others flush right."""
    form = f"{{:{widths[0]}}}" + "".join(f"{{:>{width}}}" for width in widths[1:])
    return "\n".join(form.format(*row).rstrip() for row in rows)


def scores(rows, null, n):
    r"""A row for each summary of `metrics.summary` in `rows`, a dict by name, and in `null`, by its kind.

    SSIM is shown where it tells the candidates from all nulls.
    """
    told = all(tells(row, null) for row in rows.values())
    rows = rows | {f"null: {NULLS[kind]}": summary for kind, summary in null.items()}
    if "ssim" in next(iter(rows.values())):
        widths, form = (26, 8, 11, 11, 11), IMAGE_ROW
        head = [["NCC", "NCC", "NCC", "one to one"], ["median", "over 0.8", "over 0.9", "over 0.9"]]
        if told:
            widths, form = (26, 7, 10, 10, 11, 6, 9), form + SSIM_ROW
            head = [[*line, *more] for line, more in zip(head, (["SSIM", "SSIM"], ["med.", "over 0.4"]), strict=True)]
    else:
        widths, form = (26, 20, 24), POINT_ROW
        head = [["candidates within", "training samples with"], ["0.15 of a sample", "a candidate within 0.15"]]
    lines = [["", *line] for line in head]
    lines += [[name, *form.format(**row, n=n).split(", ")] for name, row in rows.items()]
    return columns(widths, lines)


def tells(summary, null):
    r"""Whether the SSIM of some candidates, in `metrics.summary`, is above that of every null: bool."""
    return "ssim" in summary and all(row["ssim"]["median"] < summary["ssim"]["median"] for row in null.values())


def consensus(rows, null):
    r"""The rows of `consensus.evaluate` beside those of a null baseline."""
    head = f"{'':12}{'candidates the runs agree on':^36}{'null: their starts':^30}".rstrip()
    lines = [["support", *["groups", "precision", "recall"] * 2]]
    for pair in zip(rows, null, strict=True):
        least = pair[0]["support"]
        line = [{0: "any", 1: "100%"}.get(least, f"{least:.0%} or more")]
        for row in pair:
            precision = "–" if row["precision"] is None else f"{row['precision']:.2f}"
            line += [f"{row['candidates']}", precision, f"{row['recall']:.2f}"]
        lines.append(line)
    return head + "\n" + columns((12, 8, 14, 10, 12, 14, 8), lines)


def kkt(report, alone=None):
    r"""A `kkt.Report`, condition by condition; of several classes also `alone`, with the largest rival alone."""
    residual, sums = report.residual, report.euler_per_layer
    norms = residual["zero"]["per_layer"]
    rows = []
    for name, label in ROWS.items():
        each = residual[name]
        parts = [f"{part:.4g}" for part in each["per_layer"]]
        rows += _by_layer([f"  {label}", f"{each['total']:.4g}", f"{each['relative']:.1%}"], parts)
    explained = [1 - part / norm for part, norm in zip(residual["best"]["per_layer"], norms, strict=True)]
    rows += _by_layer(["  explained at best", "", ""], [f"{share:.1%}" for share in explained])
    start = "  What a layer keeps of its random start, no sum over samples explains."
    lines = [
        f"primal feasibility: margins yΦ(x) from γ = {report.gamma:.4g} to {report.margin.max():.4g}",
        f"dual feasibility: λ ≥ 0; above 0 for {int((report.lam > 0).sum())} of {len(report.lam)} samples",
        f"complementary slackness: the λ-weighted margin exceeds γ by {report.slackness:.1%}",
        f"λ against σ(−yΦ(x)): cosine {report.cosine:.3f}",
        f"Σλ = {report.sum_lam:.4g}",
    ]
    if sums is not None:
        lines[-1] += f"; ‖θ‖²/(Lγ) = {report.euler:.4g}, of layers ‖θˡ‖²/γ = {', '.join(f'{s:.4g}' for s in sums)}"
    if alone:
        lines.insert(0, "(for several classes yΦ stands for the soft margin, Φ_y − log Σ exp Φⱼ over j ≠ y)")
        shares = [each.residual["best"]["relative"] for each in (report, alone)]
        lines.append(
            "with every rival j by its share p_ij the best λ leaves {:.1%}, with the largest {:.1%}".format(*shares)
        )
    return "\n".join(
        [
            "stationarity: ‖θ − Σ λᵢyᵢ∇Φ(xᵢ)‖², in all, relative to ‖θ‖², and by layer",
            columns((26, 10, 8, 12, 10, 10), rows),
            *([start] if residual["best"]["relative"] > 0.05 else []),
            *(textwrap.fill(line, 79, subsequent_indent="  ") for line in lines),
        ]
    )


def _by_layer(start, parts):
    r"""Rows of a start and three layers, and of nothing and three more layers."""
    parts = parts + [""] * (-len(parts) % 3)
    rows = [parts[at : at + 3] for at in range(0, len(parts), 3)]
    return [[*start, *rows[0]], *(["", "", "", *row] for row in rows[1:])]


def rest(params, last):
    r"""What is reached of a stationary point with weight decay."""
    ranks = [int(np.linalg.matrix_rank(layer.weight.astype(float), rtol=1e-2)) for layer in params]
    return (
        f"after {last['step']} steps of L-BFGS ‖∇‖ is {last['stationarity']:.1%} of decay ‖θ‖; "
        f"squared norms of the layers {', '.join(f'{norm**2:.3g}' for norm in last['norm'])}; "
        f"ranks {', '.join(map(str, ranks))}; "
        f"{conditions.distinct_units(params)} directions among {len(params[0].weight)} units of layer 1"
    )


def network(params):
    r"""Widths, biases and homogeneity of a network: a sentence without a full stop."""
    widths = [params[0].weight.shape[1], *(len(layer.weight) for layer in params)]
    biased = [str(number) for number, layer in enumerate(params, 1) if layer.bias is not None]
    degree = mlp.homogeneity_degree(params)
    kind = "not homogeneous: the theory has biases in layer 1 alone"
    if degree:
        kind = f"homogeneous of degree {degree}, if its units are ReLUs, which a file does not tell"
    return f"a network {'–'.join(map(str, widths))} with biases in layer {', '.join(biased) or 'none'}: {kind}"
