r"""Pictures of candidates: above their originals, all of them, and what several runs agree on (cf. Fig. 2 and 3).

Matplotlib's object interface is used, so that no window, display or global state is involved.
"""

import contextlib
import os
import warnings

import numpy as np

from ...io.archive import shown
from ...io.files import atomic
from ...metrics import PointScore, image_shape, stretch
from . import BLACK, BLUE, ORANGE, SMALL, STYLE, WIDTH

COLUMNS = 10  # images in a row
MOST_PAIRS = 20  # in the picture of reconstructions
MOST_CANDIDATES = 100  # in the grid


@contextlib.contextmanager
def ours():
    r"""Matplotlib in our style: nothing that a user has set, in files or variables, changes what is drawn here."""
    before = dict(os.environ)
    os.environ |= {"MATPLOTLIBRC": os.devnull, "MPLBACKEND": "agg"}  # a user's may be such that it can't be imported
    try:
        import matplotlib  # imported here: `minirecon --help` need not wait for it
    finally:
        os.environ.clear()
        os.environ.update(before)
    shipped = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    with matplotlib.rc_context(shipped | STYLE):
        yield


def plain(text):
    r"""A name from a path or a file, for a title: no mathematics in it, no bytes that are no text, and not long."""
    return shown(text, 40).replace("$", r"\$")


def blank(height, title=None):
    r"""An empty figure as wide as a page's text, `height` inches high."""
    from matplotlib.figure import Figure

    empty = Figure(figsize=(WIDTH, height), layout="constrained")
    if title:
        empty.suptitle(title)
    return empty


def save(figure, path):
    r"""Write a figure, whole or not at all: as PNG or, its text as paths, as SVG. The same figure is the same file."""
    with ours(), atomic(path) as temporary:
        small = {"pil_kwargs": {"optimize": True}}
        figure.savefig(temporary, **({"metadata": {"Date": None}} if temporary.suffix == ".svg" else small))


def draw(make, path):
    r"""Save the figure that `make()` returns; None is passed over. Raises ValueError, in one line, if that fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a name in a script that the font lacks
            with ours():
                figure = make()
                if figure is not None:
                    save(figure, path)
    except (Exception, KeyboardInterrupt) as reason:
        raise ValueError(f"{path}: not drawn ({type(reason).__name__} {reason}); all else is there") from None


def cells(part, rows, columns, **options):
    r"""Axes (rows, columns) in a figure or a part of one, as `subplots` makes them, unseen until something is shown."""
    grid = part.subplots(rows, columns, squeeze=False, **options)
    for axes in grid.ravel():
        axes.set_axis_off()
    return grid


def show(axes, pixels, shape, title="", **font):
    r"""Draw one image, pixels (d,) in [0, 1] in the order `shape` = (c, h, w), without ticks, below its title."""
    image = pixels.reshape(shape).transpose(1, 2, 0)  # (h, w, c)
    axes.imshow(image if shape[0] == 3 else image[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, **{"fontsize": SMALL, "pad": 2, **font})


def reconstructions(score, data):
    r"""Each training image below its nearest candidate, best NCC first; for points, where they lie."""
    if isinstance(score, PointScore):
        return _points(score, data)
    order = np.argsort(-score.ncc)[:MOST_PAIRS]
    which = "all" if len(order) == len(data.x) else f"the best {len(order)} of"
    title = (
        f"Reconstructed from the weights alone: {which} {len(data.x)} training images of {plain(data.name)}\n"
        "(sorted by NCC; the nearest of all candidates is chosen with the true image in hand)"
    )
    figure = blank(1.75 * -(-len(order) // COLUMNS) + 0.4, title)
    figure.get_layout_engine().set(h_pad=0.02, hspace=0)
    titles = [f"NCC {ncc:.2f}" for ncc in score.ncc[order]]
    names = [label(data.y[i], data.class_names) for i in order] if len(data.class_names) > 2 else None
    pairs(figure, score.images[order], data.pixels(data.x[order]), data.image_shape, titles, names)
    return figure


def pairs(part, images, truth, shape, titles, names=None):
    r"""In a figure or a part of one, images (c, d) in [0, 1] below their titles, above the `truth` (c, d).

    A block of two rows for every ten of them. `names` stand above the truth.
    """
    blocks = -(-len(images) // COLUMNS)
    # a narrow empty row between the blocks
    grid = cells(part, 3 * blocks - 1, COLUMNS, height_ratios=([1, 1, 0.1] * blocks)[:-1])
    for place, (image, original) in enumerate(zip(images, truth, strict=True)):
        block, column = divmod(place, COLUMNS)
        show(grid[3 * block, column], image, shape, titles[place])
        show(grid[3 * block + 1, column], original, shape, names[place] if names else "")
    for axes, label in zip(grid[:, 0], ["reconstructed", "training image", ""] * blocks, strict=False):
        axes.set_ylabel(label, fontsize=SMALL)


def parts(names, title, height):
    r"""A figure with a title and a part for each name, `height` inches each: the figure, and a dict name: part."""
    figure = blank(height * len(names), title)
    return figure, dict(zip(names, figure.subfigures(len(names), 1, squeeze=False).ravel(), strict=True))


def _points(score, data):
    figure = blank(WIDTH)
    axes = figure.subplots()
    truth = data.pixels(data.x)
    ends = [0, -1]  # for colours the red and the blue channel, for points the two coordinates
    axes.scatter(*truth[:, ends].T, s=120, facecolors="none", edgecolors=BLACK, label="training samples")
    for sign, marker, colour in ((-1, "x", BLUE), (1, "+", ORANGE)):
        chosen = score.images[data.y[score.nearest] == sign]
        named = f"{len(chosen)} candidates: {label(sign, data.class_names)}"
        axes.scatter(*chosen[:, ends].T, s=30, marker=marker, c=colour, label=named)
    is_colour = data.image_shape is not None
    axes.set(
        xlabel="red, 0 to 1" if is_colour else "coordinate 1",
        ylabel="blue, 0 to 1" if is_colour else f"coordinate {truth.shape[1]}",
        title=f"{plain(data.name)}: reconstructed from the weights alone\nand the {len(data.x)} training samples",
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid()
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def image_rows(part, labels, images, shape, titles):
    r"""In a figure or a part of one, rows of images (rows, columns, d) in [0, 1]: a label each, and titles as many."""
    grid = cells(part, *images.shape[:2])
    for label, line, row, words in zip(labels, grid, images, titles, strict=True):
        for axes, image, title in zip(line, row, words, strict=True):
            show(axes, image, shape, title)
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")


def label(y, class_names=None):
    r"""What one label is called: the name of its class, or −1, +1, 0, 1, … where names are not known."""
    if class_names:
        return plain(class_names[int(y > 0) if len(class_names) == 2 else int(y)])
    return str(y) if np.issubdtype(np.asarray(y).dtype, np.integer) else "+1" if y > 0 else "−1"


def candidates(x, y, lam, class_names=None, note=", the mean image not added"):
    r"""All candidates (at most 100), each stretched to [0, 1], the largest λ of each label first.

    The mean training image is not added, as `note` says: the attack does not know it. None if x has no image shape.
    """
    order = np.lexsort((-lam, y))
    if len(order) > MOST_CANDIDATES:  # the same number of each label
        labels = np.unique(y)
        order = np.concatenate([order[y[order] == each][: MOST_CANDIDATES // len(labels)] for each in labels])
    titles = [f"{label(y[i], class_names)}, λ {lam[i]:.2f}" for i in order]
    title = f"{len(order)} of {len(x)} candidates (label, multiplier λ){note}"
    return _grid(x[order], titles, title)


def consensus(x, y, support):
    r"""What several runs agree on (the first 40), as `candidates` shows it. None if x has no image shape."""
    count = min(len(x), 40)
    titles = [f"{label(y[i])}, {support[i]:.0%}" for i in range(count)]
    title = f"What the runs agree on: {count} of {len(x)} groups of candidates (label, share of the other runs)"
    return _grid(x[:count], titles, title)


def _grid(x, titles, title):
    shape, rows = image_shape(x.shape[1]), -(-len(x) // COLUMNS)
    if shape is None:
        return None
    figure = blank(0.8 * rows + 0.4, title)
    grid = cells(figure, rows, COLUMNS).ravel()
    for axes, image, text in zip(grid, stretch(x.astype(float)), titles, strict=False):
        show(axes, image, shape, text, fontsize=5.5)
    return figure
