r"""The attack of the paper (section 4): minimise the reconstruction loss over the samples x and multipliers λ.

It is given the trained weights, and the number of samples where that is known: no function here takes a data set.

`optimizer="sgd"` is the authors' method (sgd.py), `optimizer="lbfgs"` the default (lbfgs.py), and "differences"
subtracts neighbouring units, in seconds (differences.py). Told the weight decay, "lbfgs" knows λ from x (decay.py).
"""

import numbers

import numpy as np

from ..io import inputs, memory
from ..io.progress import progress_line
from ..mlp import CheckpointError, cast, check, square_norm, subtract
from . import decay, differences, lbfgs, refine, resume, rounds, sgd

SETTINGS = {
    "lbfgs": {
        "iterations": 1000,
        "alpha": 150.0,  # sharpness of the gates σ(αz)
        "lam_min": 0.447,
        "lam_max": 1.0,
        "start_scale": 1e-3,  # u starts at start_scale · N(0, 1)
        "span": None,  # number of singular vectors; None: half as many as candidates
        "margin_weight": 1.0,
        "upper_weight": 0.1,  # of the residuals of layers 2 … L; layer 1 counts 1
        "range_weight": 1.0,
        "spectrum": 0.5,  # the power of W¹'s spectrum that candidates are expected to have
        "between": 0.35,  # with known initial weights: how far from them to the trained ones gradients are taken
        "samples": None,  # number of training samples, where it is known: refine the candidates to so many
        "rounds": None,  # of refinement, from differences of units; they rank the samples, too
    },
    # the authors' best run on MNIST, from their published notebooks
    "sgd": {
        "iterations": 50_000,
        "alpha": 149.87,
        "lam_min": 0.4471,
        "start_scale": 0.03498,
        "lr_x": 0.03052,
        "lr_lam": 1e-4,
        "momentum": 0.9,
    },
    "differences": {"neighbours": 20},
}
COUNTS = ("iterations", "span", "samples", "rounds", "neighbours")

# Other defaults of "lbfgs": several outputs (chosen on CIFAR-10, n = 100) and known initial weights (MNIST, n = 50)
SEVERAL = {"alpha": 50.0, "lam_max": 15.0, "start_scale": 0.1}
KNOWN = {"alpha": 30.0, "start_scale": 0.02, "range_weight": 1e-3, "spectrum": 0.25}
# and of "lbfgs" where pixels end at 0 and 1 themselves: a background of 0 is worth less than the digits' noise (MNIST)
UNCENTRED = {"range_weight": 0.01}


def reconstruct(
    params, m=40, *, seed=0, optimizer="lbfgs", initial=None, dtype="float32", progress=False, checkpoint=None,
    **settings,
):  # fmt: skip
    r"""Reconstruct training samples from the weights of a network.

    Parameters
    ----------
    params : tuple of Layer, the trained network, with one output or, for "lbfgs", one for each class
    m : int, number of candidates; twice the number of training samples is a good choice
    seed : int or numpy.random.Generator
    optimizer : "lbfgs"; "sgd" for the authors' method; or "differences"
    initial : tuple of Layer, weights from which the training began, or an earlier checkpoint of it: what is explained
        is then their difference, with coefficients of any sign. "lbfgs" only. None: not known
    dtype : "float32" or "float64", in which losses and gradients are computed
    progress : show a progress line on standard error; a string is the name it goes by
    checkpoint : a path (.npz) to save the state of the attack to, every 100 iterations (1000 of "sgd"). If it
        is there already, the attack goes on from it, with the same result bit for bit as if it had never been
        cut short. It stays there: remove it when the result is safe. (Neither this nor dtype and progress matter to
        "differences", which takes seconds)
    settings : instead of the defaults in `SETTINGS[optimizer]`, or `SEVERAL` and `KNOWN`, which go before them; and
        inputs, what the network was given for pixels: "centred" (default), "raw", or numbers as in `io.inputs`. The
        range of the candidates follows from it. With "lbfgs" also decay, the weight of ½‖θ‖² in training, and loss,
        "logistic", "softmax" or "mse", as in `train`: λ is then not an unknown, the candidates begin as differences of
        units, and samples, n, is known or not but refines nothing; defaults in `decay.DEFAULTS`

    Returns
    -------
    Reconstruction. Ctrl-C ends the attack early and returns the best candidates so far.

    Raises
    ------
    CheckpointError : weights with NaN, shapes that do not chain, initial weights of other shapes or none that differ
    ValueError : an unknown optimizer or setting, a value out of range, a loss that is no longer finite, or a
        checkpoint in no folder, damaged, or saved by another attack
    """
    params = check(params)
    if initial is not None:
        initial = start_of(initial, params)
    outputs = len(params[-1].weight)
    settings = complete(optimizer, settings, outputs, initial)
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype = {dtype!r}: expected 'float32' or 'float64'")
    least = max(2, outputs)
    if not isinstance(m, numbers.Integral) or m < least:
        raise ValueError(f"m = {m}: expected a whole number of at least {least} candidates, one of each label")
    state = resume.State(checkpoint, resume.identity(params, m, seed, optimizer, dtype, settings, initial))
    if optimizer == "differences":
        limits = inputs.limits(settings["inputs"], params[0].weight.shape[1], "float64")
        rec = differences.differences(params, m, np.random.default_rng(seed), settings["neighbours"], limits)
        return rec._replace(inputs=settings["inputs"])
    params, known = cast(params, dtype), {} if initial is None else {"initial": cast(initial, dtype)}
    rng = np.random.default_rng(seed)
    start = (settings["start_scale"] * rng.standard_normal((m, params[0].weight.shape[1]))).astype(dtype)
    y = np.where(np.arange(m) < m // 2, -1, 1).astype(dtype) if outputs == 1 else np.arange(m) * outputs // m
    name = progress if isinstance(progress, str) else "attack"
    run = lbfgs.lbfgs if optimizer == "lbfgs" else sgd.attack
    if "decay" in settings:
        run = decay.attack
    samples, limits = settings.get("samples"), inputs.limits(settings["inputs"], start.shape[1], dtype)
    refined = samples and "decay" not in settings
    if refined:
        refine.check_samples(params, samples, m)
        if settings["rounds"]:
            rounds.expect_differences(params, settings["rounds"], limits)
    # losses that overflow are reported as an error of their own
    with np.errstate(all="ignore"), memory.kept():
        with progress_line(settings["iterations"], name, progress) as bar:
            rec = run(params, start, y, rng, bar, {**settings, "limits": limits}, state, **known)
        if refined and not rec.interrupted:
            with progress_line(refine.ITERATIONS, "refine", progress) as bar:
                rec = refine.refine(params, rec, samples, settings["alpha"], bar, settings["range_weight"], limits)
        if refined and settings["rounds"] and not rec.interrupted:
            with progress_line(settings["rounds"] * refine.ITERATIONS, "rounds", progress) as bar:
                likelihood = settings["alpha"], settings["range_weight"], limits
                rec = rounds.rounds(params, rec, settings["rounds"], rng, bar, *likelihood)
    return rec._replace(inputs=settings["inputs"])


def start_of(initial, params):
    r"""Initial weights, checked against the trained: CheckpointError for other shapes, or the same weights."""
    initial = check(initial, "initial")
    if len(initial) != len(params):
        raise CheckpointError(f"initial: {len(initial)} layers; expected {len(params)}, as the trained weights have")
    for number, pair in enumerate(zip(initial, params, strict=True), start=1):
        one, other = (" and ".join(str(None if p is None else p.shape) for p in layer) for layer in pair)
        if one != other:
            raise CheckpointError(f"initial: layer {number} has shapes {one}; expected {other}, the trained weights'")
    if not square_norm(subtract(params, initial)):
        raise CheckpointError("initial: the weights are the trained ones; expected those before the training")
    return initial


def complete(optimizer, given, outputs=1, initial=None):
    r"""The settings of an optimizer: its defaults, and `given` (a dict) instead of some of them.

    Raises ValueError for an unknown optimizer or setting, for values that are not positive numbers, and for several
    outputs or initial weights where they are not known what to do with.
    """
    if optimizer not in SETTINGS:
        raise ValueError(f"optimizer = {optimizer!r}: expected {', '.join(map(repr, SETTINGS))}")
    given = dict(given)
    taken, told = inputs.written(given.pop("inputs", "centred")), {}
    if beside := sorted({"decay", "loss"} & set(given)):
        if optimizer != "lbfgs":
            raise ValueError(f"{beside[0]}: expected optimizer = 'lbfgs'")
        told = decay.told(given.pop("decay", None), given.pop("loss", None), outputs)
        if initial is not None:
            raise ValueError("decay and initial weights: expected one of the two; with decay the start is forgotten")
    unknown = sorted(set(given) - set(SETTINGS[optimizer]))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such setting; expected {', '.join(SETTINGS[optimizer])}")
    # Python's own numbers: they leave float32 arrays what they are, NumPy's would not
    given = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
    for what, there in (("several outputs", outputs > 1), ("initial weights", initial is not None)):
        known = optimizer == "differences" and initial is None
        if there and not known and (optimizer != "lbfgs" or (given.get("samples") and not told)):
            raise ValueError(f"{what}: expected optimizer = 'lbfgs' and no samples")
    special = {} if optimizer != "lbfgs" else (SEVERAL if outputs > 1 else {}) | (KNOWN if initial is not None else {})
    if optimizer == "lbfgs" and taken != "centred":
        special = UNCENTRED | special
    if told:
        special = special | decay.DEFAULTS
    settings = {**SETTINGS[optimizer], **special, **given}
    for name, value in settings.items():
        if value is None and SETTINGS[optimizer][name] is None:
            continue
        is_weight = name.endswith("_weight") or name == "momentum"  # these may be 0
        if not isinstance(value, numbers.Real) or not (0 < value < np.inf or (is_weight and value == 0)):
            raise ValueError(f"{name} = {value}: expected a positive number")
        if name in COUNTS and not isinstance(value, numbers.Integral):
            raise ValueError(f"{name} = {value}: expected a whole number")
    if settings.get("rounds") and (told or not settings["samples"]):
        expected = "no decay, with which nothing is refined" if told else "samples, too"
        raise ValueError(f"rounds = {settings['rounds']}: expected {expected}")
    if "lam_max" in settings and not settings["lam_max"] > settings["lam_min"]:
        raise ValueError(f"lam_max = {settings['lam_max']}: expected more than lam_min = {settings['lam_min']}")
    return {**settings, **told, "inputs": taken}
