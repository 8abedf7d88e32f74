r"""The demos: from the weights that are shipped to scored candidates (cf. Fig. 2 and 3)."""

from typing import NamedTuple

from .. import attack, metrics
from . import shipped, untrained


class Demo(NamedTuple):
    r"""What a demo attacks and with how many candidates.

    `weights` were written by `minirecon train CASE --n N --hidden … --seed 0`: data/README.md.
    """

    weights: str
    n: int
    m: int
    settings: dict = {}  # noqa: RUF012  (read only)


# The settings were chosen on these very nets, for the demo to be clear; other seeds and nets are in docs/.
# span: 18 singular values of each W¹ stand out of its start, random numbers of scale 1e-4.
DEMOS = {
    "mnist": Demo("mnist-n20.pth", n=20, m=60, settings={"span": 20, "iterations": 300, "samples": 20}),
    "cifar10": Demo("cifar10-n20.pth", n=20, m=60, settings={"span": 20, "iterations": 300, "samples": 20}),
    "colours": Demo("colours-n20.pth", n=20, m=100, settings={"iterations": 600, "alpha": 500.0, "upper_weight": 1.0}),
    "circle": Demo("circle-n20.pth", n=20, m=100, settings={"start_scale": 0.7, "iterations": 300}),
}


def demo(case, seed=0, *, progress=False):
    r"""Attack the shipped weights of a case, then score the candidates against the true training set.

    For "colours" and "circle" the null baselines include `untrained`: the same attack on a network of the
    same shape with fresh initial weights.

    Returns
    -------
    params, data, rec, score : tuple of Layer, Dataset, Reconstruction, Score or PointScore
    """
    preset = DEMOS[case]
    params, data = shipped(preset.weights, case, preset.n)
    rec = attack.reconstruct(params, preset.m, seed=seed, progress=progress, **preset.settings)
    score = metrics.score(rec, data)  # from here on the true training set is used
    if isinstance(score, metrics.PointScore):
        options = {"seed": seed, "progress": progress and "untrained", **preset.settings}
        blind = attack.reconstruct(untrained(params, seed), preset.m, **options)
        score.null["untrained"] = metrics.score(blind, data)._replace(null=None)
    return params, data, rec, score
