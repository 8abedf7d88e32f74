r"""Not unique: candidates that split and merge, and a parameter loss (paper, section 4) that does not notice.

Within one activation pattern the signals d of a sample do not depend on it and the inputs a of each layer are affine
in it, so that λ∇Φ(x) of one label is linear in (λ, λx): all that counts is Σλ and Σλx (Refael et al. 2025).
"""

from itertools import combinations

import numpy as np

from .. import kkt, losses, metrics, mlp
from ..attack.candidates import merge_pair
from . import pixels, shipped
from .drawing import BLACK, LINES, captions
from .drawing.images import blank, image_rows

QUICK = {"points": 16}
SHOWN = 1.0  # the size of the split that is drawn
WAYS = {"pattern": "within the activation pattern", "straight": "straight to the unseen image"}
ROWS = ("training image x", "one half, x + v", "the other, x − v", "unseen image")
TERMS = ("change of\nparameter loss / ‖θ‖²", "change of\nrange loss", "change of\nmargin loss")
MEASURED = ("residual", "range", "margin")
FLOOR = (1e-17, 1e-9, 1e-9)  # where the logarithmic axes end


def split(x, lam, i, v, a, b):
    r"""Replace candidate i by x + av with weight λb/(a + b) and x − bv with weight λa/(a + b).

    Parameters
    ----------
    x : (m, d);  lam : (m,), λ of the KKT condition (`lam` of `losses.parameter_loss` is m times that)
    i : int, which;  v : (d,);  a, b : sizes, above 0

    Returns
    -------
    x : (m + 1, d), lam : (m + 1,); the second half comes last. `candidates.merge_pair` of i and m undoes it

    Source: Refael et al., arXiv 2509.21296.
    """
    whole, left = lam[i], np.copy(lam)
    left[i] = whole * b / (a + b)
    halves = np.array(x, float)
    halves[i] = x[i] + a * v
    return np.vstack([halves, x[i] - b * v]), np.append(left, whole * a / (a + b))


def hidden_jacobian(params, x):
    r"""z of all hidden units at one sample x (d,), and ∂z/∂x: (units,) and (units, d), layer after layer."""
    _, _, z, gates = mlp.forward(params, x[None])
    slopes = [params[0].weight]
    for layer, gate in zip(params[1:-1], gates[:-1], strict=True):
        slopes.append(layer.weight @ (gate[0][:, None] * slopes[-1]))  # (out, in) x (in, d)
    return np.concatenate([each[0] for each in z[:-1]]), np.vstack(slopes)


def kink(z, slopes, v):
    r"""The largest t up to which x + tv and x − tv both have the activation pattern of x."""
    change = np.abs(slopes @ v)
    return float(np.min(np.abs(z) / np.maximum(change, 1e-300)))


def within_pattern(params, x, v, reach):
    r"""What is left of v (d,) when the fewest units, nearest to their kink first, may not see it: v (d,), their number.

    Fewest, by tens, such that x ± reach·v have the activation pattern of x. Raises ValueError if none is left.
    """
    z, slopes = hidden_jacobian(params, x)
    order = np.argsort(np.abs(z) / np.linalg.norm(slopes, axis=1))
    for blind in range(0, len(x), 10):
        q = np.linalg.qr(slopes[order[:blind]].T)[0]  # (d, blind)
        left = v - q @ (q.T @ v)
        left = left - q @ (q.T @ left)  # once more, for rounding
        if kink(z, slopes, left) >= reach:
            return left, blind
    raise ValueError(f"no direction keeps the activation pattern up to a size of {reach}")


def measure(params, x, lam, y):
    r"""Residual of the KKT condition, range loss and margin loss of candidates: (3,)."""
    total = losses.residual(params, x, len(x) * lam, y)["total"]
    return np.array([total, losses.range_loss(x), losses.margin_loss(mlp.forward(params, x).phi, y)])


def run(seed, progress, weights="mnist-n20.pth", case="mnist", n=20, count=5, largest=3.0, points=61):
    r"""Split the training images with the largest λ, one at a time, towards unseen images of their label.

    In two ways: v straight to the unseen image, and what of it leaves the activation pattern as it is up to size 1.
    Uses the true training set. Returns a dict: `measured` as `measure` has it, for each way, image and size of split,
    (2, count, points, 3), `before` (3,) and for the nearest two images `merged` (3,); `kinks` (2, count), the size at
    which the pattern changes; `blind` (count,), the units that may not see v; pictures, their NCC and Φ.
    """
    params, data = shipped(weights, case, n)
    params, rng = mlp.cast(params, float), np.random.default_rng(seed)
    lam, sizes = kkt.multipliers(params, data.x, data.y), np.linspace(0, largest, points)
    measured, kinks = np.zeros((len(WAYS), count, points, 3)), np.zeros((len(WAYS), count))
    blind, pictures = [], []
    for place, i in enumerate(np.argsort(-lam)[:count]):
        unseen = data.x_test[rng.choice(np.flatnonzero(data.y_test == data.y[i]))]
        v, units = within_pattern(params, data.x[i], unseen - data.x[i], SHOWN)
        for way, direction in enumerate((v, unseen - data.x[i])):
            kinks[way, place] = kink(*hidden_jacobian(params, data.x[i]), direction)
            for step, size in enumerate(sizes):
                halves = split(data.x, lam, i, size * direction, 1, 1)
                measured[way, place, step] = measure(params, *halves, np.append(data.y, data.y[i]))
        blind.append(units)
        pictures.append([data.x[i], data.x[i] + SHOWN * v, data.x[i] - SHOWN * v, unseen])
    flat = np.concatenate(pictures)
    images, original = (x.reshape(-1, *data.image_shape) for x in (flat, np.repeat(flat[:: len(ROWS)], len(ROWS), 0)))
    ncc = np.diag(metrics.ncc(images, original)).reshape(count, -1)
    i, j = nearest(data)
    pair = data.x[[i, j]].reshape(2, *data.image_shape)
    merged = measure(params, *merge_pair(data.x, lam, i, j), np.delete(data.y, j))
    return {
        "case": case, "sizes": sizes, "measured": measured, "kinks": kinks, "blind": blind, "d": data.x.shape[1],
        "before": measure(params, data.x, lam, data.y), "merged": merged,
        "merged_ncc": metrics.ncc(pair[:1], pair[1:])[0, 0], "norm": mlp.square_norm(params),
        "pictures": pixels(metrics.stretch(flat + data.mean)), "shape": data.image_shape,
        "ncc": ncc, "phi": mlp.forward(params, flat).phi.reshape(count, -1),
    }  # fmt: skip


def nearest(data):
    r"""The two training images of one label that are nearest to one another: i < j."""
    pairs = ((i, j) for i, j in combinations(range(len(data.y)), 2) if data.y[i] == data.y[j])
    return min(pairs, key=lambda pair: np.linalg.norm(np.subtract(*data.x[list(pair)])))


def draw(data):
    r"""Images and the halves they are split into; residual, range and margin loss over the size of the split."""
    count = len(data["blind"])
    figure = blank(6.6, "Two candidates for one: the parameter loss does not notice")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.8, 1))
    pictures = data["pictures"].reshape(count, len(ROWS), -1) / 255
    words = [f"NCC {ncc:.2f}, Φ {phi:.1f}" for ncc, phi in zip(data["ncc"].flat, data["phi"].flat, strict=True)]
    titles = np.char.replace(words, "-", "−").reshape(data["ncc"].shape).T
    image_rows(upper, ROWS, pictures.transpose(1, 0, 2), data["shape"], titles)
    change = np.abs(data["measured"] - data["measured"][:, :, :1])
    change[..., 0] /= data["norm"]
    panels = lower.subplots(1, 3)
    for k, (axes, label) in enumerate(zip(panels, TERMS, strict=True)):
        for way, name in enumerate(WAYS.values()):
            values = np.maximum(change[way, ..., k], FLOOR[k])  # (count, points)
            lines = axes.plot(data["sizes"], values.T, **LINES[way], linewidth=0.8)
            lines[0].set_label(name)
        axes.axvline(SHOWN, color=BLACK, linestyle=":", label="size 1, drawn above")
        axes.set(yscale="log", xlabel="size of the split: x ± size · v", title=label)
        axes.grid()
    lower.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


PICTURES = {"nonunique.png": draw}


def numbers(data):
    r"""What the parameter loss, the range loss and the margin loss do at size 1, and within the pattern."""
    change = data["measured"] - data["measured"][:, :, :1]
    shown = int(np.argmin(np.abs(data["sizes"] - SHOWN)))
    same = data["sizes"] <= data["kinks"][0][:, None]  # (count, points)
    return {
        "within_pattern": float(np.abs(change[0, ..., 0])[same].max() / data["norm"]),
        "smallest_kink": [float(kinks.min()) for kinks in data["kinks"]],
        "free_directions": [int(data["d"] - units) for units in data["blind"]],
        "ncc": [float(np.median(data["ncc"][:, 1:3])), float(data["ncc"][:, 1:3].min())],
        "relative_residual": float(data["before"][0] / data["norm"]),
        "explained": float(data["norm"] - data["before"][0]),
        **{way: dict(zip(MEASURED, change[k, :, shown].T.tolist(), strict=True)) for k, way in enumerate(WAYS)},
        "merged_ncc": float(data["merged_ncc"]),
        "merged_residual": float(data["merged"][0] - data["before"][0]),
        "end": {way: change[k, :, -1].tolist() for k, way in enumerate(WAYS)},
    }  # fmt: skip


def caption(data):
    r"""What the figure shows."""
    got = numbers(data)
    straight, pattern = got["straight"], got["pattern"]
    return captions.text(
        "nonunique",
        data=data,
        got=got,
        count=len(data["blind"]),
        shown=SHOWN,
        free=min(got["free_directions"]),
        rounding=max(got["within_pattern"], np.finfo(float).eps),
        straight=captions.span(np.divide(straight["residual"], got["explained"])),
        straight_margin=captions.span(straight["margin"]),
        pattern_range=captions.span(pattern["range"]),
        pattern_margin=captions.span(pattern["margin"]),
        merged=got["merged_residual"] / got["explained"],
        end=captions.span(term[1] for term in got["end"]["pattern"]),
        largest=data["sizes"][-1],
    )
