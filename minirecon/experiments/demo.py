r"""The demos: from weights that are shipped, or trained on the spot, to scored candidates (cf. Fig. 2 and 3)."""

from typing import NamedTuple

from .. import attack, metrics
from . import shipped, trained, untrained


class Demo(NamedTuple):
    r"""What a demo attacks and with how many candidates.

    `weights` were written by `minirecon train CASE --n N --hidden … --seed 0`: data/README.md. None: they are trained
    now, on `data`, with the options `training`; `known` tells whether the attack is given the initial weights, too.
    """

    weights: str | None
    n: int
    m: int
    settings: dict = {}  # noqa: RUF012  (read only)
    data: str | None = None
    training: dict = {}  # noqa: RUF012  (read only)
    known: bool = False


# The settings were chosen on these very nets, for the demo to be clear; other seeds and nets are in docs/.
# span: 18 singular values of each W¹ stand out of its start, random numbers of scale 1e-4.
DEMOS = {
    "mnist": Demo("mnist-n20.pth", n=20, m=60, settings={"span": 20, "iterations": 300, "samples": 20}),
    "cifar10": Demo("cifar10-n20.pth", n=20, m=60, settings={"span": 20, "iterations": 300, "samples": 20}),
    "colours": Demo("colours-n20.pth", n=20, m=100, settings={"iterations": 600, "alpha": 500.0, "upper_weight": 1.0}),
    "circle": Demo("circle-n20.pth", n=20, m=100, settings={"start_scale": 0.7, "iterations": 300}),
    "classes": Demo(
        None, 50, 100, {"iterations": 300}, "cifar10", {"classes": 10, "hidden": (500, 500), "target_time": 1e4}
    ),
    "initial": Demo(
        None, 50, 100, {"iterations": 600}, "mnist",
        {"hidden": (512, 512), "loss": "mse", "target_time": None, "target_log_loss": -18.0, "first_scale": 0.03},
        known=True,
    ),
    "decay": Demo(
        None, 50, 200, {"optimizer": "differences"}, "mnist", {"hidden": (500, 500), "decay": 1e-4, "max_steps": 200}
    ),
}  # fmt: skip


def demo(case, seed=0, *, progress=False):
    r"""Attack the weights of a case, then score the candidates against the true training set.

    The null baselines of all but "mnist" and "cifar10" include a control that has to fail: `untrained`, the same
    attack on a network of the same shape with fresh initial weights, or, where initial weights are told, `stranger`,
    the same attack with other ones.

    Returns
    -------
    params, initial, data, rec, score : tuple of Layer, the initial weights that were told or None, Dataset,
        Reconstruction, Score or PointScore
    """
    preset = DEMOS[case]
    known, control = {}, {}
    if preset.weights:
        params, data = shipped(preset.weights, case, preset.n)
    else:
        run, data = trained(preset.data, preset.n, seed=seed, progress=progress, **preset.training)
        params, known = run.params, {"initial": run.initial} if preset.known else {}
    rec = attack.reconstruct(params, preset.m, seed=seed, progress=progress, **known, **preset.settings)
    score = metrics.score(rec, data)  # from here on the true training set is used
    options = {"seed": seed, **preset.settings}
    if known:
        like = preset.training["first_scale"]
        control = {"stranger": (params, {"initial": untrained(params, seed + 1000, first_scale=like)})}
    elif not preset.weights or isinstance(score, metrics.PointScore):
        control = {"untrained": (untrained(params, seed), {})}
    for name, (net, given) in control.items():
        try:
            blind = attack.reconstruct(net, preset.m, progress=progress and metrics.NULLS[name], **given, **options)
        except ValueError:  # it finds nothing at all
            blind = rec._replace(x=0 * rec.x[:1], y=rec.y[:1], lam=rec.lam[:1], start=None)
        score.null[name] = metrics.score(blind, data)._replace(null=None)
    return params, known.get("initial"), data, rec, score
