r"""The training sets of the paper (section 5 and appendix), and a user's own files.

MNIST, odd against even digits; CIFAR-10, animals against vehicles; either in its ten classes; the colour toy,
pure red against pure blue; the circle of Fig. 2. Pixels are in [0, 1] less the mean training image, unless a network
was given others: `io.inputs`.
"""

import numbers
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import inputs as given
from .archive import shown
from .files import read_npz
from .folders import read_folder

# the paper's two classes, −1 and +1, by the original labels in each
TWO = {
    "mnist": {"even": (0, 2, 4, 6, 8), "odd": (1, 3, 5, 7, 9)},
    "cifar10": {"vehicle": (0, 1, 8, 9), "animal": (2, 3, 4, 5, 6, 7)},
}
TEN = {
    "mnist": [str(digit) for digit in range(10)],
    "cifar10": ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
}


class Dataset(NamedTuple):
    r"""A classification problem.

    name : what it was loaded as
    x : (n, d) float64, training samples as a network takes them, (pixels − mean) / std; flattened as (c, h, w)
    y : (n,), labels: −1 or +1, float64, for two classes; 0 … K − 1, integers, for K of them
    mean : (d,), the mean training sample, or what `inputs` says
    image_shape : (c, h, w), or None where the samples are no images
    class_names : what −1 and +1, or 0 … K − 1, stand for
    x_test, y_test : (n_test, d) and (n_test,), held-out samples less the *training* mean; may be empty
    std : number or (d,); 1 unless `inputs` says otherwise
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    mean: np.ndarray
    image_shape: tuple | None
    class_names: tuple
    x_test: np.ndarray
    y_test: np.ndarray
    std: np.ndarray | float = 1.0

    def pixels(self, x):
        r"""The pixels of inputs x (m, d), such as its own x: (m, d)."""
        return x * self.std + self.mean


def data_file(name):
    r"""Path of a file that is shipped with the package: in an installed copy, or in the repository."""
    here = Path(__file__).parent.parent
    for folder in (here / "data", here.parent / "data"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{name}: expected among the package's data, in {here / 'data'}")


def load_dataset(name, n=20, classes=2, inputs="centred"):
    r"""Load a training set of n samples, the first n/K of each of K classes in file order.

    Parameters
    ----------
    name : "mnist", "cifar10", "colours" or "circle"; or the path of
        a folder with MNIST's idx files (train-images-idx3-ubyte, …, plain or .gz), odd against even, or
        with CIFAR-10's binary version (data_batch_1.bin, …), animals against vehicles, as `read_folder` finds them;
        an .npz file with `images`, uint8 or floats in [0, 1], of shape (N, h, w), (N, h, w, 3) or (N, d),
        and K different `labels`, the smallest of which becomes −1 for K = 2 and 0 otherwise (and, if held-out
        samples are wanted, `test_images` and `test_labels`)
    n : int, a multiple of K, size of the training set; n = 500 of "mnist" or "cifar10" is the paper's
    classes : K; 10 for MNIST and CIFAR-10 as they are, 2 for the paper's halves of them
    inputs : what the network was given for pixels in [0, 1]: "centred", less the mean training image, as in the paper;
        "raw"; or mean and standard deviation, as numbers or as a text, for RGB three of each: `io.inputs`

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError : n no multiple of K or larger than what is there, an unknown name, labels that are not K classes,
        pixels that are NaN or out of range, arrays or files of the wrong shape, unknown inputs
    """
    data = _load(name, n, classes)
    return data if given.written(inputs) == "centred" else given.changed(data, inputs)


def _load(name, n, classes):
    if not isinstance(classes, numbers.Integral) or classes < 2:
        raise ValueError(f"classes = {classes}: expected a whole number, at least 2")
    if n < 2 or n % classes:
        kind = "an even number" if classes == 2 else f"a multiple of {classes}"
        raise ValueError(f"n = {n}: expected {kind} of training samples, at least {classes}")
    if name in ("colours", "circle"):
        if classes != 2:
            raise ValueError(f"classes = {classes}: expected 2 for {name}")
        return (_colours if name == "colours" else _circle)(n)
    if name in ("mnist", "cifar10"):
        with np.load(data_file(f"{name}.npz")) as archive:
            arrays = [archive[f"{part}_{what}"] for part in ("train", "test") for what in ("images", "labels")]
        return _build(name, n, _kind(name, classes), *arrays)
    path = Path(name)
    if path.is_dir():
        kind, *arrays = read_folder(path)
        return _build(str(name), n, _kind(kind, classes), *arrays)
    if path.suffix.lower() == ".npz":
        return _npz(path, n, classes)
    raise ValueError(f"{name}: expected mnist, cifar10, colours, circle, a folder of image files, or an .npz file")


def _kind(data, classes):
    r"""The classes of MNIST or CIFAR-10: a dict of each one's name and the original labels in it."""
    if classes not in (2, 10):
        raise ValueError(f"classes = {classes}: expected 2 or 10 for {data}")
    return TWO[data] if classes == 2 else {name: (label,) for label, name in enumerate(TEN[data])}


def _npz(path, n, count):
    arrays = read_npz(path, "images and labels")
    if "images" not in arrays or "labels" not in arrays:
        there = ", ".join(shown(name, 30) for name in list(arrays)[:5]) or "no array"
        raise ValueError(f"{path}: holds {there}; expected arrays `images` and `labels`")
    for name in ("labels", "test_labels"):
        if name in arrays and arrays[name].dtype.kind not in "biufSU":
            raise ValueError(f"{path}: {name} of type {shown(arrays[name].dtype)}; expected numbers or names")
    images, labels = arrays["images"], arrays["labels"]
    classes = np.unique(labels)
    if len(classes) != count:
        raise ValueError(f"{path}: labels hold {len(classes)} class(es), {_brief(classes)}; expected {count}")
    none = {f"test_{key}": np.empty((0, *part.shape[1:]), part.dtype) for key, part in arrays.items()}
    test_images, test_labels = ({**none, **arrays}[name] for name in ("test_images", "test_labels"))
    if not np.isin(test_labels, classes).all():
        raise ValueError(f"{path}: test_labels hold {_brief(np.unique(test_labels))}; expected {_brief(classes)}")
    kind = {shown(c, 20): (c,) for c in classes}
    return _build(str(path), n, kind, images, labels, test_images, test_labels)


def _brief(values):
    return ", ".join(shown(v, 20) for v in values[:5]) + (", …" if len(values) > 5 else "")


def _build(name, n, kind, images, labels, test_images, test_labels):
    r"""Check, select the first n/K of each class, scale to [0, 1], subtract the training mean."""
    y, y_test = (_numbers(name, part, kind) for part in (labels, test_labels))
    pixels, image_shape = _flatten(name, images, y)
    test_pixels, test_shape = _flatten(name, test_images, y_test)
    if image_shape != test_shape:
        raise ValueError(f"{name}: test images of shape {test_shape}; expected {image_shape}, the training images'")
    places = [np.flatnonzero(y == k) for k in range(len(kind))]
    most, fewest = min((len(place), label) for label, place in zip(kind, places, strict=True))
    if most == 0:
        raise ValueError(f"{name}: has no training sample of class {fewest}; expected each of {_brief(list(kind))}")
    if n // len(kind) > most:
        raise ValueError(f"n = {n}: expected at most {len(kind) * most} for {name}, which has {most} of class {fewest}")
    chosen = np.sort(np.concatenate([place[: n // len(kind)] for place in places]))
    x = _scale(name, pixels[chosen])
    mean = x.mean(axis=0)
    x_test = _scale(name, test_pixels)
    x_test -= mean  # in place: a whole test set takes eight times its file already
    y, y_test = (2.0 * part - 1 if len(kind) == 2 else part for part in (y[chosen], y_test))
    return Dataset(name, x - mean, y, mean, image_shape, tuple(kind), x_test, y_test)


def _numbers(name, labels, kind):
    r"""The number of the class that each label is in: ints."""
    each = np.stack([np.isin(labels, group) for group in kind.values()])  # (K, N)
    if not each.any(axis=0).all():
        raise ValueError(f"{name}: a label of {shown(labels[~each.any(axis=0)][0], 20)}; expected {_brief(list(kind))}")
    return each.argmax(axis=0)


def _flatten(name, images, labels):
    r"""(N, h, w), (N, h, w, 3) or (N, d) -> (N, d) in the order (c, h, w), and (c, h, w) or None."""
    fits = images.ndim in (2, 3) or (images.ndim == 4 and images.shape[3] in (1, 3))
    if not fits or 0 in images.shape[1:]:
        raise ValueError(f"{name}: images of shape {images.shape}; expected (N, h, w), (N, h, w, 3) or (N, d)")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{name}: labels of shape {labels.shape}; expected ({len(images)},), one an image")
    if images.ndim == 2:
        return images, None
    if images.ndim == 3:
        images = images[..., None]
    images = images.transpose(0, 3, 1, 2)  # (N, c, h, w)
    return images.reshape(len(images), int(np.prod(images.shape[1:]))), images.shape[1:]


def _scale(name, pixels):
    r"""Bytes to [0, 1]; floats have to be there already."""
    if pixels.dtype == np.uint8:
        return pixels / 255.0
    if not np.issubdtype(pixels.dtype, np.floating):
        raise ValueError(f"{name}: images of type {shown(pixels.dtype)}; expected uint8, or floats in [0, 1]")
    if not np.isfinite(pixels).all():
        raise ValueError(f"{name}: images hold NaN or infinity; expected numbers in [0, 1]")
    if pixels.size and not 0 <= pixels.min() <= pixels.max() <= 1:
        raise ValueError(f"{name}: pixels from {pixels.min():g} to {pixels.max():g}; expected floats in [0, 1]")
    return pixels.astype(float)


def _colours(n):
    r"""n/2 pure red images (+1) and n/2 pure blue ones (−1), 1×1×3.

    Held out: the 100 colours of a 5×5×5 grid in which red and blue differ; the stronger one is the label.
    """
    y = np.tile([1.0, -1.0], n // 2)
    images = np.tile(np.array([[255, 0, 0], [0, 0, 255]], np.uint8), (n // 2, 1))
    levels = np.array([0, 64, 128, 191, 255], np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    grid = grid[grid[:, 0] != grid[:, 2]]
    redder = grid[:, 0] > grid[:, 2]
    images, grid = images[:, None, None, :], grid[:, None, None, :]  # (·, 1, 1, 3)
    return _build("colours", n, {"blue": (-1,), "red": (1,)}, images, y, grid, np.where(redder, 1, -1))


def _circle(n):
    r"""n points on the unit circle, labels alternating (Fig. 2).

    Held out: 100 points spread over the disc of radius 1.4 in a sunflower spiral, with the label of the
    training point nearest to each.
    """

    def on_circle(angle):
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    place, step = np.arange(n), 2 * np.pi / n
    y = np.where(place % 2 == 0, 1.0, -1.0)
    k = np.arange(100)
    angle = k * np.pi * (3 - 5**0.5)  # the golden angle
    x_test = 1.4 * np.sqrt((k[:, None] + 0.5) / len(k)) * on_circle(angle)
    y_test = y[np.round(angle / step).astype(int) % n]
    names, mean = ("odd place", "even place"), np.zeros(2)  # 0 exactly, by symmetry
    return Dataset("circle", on_circle(step * place), y, mean, None, names, x_test, y_test)
