r"""The paper's figures, and what else in it can be measured, each from one command: `minirecon figure NAME`.

A figure is a module of its name, which has

    run(seed, progress, **settings) -> dict of arrays, which become NAME.npz; its defaults are the figure's settings
    QUICK    what `--quick` changes in them, a dict, for a version in under two minutes
    draw(data) -> matplotlib Figure of these arrays, which becomes NAME.svg
    PICTURES where that is not all: a dict of files, NAME.png (for images) or NAME-MORE.svg, and their functions
    numbers(data) -> dict of what was measured, for NAME.json
    caption(data) -> Markdown: what is to be seen, what was measured, where it differs from the paper and why
"""

import importlib
import inspect

import numpy as np

from .. import attack, metrics, mlp
from ..io import datasets, weights
from ..training import train

NAMES = (
    "fig2", "fig3", "fig4", "baselines", "membership", "nonunique", "leak", "training", "colours", "losses", "svm",
    "sweep", "gates", "differences", "classes", "initial", "checkpoints", "federated", "decay", "practice",
)  # fmt: skip


def load(name):
    r"""The module of a figure."""
    return importlib.import_module(f".{name}", __name__)


def pictures(name):
    r"""The pictures of a figure: a dict of file names and functions that make a Figure of its data."""
    module = load(name)
    return getattr(module, "PICTURES", {f"{name}.svg": module.draw})


def settings(name, quick=False):
    r"""The settings of a figure: a new dict."""
    module = load(name)
    _, _, *given = inspect.signature(module.run).parameters.values()
    return {each.name: each.default for each in given} | (module.QUICK if quick else {})


def shipped(file, case, n):
    r"""Weights that are shipped with the package, and the training set they come from: params, Dataset."""
    return weights.load(datasets.data_file(file)), datasets.load_dataset(case, n)


def untrained(params, seed, **options):
    r"""A network of the same shape with fresh initial weights: params."""
    *hidden, outputs = [len(layer.weight) for layer in params]
    return mlp.initialise(np.random.default_rng(seed), params[0].weight.shape[1], hidden, outputs=outputs, **options)


def trained(case, n, hidden, seed, classes=2, **options):
    r"""What `train` makes of a network on a training set, all of it, and that set: TrainingRun, Dataset."""
    data = datasets.load_dataset(case, n, classes)
    return whole(train(data, hidden, seed, **options)), data


def attacked(params, m, **options):
    r"""`attack.reconstruct`, all of it: a Reconstruction."""
    return whole(attack.reconstruct(params, m, **options))


def beyond(case, n, first):
    r"""A Dataset of n images, n/2 of each of two classes from place `first` of that class on, less their own mean."""
    data = datasets.load_dataset(case, 2 * first + n)
    chosen = np.sort(np.concatenate([np.flatnonzero(data.y == label)[first:] for label in (-1, 1)]))
    x = data.pixels(data.x[chosen])
    mean = x.mean(axis=0)
    return data._replace(x=x - mean, y=data.y[chosen], mean=mean, x_test=data.x_test + data.mean - mean)


def told(names, ncc, ssim, keys):
    r"""Of each row of NCC and SSIM (rows, n) what `keys` names of `metrics.summarise`: a dict of dicts."""
    every = map(metrics.summarise, ncc, ssim)
    return {name: {key: got[key] for key in keys} for name, got in zip(names, every, strict=True)}


def pixels(images):
    r"""Images in [0, 1] as bytes: uint8."""
    return np.round(255 * np.asarray(images)).astype(np.uint8)


def whole(run):
    r"""The result of a training or an attack, unless Ctrl-C cut it short: half an experiment is none."""
    if run.interrupted:
        raise KeyboardInterrupt
    return run
