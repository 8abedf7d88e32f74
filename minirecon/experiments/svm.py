r"""From the SVM to the network: why a linear model reveals one vector and a ReLU network reveals samples.

The paper's section 3 for Φ(x) = ⟨w, x⟩, for Φ(x) = W²W¹x, and for a ReLU network, on the same images.
"""

import numpy as np

from .. import kkt, metrics
from ..mlp import Layer
from ..training import flow_step, log_logistic_loss
from . import pixels, trained
from .drawing import BLACK, MARKED, ORANGE, captions, curves
from .drawing.images import blank, image_rows

QUICK = {"log_losses": (-1.0, -5.0, -20.0)}
RELU_ROWS = 5


def run(seed, progress, case="mnist", n=20, width=100, log_losses=(-1.0, -2.0, -5.0, -10.0, -20.0, -40.0, -80.0)):
    r"""Solve the SVM, train a linear network ever further and a ReLU network. All on the true training set.

    Returns a dict: λ of the SVM; of the linear network the cosine of W²W¹ with w for each log L, and σ(−q) scaled to
    the sum of λ; singular values of both first layers; vectors to draw; their |NCC| with the nearest training image.
    """
    net, data = trained(case, n, (width,), seed, progress=progress)
    relu = net.params[0].weight.astype(float)
    w, _, lam = kkt.hard_margin(data.x, data.y, bias=False)
    cosine, late = [], None
    for log_loss in log_losses:  # each time from the same start: the path is the same, a little longer
        first, second = linear_network(data.x, data.y, np.random.default_rng(seed), width, log_loss)
        product = (second.weight @ first.weight)[0]
        cosine.append(product @ w / np.linalg.norm(product) / np.linalg.norm(w))
        weights = log_logistic_loss(data.y * (data.x @ product))[1]
        late = weights / weights.sum() * lam.sum()
    vectors = np.array([w, _largest(first.weight, 1)[0], *_largest(relu, RELU_ROWS)])
    images, truth = (x.reshape(-1, *data.image_shape) for x in (vectors, data.x))
    similar = np.abs(metrics.ncc(images, truth))
    span = np.linalg.svd(relu)[2][:n]
    return {
        "case": case, "lam": lam, "late": late, "log_losses": np.array(log_losses), "cosine": np.array(cosine),
        "linear": np.linalg.svd(first.weight, compute_uv=False)[: 2 * n],
        "relu": np.linalg.svd(relu, compute_uv=False)[: 2 * n],
        "vectors": vectors.astype(np.float16), "shape": data.image_shape,
        "nearest": similar.max(axis=1), "nearest_images": pixels((data.x + data.mean)[similar.argmax(axis=1)]),
        "in_span": np.linalg.norm(data.x @ span.T, axis=1) / np.linalg.norm(data.x, axis=1),
    }  # fmt: skip


def _largest(weight, count):
    r"""The rows of the greatest norm, but no two that are nearly parallel: a list of `count` unit vectors (d,)."""
    rows = []
    for row in weight[np.argsort(-np.linalg.norm(weight, axis=1))]:
        unit = row / np.linalg.norm(row)
        if all(abs(unit @ other) < 0.9 for other in rows):
            rows.append(unit)
    return rows[:count]


def draw(data):
    r"""Cosine with the SVM, λ, singular values."""
    figure, (cosine, lam, singular) = curves.panels(3, f"From the SVM to the network: {len(data['lam'])} images")
    cosine.plot(-data["log_losses"], 1 - data["cosine"], **MARKED[1])
    cosine.set(xscale="log", yscale="log", xlabel="−log L of the training", ylabel="1 − cosine of W²W¹ and w")
    cosine.set_title("a linear network turns to the SVM")
    lam.plot(data["late"], data["lam"], "o", color=ORANGE)
    top = max(data["late"].max(), data["lam"].max())
    lam.plot([0, top], [0, top], "--", color=BLACK, label="equal")
    lam.set(xlabel="linear network: c σ(−yΦ(x))", ylabel="λ of the SVM")
    lam.set_title("its λ turn into the SVM's")
    lam.legend()
    for name, label, style in (("linear", "linear network", MARKED[1]), ("relu", "ReLU network", MARKED[0])):
        values = data[name] / data[name][0]
        singular.plot(np.arange(1, len(values) + 1), values, **style | {"markersize": 2}, label=label)
    singular.axvline(len(data["lam"]), color=BLACK, linewidth=0.8, linestyle=":", label=f"n = {len(data['lam'])}")
    singular.set(yscale="log", xlabel="number of the singular value", ylabel="of W¹, first = 1")
    singular.set_title("one direction, or n")
    singular.legend()
    return figure


def draw_rows(data):
    r"""What w and rows of the first layers look like, each above the training image nearest to it."""
    figure = blank(2.5, "Rows of W¹ are blends: above, w or a row; below, the nearest training image (number: |NCC|)")
    vectors = metrics.stretch(data["vectors"].astype(float))
    names = ["w of the SVM", "linear: a row"] + [f"ReLU: row {k + 1}" for k in range(len(vectors) - 2)]
    titles = [names, [f"{ncc:.2f}" for ncc in data["nearest"]]]
    images = np.array([vectors, data["nearest_images"] / 255])
    image_rows(figure, ["direction", "training\nimage"], images, data["shape"], titles)
    return figure


PICTURES = {"svm.svg": draw, "svm-rows.png": draw_rows}


def numbers(data):
    r"""What is stated in the caption."""
    return {
        "support_vectors": int(np.sum(data["lam"] > 1e-6 * data["lam"].max())),
        "cosine": float(data["cosine"][-1]),
        "log_loss": float(data["log_losses"][-1]),
        "linear_directions": int(np.sum(data["linear"] > 2 * data["linear"][len(data["lam"])])),
        "relu_directions": int(np.sum(data["relu"] > 2 * data["relu"][len(data["lam"])])),
        "nearest_w": float(data["nearest"][0]),
        "nearest_relu": data["nearest"][2:].tolist(),
        "in_span": [float(np.median(data["in_span"])), float(data["in_span"].min())],
    }


def caption(data):
    r"""What the figure shows."""
    got, n = numbers(data), len(data["lam"])
    relu = captions.listed(got["nearest_relu"], ".2f")
    return captions.text("svm", case=data["case"], n=n, rank=n - 1, got=got, relu=relu)


def linear_network(x, y, rng, width=100, target_log_loss=-40.0, max_steps=100_000):
    r"""Train Φ = W²W¹x, no ReLU and no bias, in log-loss time; W²W¹ turns towards the w of `hard_margin`.

    Parameters
    ----------
    x : (n, d);  y : (n,);  rng : numpy.random.Generator
    width : int, hidden units
    target_log_loss : log L to stop at
    max_steps : int, in which it has to be reached

    Returns
    -------
    tuple of two Layers, (width, d) and (1, width)

    Raises
    ------
    ValueError : the target is not reached, as when no hyperplane through 0 separates the samples

    Source: Ji and Telgarsky 2019, "Gradient descent aligns the layers of deep linear networks", arXiv 1810.02032.
    """
    w1, w2 = 1e-4 * rng.standard_normal((width, x.shape[1])), rng.uniform(-1, 1, (1, width)) / width**0.5
    for _ in range(max_steps):
        log_loss, weights = log_logistic_loss(y * (x @ w1.T @ w2.T)[:, 0])
        if log_loss <= target_log_loss:
            return Layer(w1), Layer(w2)
        s = (weights * y / len(y)) @ x  # −∂ log L / ∂(W²W¹), (d,)
        by_w1, by_w2 = w2.T * s, (w1 @ s)[None]  # (width, d), (1, width)
        lr = flow_step((Layer(w1), Layer(w2)), (Layer(by_w1), Layer(by_w2)), log_loss)
        w1, w2 = w1 + lr * np.exp(log_loss) * by_w1, w2 + lr * np.exp(log_loss) * by_w2
    raise ValueError(
        f"log L is {log_loss:.3g} after {max_steps} steps; expected {target_log_loss}, or separable samples"
    )
