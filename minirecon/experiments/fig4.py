r"""The paper's Fig. 4: SSIM against the output Φ(x) at the training samples, for more samples and other networks.

Samples on the margin, those with the smallest |Φ|, are the ones whose λ is not 0 at a KKT point.
"""

import numpy as np

from .. import metrics, mlp
from . import attacked, fig3, trained
from .drawing import BLACK, BLUE, NULLS, SKY, captions, curves

QUICK = {"sizes": [20, 50], "n": 50, "architectures": [[100, 100], [1000, 500, 100]], "iterations": 100}
# the best SSIM for each n, read from the paper's Fig. 4 by eye, ± 0.03, and where |Φ| had the high ones
PUBLISHED = {50: 0.95, 100: 0.84, 500: 0.71, 1000: 0.59}
PUBLISHED_MARGIN = 10, 13
COLUMNS = ("phi", "ssim", "ncc", "unseen", "unseen_ncc", "mean_image")  # of all samples
SINGLE = ("log_loss", "accuracy", "other_best", "other_ncc", "names")  # of each panel


def run(
    seed, progress, case="cifar10", sizes=(50, 100, 500, 1000), hidden=(1000, 1000),
    n=100, architectures=((100, 100), (1000, 500, 100), (1000, 500, 100, 50)),
    target_time=1e4, most=1000, iterations=300,
):  # fmt: skip
    r"""Train and attack: `hidden` for each of `sizes`; at `n` each of `architectures`, and `hidden` with all biases.

    An attack has twice as many candidates as there are samples, at most `most`. Returns a dict with `names` and `n`
    of the panels, and Φ, SSIM, NCC and for null baselines the SSIM of unseen images and of the mean image, all
    samples of all panels one after the other. `other_…`, one a panel, is a second null: the best SSIM and the median
    NCC of our candidates for unseen images in place of the training images.
    """
    panels = [(size, hidden, False) for size in sizes]
    panels += [(n, widths, False) for widths in architectures] + [(n, hidden, True)]
    columns, single = [], []
    for size, widths, biases in panels:
        options = {"target_time": target_time, "hidden_biases": biases, "progress": progress}
        net, data = trained(case, size, widths, seed, **options)
        rec = attacked(net.params, min(2 * size, most), seed=seed, progress=progress, iterations=iterations)
        score, other = metrics.score(rec, data), metrics.score(rec, fig3.unseen(data))
        unseen, mean_image = score.null["unseen"], score.null["mean_image"]
        phi = mlp.forward(net.params, data.x.astype(np.float32)).phi[:, 0]
        columns.append([phi, score.ssim, score.ncc, unseen.ssim, unseen.ncc, mean_image.ssim])
        name = "–".join(map(str, widths)) + (" + biases" if biases else "")
        log_loss, accuracy = (net.history[key][-1] for key in ("log_loss", "train_accuracy"))
        single.append([log_loss, accuracy, other.ssim.max(), np.median(other.ncc), name])
    arrays = dict(zip(SINGLE, zip(*single, strict=True), strict=True))
    arrays |= zip(COLUMNS, np.concatenate(columns, axis=1).astype(np.float32), strict=True)
    return {"case": case, "n": [size for size, _, _ in panels], "by_size": len(sizes), **arrays}


def split(data, key):
    r"""The values of each panel."""
    return np.split(data[key].astype(float), np.cumsum(data["n"])[:-1])


def draw(data):
    r"""One panel for each n."""
    return _draw(data, range(int(data["by_size"])), "more samples")


def draw_nets(data):
    r"""One panel for each other network."""
    return _draw(data, range(int(data["by_size"]), len(data["n"])), "other networks")


def _draw(data, chosen, what):
    title = f"Reconstruction against the network's output, {what}, {data['case']} (cf. Fig. 4)"
    figure, every = curves.panels(len(chosen), title, columns=2)
    phis, ssims, unseen = (split(data, key) for key in ("phi", "ssim", "unseen"))
    reach = 1.05 * max(np.abs(phis[i]).max() for i in chosen)
    label = f"where the paper has its good ones, |Φ| from {PUBLISHED_MARGIN[0]} to {PUBLISHED_MARGIN[1]}"
    for axes, i in zip(every, chosen, strict=True):
        n = int(data["n"][i])
        axes.axvspan(*PUBLISHED_MARGIN, color=SKY, alpha=0.25, lw=0, label=label)
        axes.axvspan(*(-edge for edge in reversed(PUBLISHED_MARGIN)), color=SKY, alpha=0.25, lw=0)
        axes.plot(phis[i], ssims[i], "o", color=BLUE, markersize=2, alpha=0.6, label="ours, one point a training image")
        axes.axhline(unseen[i].max(), **NULLS[0], label="null: unseen images as candidates, the best")
        axes.axhline(data["other_best"][i], **NULLS[1], label="null: ours for unseen images, the best")
        if i < data["by_size"] and n in PUBLISHED:
            axes.axhline(PUBLISHED[n], linestyle="--", color=BLACK, label="the paper's best, by eye")
        axes.set(xlim=(-reach, reach), ylim=(0, 1), xlabel="output Φ(x)", ylabel="SSIM of the nearest")
        axes.set_title(f"n = {n}, net {data['names'][i]}")
        axes.grid(False)
        axes.label_outer()
    curves.legend(figure, every[0], 2)
    return figure


PICTURES = {"fig4.svg": draw, "fig4-nets.svg": draw_nets}


def numbers(data):
    r"""A dict for each panel."""
    result = []
    panels = zip(*(split(data, key) for key in COLUMNS), strict=True)
    for i, (phi, ssim, ncc, unseen, unseen_ncc, mean_image) in enumerate(panels):
        best = np.argsort(-ssim)[:10]
        n, size = int(data["n"][i]), np.abs(phi)
        result.append(
            {
                "n": n,
                "net": str(data["names"][i]),
                "log_loss": float(data["log_loss"][i]),
                "train_accuracy": float(data["accuracy"][i]),
                "smallest_output": float(size.min()),
                "median_output": float(np.median(size)),
                "median_output_of_top10": float(np.median(size[best])),
                "best_ssim": float(ssim.max()),
                "published_best_ssim": PUBLISHED.get(n) if i < data["by_size"] else None,
                "top10_ssim": float(ssim[best].mean()),
                "over_0.4": int(np.sum(ssim > 0.4)),
                "median_ncc": float(np.median(ncc)),
                "rank_correlation_output_ssim": rank_correlation(size, ssim),
                "rank_correlation_output_ncc": rank_correlation(size, ncc),
                "best_ssim_unseen": float(unseen.max()),
                "best_ssim_other": float(data["other_best"][i]),
                "median_ncc_other": float(data["other_ncc"][i]),
                "best_ssim_mean_image": float(mean_image.max()),
                "median_ncc_unseen": float(np.median(unseen_ncc)),
            }
        )
    return {"panels": result}


def rank_correlation(a, b):
    r"""Spearman's: Pearson's correlation of the ranks of a (n,) and b (n,)."""
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


def caption(data):
    r"""What the figure shows."""
    panels, rows = numbers(data)["panels"], []
    for panel in panels:
        best = panel["published_best_ssim"]
        rows.append(captions.text("fig4-row", paper=f" ({best})" if best else "", **panel))
    return captions.text(
        "fig4",
        case=data["case"],
        margin=PUBLISHED_MARGIN,
        rows="\n".join(rows),
        outputs="; ".join(f"{p['median_output_of_top10']:.1f} of {p['median_output']:.1f}" for p in panels),
        near=sum(panel["rank_correlation_output_ssim"] < 0 for panel in panels),
        count=len(panels),
        at_full_size=captions.text("fig4-full-size") if set(PUBLISHED) <= set(data["n"].tolist()) else "",
    )
