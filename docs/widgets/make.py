r"""The widgets' still pictures, and the frames of `descent`: python docs/widgets/make.py, a minute or two.

Each picture (pictures.py) shows what its script shows before anybody touches it, for paper and for readers without
script. The frames, descent.png and descent.data.js, are the attack on the shipped net, cut short after so many
iterations. (The first iterations of a long descent are those of a short one.)
"""

import json
import re
from pathlib import Path

import numpy as np
import pictures
from PIL import Image

import minirecon as mr
from minirecon import attack, metrics
from minirecon.attack import lbfgs
from minirecon.experiments import pixels, shipped
from minirecon.experiments.drawing.images import draw

HERE = Path(__file__).parent
ITERATIONS = (0, 1, 2, 4, 6, 9, 13, 18, 24, 32, 42, 55, 70, 85, 100, 125, 150, 190, 240, 300)
EACH = 5  # digits of each label: the first of the training set, not the best
M, SEED, SETTINGS = 60, 0, {"span": 20}  # the demo's


def frames():
    r"""The attack after each of ITERATIONS: pictures (frames + 1, digits, d), the truth last; loss and NCC (frames, …).

    The candidate that is followed is, for each digit, the one that is nearest after the last iteration.
    """
    params, data = shipped("mnist-n20.pth", "mnist", 20)
    x, loss = [], []
    for k in ITERATIONS[1:]:
        rec = mr.reconstruct(params, M, seed=SEED, iterations=k, **SETTINGS)
        x.append(rec.x)
        loss.append(sum(values[-1] for values in rec.history.values()))
    x, loss = [rec.start, *x], [loss_at_start(params, rec), *loss]
    digits = np.concatenate([np.flatnonzero(data.y == label)[:EACH] for label in (1, -1)])
    truth = data.x[digits]
    shape = (-1, *data.image_shape)
    nearest = metrics.ncc(truth.reshape(shape), x[-1].reshape(shape)).argmax(axis=1)
    followed = np.array([each[nearest] for each in x])
    ncc = [np.diag(metrics.ncc(truth.reshape(shape), each.reshape(shape))) for each in followed]
    return np.concatenate([followed, truth[None]]), np.array(loss), np.array(ncc)


def loss_at_start(params, rec):
    r"""The loss before the first step; `reconstruct` draws x and then σ(t)."""
    rng = np.random.default_rng(SEED)
    rng.standard_normal(rec.start.shape)
    p = rng.uniform(0, 1, M)
    problem = lbfgs.pose(params, rec.y, attack.complete("lbfgs", SETTINGS))
    terms = lbfgs.terms(problem, rec.start @ problem.v, np.log(p / (1 - p)))
    return float(sum(terms.values()))


def sprite(pictures):
    r"""Pictures (rows, columns, d), each in its own range about 0, as one image (rows · h, columns · w) of bytes."""
    rows, columns, d = pictures.shape
    side = int(d**0.5)
    scaled = 0.5 + 0.5 * pictures / np.abs(pictures).max(axis=2, keepdims=True)
    return pixels(scaled.reshape(rows, columns, side, side).transpose(0, 2, 1, 3).reshape(rows * side, -1))


def stills(image, loss, ncc):
    r"""Write the four pictures, small: 12 greys in the PNG, places to a hundredth of a point in the SVGs."""
    path = HERE / "descent.still.png"
    draw(lambda: pictures.descent(image, ITERATIONS, loss, ncc), path)
    Image.open(path).convert("L").quantize(12).save(path, optimize=True)
    for make in (pictures.street, pictures.gates, pictures.split):
        path = HERE / f"{make.__name__}.svg"
        draw(make, path)
        text = re.sub(r"([1-9]\d*\.\d\d)\d+", r"\1", path.read_text(encoding="utf-8"))
        path.write_text(re.sub(r"\s*\n\s*", "\n", text), encoding="utf-8")


def main():
    x, loss, ncc = frames()
    image = sprite(x)
    numbers = {
        "iterations": ITERATIONS,
        "loss": np.round(loss, 3).tolist(),
        "ncc": np.round(np.median(ncc, axis=1), 3).tolist(),
        "digits": x.shape[1],
    }
    text = f"// Written by make.py, of the attack after so many iterations.\nwindow.descent = {json.dumps(numbers)};\n"
    (HERE / "descent.data.js").write_text(text, encoding="utf-8")
    Image.fromarray(image).save(HERE / "descent.png", optimize=True)
    stills(image, loss, ncc)


if __name__ == "__main__":
    main()
