r"""Train more, leak less? Reconstruction quality against log L, how far the network was trained.

The theory (paper, section 3) is about infinite training. Does the attack profit from more of it?
"""

import numpy as np

from .. import kkt, metrics, mlp
from . import attacked, trained
from .drawing import MARKED, NULLS, captions, curves

QUICK = {"cases": ["mnist"], "levels": [-2.0, -10.0, -30.0], "nets": 2, "attacks": 1}
WAYS = {"fixed": "λ range fixed", "moved": "λ range moved with the true λ"}
RANGE = 0.7, 1.6  # of the "moved" attack, times the mean λ: the default range on the paper's networks, about
KEYS = ("ncc", "ssim", "over", "start_ncc", "start_ssim", "unseen_ncc", "unseen_ssim")
NETWORK = ("log10_time", "log_loss", "cosine", "effective", "mean_lam")


def run(
    seed, progress, cases=("mnist", "cifar10"), n=20, hidden=(1000, 1000), levels=(-2.0, -5.0, -15.0, -40.0, -100.0),
    nets=3, attacks=2, m=40, iterations=300,
):  # fmt: skip
    r"""Train `nets` networks a case to each log L of `levels`, the same ones further, and attack each in two ways.

    "fixed" is the attack with its defaults, and not told n; it is made with `attacks` seeds. λ shrinks as the network
    grows, and may leave its fixed range: "moved" is a control in which the range goes along, for which γ, the median
    margin, is taken from the training set.

    Returns a dict: arrays (cases, nets, levels) of what the network is like, and (cases, ways, nets, levels, attacks)
    of medians over the training images, and `over`, how many of them have an NCC above 0.9.
    """
    measured, networks = [], []
    for case in cases:
        for net in range(nets):
            params, time = None, 0.0  # None: initial weights of the seed; later the same network goes on
            for target in levels:
                options = {"params": params, "target_time": None, "target_log_loss": target, "progress": progress}
                (params, history, *_), data = trained(case, n, hidden, seed + net, **options)
                time += history["time"][-1]
                lam = kkt.multipliers(mlp.cast(params, float), data.x, data.y)
                # Σλ = ‖θ¹‖²/γ, by Euler for layer 1; the attack's λ is m times that of its candidates: its mean
                mean_lam = mlp.square_norm(params[:1]) / history["median_margin"][-1]
                effective = lam.sum() ** 2 / np.sum(lam**2)
                cosine = history["alignment"][-1][0]
                networks.append([np.log10(time), history["log_loss"][-1], cosine, effective, mean_lam])
                low, high = (float(mean_lam * r) for r in RANGE)
                for settings in ({}, {"lam_min": low, "lam_max": high}):
                    for k in range(attacks):
                        rec = attacked(params, m, seed=seed + k, progress=progress, iterations=iterations, **settings)
                        measured.append(medians(metrics.score(rec, data)))
    shape = len(cases), nets, len(levels)
    measured = np.array(measured, np.float32).T.reshape(-1, *shape, len(WAYS), attacks)
    arrays = dict(zip(KEYS, np.moveaxis(measured, 4, 2), strict=True))
    arrays |= zip(NETWORK, np.array(networks, np.float32).T.reshape(-1, *shape), strict=True)
    return {"cases": cases, "n": n, "m": m, "iterations": iterations, "levels": levels, **arrays}


def medians(score):
    r"""What `KEYS` names, of a Score: a list."""
    every = score, score.null["start"], score.null["unseen"]
    ours, start, unseen = ([np.median(each.ncc), np.median(each.ssim)] for each in every)
    return [*ours, np.sum(score.ncc > 0.9), *start, *unseen]


def draw(data):
    r"""For each case the NCC, mean and range over nets and attacks, and what the theory says of the nets."""
    cases = data["cases"].tolist()
    title = f"Train more, leak less? {data['n']} samples; points: mean over seeds, bars: smallest and largest"
    figure, every = curves.panels(2 * len(cases), title, 2, height=2.3)
    progress = -data["levels"]
    for c, case in enumerate(cases):
        quality, theory = every[2 * c : 2 * c + 2]
        for way, label in enumerate(WAYS.values()):
            low, mean, high = spread(data["ncc"][c, way])
            x = progress * (0.97 if way == 0 else 1.03)  # lest one bar hides the other
            quality.errorbar(x, mean, [mean - low, high - mean], **MARKED[way], label=label)
        for kind, style in zip(("start", "unseen"), NULLS, strict=False):
            null = spread(data[f"{kind}_ncc"][c, 0])[1]
            quality.plot(progress, null, **style, label=f"null: {metrics.NULLS[kind]}")
        quality.set(ylim=(0, 1.02), ylabel=f"median NCC of the {data['n']} images", title=f"{case}: what is found")
        for values, label, style in (
            (data["cosine"][c], "cosine of θ¹ and −∂L/∂θ¹", MARKED[2]),
            (data["effective"][c] / data["n"], "share of samples that count, (Σλ)²/(nΣλ²)", MARKED[3]),
            (data["mean_lam"][c], "mean λ in the attack's scale, ‖θ¹‖²/γ", MARKED[4]),
        ):
            theory.plot(progress, values.mean(axis=0), **style, label=label)
        theory.set(ylim=(0, 1.02), ylabel="cosine, share, or mean λ", title=f"{case}: the networks")
        for axes in (quality, theory):
            axes.set(xscale="log", xlabel="−log L: more training to the right")
            axes.set_xticks(progress, [f"{value:g}" for value in progress])
            axes.minorticks_off()
    for place, axes in zip(("lower left", "lower right"), every[:2], strict=True):
        figure.legend(*axes.get_legend_handles_labels(), loc=f"outside {place}")
    return figure


def spread(values):
    r"""Smallest, mean and largest over the nets and attacks of values (nets, levels, attacks): (3, levels)."""
    seeds = np.moveaxis(values.astype(float), 1, -1).reshape(-1, values.shape[1])
    return np.array([seeds.min(axis=0), seeds.mean(axis=0), seeds.max(axis=0)])


def numbers(data):
    r"""For each case and way, at each level: smallest, mean and largest over the seeds; nulls; the networks."""
    result = {"levels": data["levels"].tolist()}
    for c, case in enumerate(data["cases"].tolist()):
        ways = {}
        for way, name in enumerate(WAYS):
            ncc = data["ncc"][c, way]
            ways[name] = {key: np.round(spread(data[key][c, way]), 4).tolist() for key in ("ncc", "ssim", "over")}
            ways[name]["seeds"] = int(ncc[:, 0].size)
            ways[name]["lower_at_the_end"] = int(np.sum(ncc[:, -1] < ncc[:, 0]))
        nulls = {key: np.round(spread(data[key][c, 0])[1], 4).tolist() for key in KEYS[3:]}
        nets = {key: data[key][c].mean(axis=0).tolist() for key in ("log10_time", "cosine", "effective", "mean_lam")}
        result[case] = {**ways, "null": nulls, "nets": nets}
    return result


def caption(data):
    r"""What the figure shows."""
    got, levels, tables, ends, best, worse = numbers(data), data["levels"], [], [], [], True
    for case in data["cases"].tolist():
        ways, nets, null = [got[case][way] for way in WAYS], got[case]["nets"], got[case]["null"]["start_ncc"]
        head = [f"{case}: log L", "T", "NCC, fixed", "NCC, moved", "over 0.9", "null", "cosine"]
        rows = []
        for i, level in enumerate(levels):
            ranges = ["{1:.2f} ({0:.2f}–{2:.2f})".format(*(row[i] for row in way["ncc"])) for way in ways]
            over = captions.listed((way["over"][1][i] for way in ways), ".0f")
            time = f"10^{nets['log10_time'][i]:.1f}"
            rows.append([f"{level:g}", time, *ranges, over, f"{null[i]:.2f}", f"{nets['cosine'][i]:.2f}"])
        tables.append(captions.table(head, rows))
        ends.append(f"on {case} in " + " and ".join(f"{way['lower_at_the_end']} of {way['seeds']}" for way in ways))
        fixed, moved = (way["ncc"][1] for way in ways)
        best.append(f"on {case} {max(fixed):.2f} at log L = {levels[np.argmax(fixed)]:g}, {fixed[-1]:.2f} at the end")
        worse = worse and max(fixed) > fixed[-1] and max(moved) > moved[-1]
    return captions.text(
        "leak",
        data=data,
        tables="\n\n".join(tables),
        ends="; ".join(ends),
        verdict=captions.text("leak-worse" if worse else "leak-unclear", best="; ".join(best)),
    )
