r"""Train more, leak less? Reconstruction quality against log L, how far the network was trained.

The theory (paper, section 3) is about infinite training. Does the attack profit from more of it?
"""

import numpy as np

from .. import attack, datasets, kkt, metrics, plots
from ..train import train

PRESET = {
    "cases": ["mnist", "cifar10"],
    "n": 20,
    "hidden": [1000, 1000],
    "levels": [-2.0, -5.0, -10.0, -20.0, -50.0, -100.0],
    "nets": 3,
    "attacks": 2,
    "m": 40,
    "iterations": 300,
}
QUICK = {"cases": ["mnist"], "levels": [-2.0, -10.0, -30.0], "nets": 2, "attacks": 1}
QUALITY = ("ncc", "ssim")
NULL = ("start", "unseen")


def run(seed, progress, cases, n, hidden, levels, nets, attacks, m, iterations):
    r"""Train `nets` networks a case to each log L of `levels`, the same one further, and make `attacks` on each.

    The attack is the plain one of the package with one setting for all; it is not told n. Returns a dict, arrays with
    the axes case, net, level: `time`, `cosine` of θ¹ and −∂L/∂θ¹, `effective` (Σλ)²/Σλ² with the best λ ≥ 0 of the
    true samples; with an axis more, the attack: medians over the training images, `ncc` and `ssim`, those of null
    baselines, and `over`, how many have an NCC above 0.9.
    """
    shape = len(cases), nets, len(levels)
    names = [f"{null}{key}" for null in ("", *(f"{kind}_" for kind in NULL)) for key in QUALITY] + ["over"]
    arrays = {name: np.zeros((*shape, attacks)) for name in names}
    arrays |= {name: np.zeros(shape) for name in ("time", "log_loss", "cosine", "effective", "explained")}
    for c, case in enumerate(cases):
        data = datasets.load_dataset(case, n)
        for net in range(nets):
            params, time = None, 0.0
            for level, log_loss in enumerate(levels):
                # `params` None: initial weights of the seed; later the same network goes on
                trained = train(
                    data, hidden, seed + net, params=params, target_time=None, target_log_loss=log_loss,
                    progress=progress,
                )  # fmt: skip
                params, last, place = trained.params, trained.history, (c, net, level)
                time += last["time"][-1]
                report = kkt.kkt_report(params, data)
                arrays["time"][place], arrays["log_loss"][place] = time, last["log_loss"][-1]
                arrays["cosine"][place] = last["alignment"][-1][0]
                arrays["effective"][place] = report.lam.sum() ** 2 / np.sum(report.lam**2)
                best, zero = (report.residual[which]["per_layer"][0] for which in ("best", "zero"))
                arrays["explained"][place] = 1 - best / zero
                for k in range(attacks):
                    rec = attack.reconstruct(params, m, seed=seed + k, progress=progress, iterations=iterations)
                    score = metrics.score(rec, data)
                    for prefix, each in (("", score), *((f"{kind}_", score.null[kind]) for kind in NULL)):
                        for key in QUALITY:
                            arrays[prefix + key][(*place, k)] = np.median(getattr(each, key))
                    arrays["over"][(*place, k)] = np.sum(score.ncc > 0.9)
    return {"cases": cases, "n": n, "m": m, "iterations": iterations, "levels": levels, **arrays}
