r"""Tables that the command line prints, 79 columns wide: scores (paper, section 5), KKT conditions (section 3)."""

import textwrap

from ..metrics import NULLS

ROWS = {
    "zero": "λ = 0",
    "late": "λ = c σ(−yΦ(x)), best c",
    "best": "best λ ≥ 0",
    "signed": "best λ of either sign",
}


def scores(rows, null, n):
    r"""A row for each summary of `metrics.summary` in `rows`, a dict by name, and in `null`, by its kind."""
    rows = rows | {f"null: {NULLS[kind]}": summary for kind, summary in null.items()}
    if "ssim" in next(iter(rows.values())):
        lines = [
            f"{'':26}{'NCC':>8}{'NCC':>11}{'SSIM':>9}{'SSIM':>9}{'SSIM':>11}",
            f"{'':26}{'median':>8}{'over 0.9':>11}{'median':>9}{'top 10':>9}{'over 0.4':>11}",
        ]
        for name, row in rows.items():
            ncc, ssim = row["ncc"], row["ssim"]
            over = [f"{count} of {n}" for count in (ncc["over_0.9"], ssim["over_0.4"])]
            lines.append(
                f"{name:26}{ncc['median']:8.3f}{over[0]:>11}{ssim['median']:9.3f}{ssim['top10_mean']:9.3f}{over[1]:>11}"
            )
        return "\n".join(lines)
    lines = [
        f"{'':26}{'candidates within':>20}{'training samples with':>24}",
        f"{'':26}{'0.15 of a sample':>20}{'a candidate within 0.15':>24}",
    ]
    for name, row in rows.items():
        d = row["distance"]
        counts = [f"{d['candidates_within_0.15']} of {d['candidates']}", f"{d['samples_within_0.15']} of {n}"]
        lines.append(f"{name:26}{counts[0]:>20}{counts[1]:>24}")
    return "\n".join(lines)


def kkt(report):
    r"""A `kkt.Report`, condition by condition."""
    residual, sums = report.residual, report.euler_per_layer
    norms = residual["zero"]["per_layer"]
    lines = ["stationarity: ‖θ − Σ λᵢyᵢ∇Φ(xᵢ)‖², in all, relative to ‖θ‖², and by layer"]
    for name, label in ROWS.items():
        whole = f"  {label:24}{residual[name]['total']:10.4g}{residual[name]['relative']:8.1%}  "
        lines += _by_layer(whole, [f"{part:10.4g}" for part in residual[name]["per_layer"]])
    explained = [1 - part / norm for part, norm in zip(residual["best"]["per_layer"], norms, strict=True)]
    lines += [
        *_by_layer(f"  {'explained at best':44}", [f"{share:10.1%}" for share in explained]),
        "  What a layer keeps of its random start, no sum over samples explains.",
        f"primal feasibility: margins yΦ(x) from γ = {report.gamma:.4g} to {report.margin.max():.4g}",
        f"dual feasibility: λ ≥ 0; above 0 for {int((report.lam > 0).sum())} of {len(report.lam)} samples",
        f"complementary slackness: the λ-weighted margin exceeds γ by {report.slackness:.1%}",
        f"λ against σ(−yΦ(x)): cosine {report.cosine:.3f}",
        f"Σλ = {report.sum_lam:.4g}",
    ]
    if sums is not None:
        lines[-1] += f"; ‖θ‖²/(Lγ) = {report.euler:.4g}, of layers ‖θˡ‖²/γ = {', '.join(f'{s:.4g}' for s in sums)}"
    return "\n".join(textwrap.fill(line, 79, subsequent_indent="  ") if line[0] != " " else line for line in lines)


def _by_layer(start, parts):
    r"""Lines of 76 columns: a start of 46, and three layers in each."""
    rows = ["".join(parts[at : at + 3]) for at in range(0, len(parts), 3)]
    return [start + rows[0], *(f"{'':46}{row}" for row in rows[1:])]
