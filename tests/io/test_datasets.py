import gzip

import numpy as np
import pytest

from minirecon import load_dataset
from minirecon.io.datasets import data_file


@pytest.mark.parametrize(("name", "positive"), [("mnist", {1, 3, 5, 7, 9}), ("cifar10", {2, 3, 4, 5, 6, 7})])
def test_the_papers_training_set(name, positive):
    r"""n = 500: the first 250 of each class in file order, in [0, 1] less the mean, as (c, h, w)."""
    data = load_dataset(name, n=500)
    raw = np.load(data_file(f"{name}.npz"))
    chosen, counts = [], {1.0: 0, -1.0: 0}
    for i, label in enumerate(raw["train_labels"]):
        sign = 1.0 if int(label) in positive else -1.0
        if counts[sign] < 250:
            counts[sign] += 1
            chosen.append((i, sign))
    assert counts == {1.0: 250, -1.0: 250}
    np.testing.assert_array_equal(data.y, [sign for _, sign in chosen])
    shape = data.image_shape
    assert shape == ((1, 28, 28) if name == "mnist" else (3, 32, 32))
    for row in (0, 17, 499):
        image = raw["train_images"][chosen[row][0]] / 255
        ours = (data.x[row] + data.mean).reshape(shape)
        np.testing.assert_allclose(ours.transpose(1, 2, 0).reshape(image.shape), image, atol=1e-12)
    np.testing.assert_allclose(data.x.mean(axis=0), 0, atol=1e-12)
    test = raw["test_images"] / 255
    axes = (3, 1, 2) if name == "cifar10" else (1, 2)
    test = np.moveaxis(test, -1, 1) if len(axes) == 3 else test
    np.testing.assert_allclose(data.x_test + data.mean, test.reshape(len(test), -1), atol=1e-12)
    np.testing.assert_array_equal(data.y_test, [1 if int(label) in positive else -1 for label in raw["test_labels"]])


def test_colours():
    data = load_dataset("colours", n=20)
    assert data.image_shape == (3, 1, 1)
    np.testing.assert_allclose((data.x + data.mean)[data.y > 0], np.tile([1, 0, 0], (10, 1)))
    np.testing.assert_allclose((data.x + data.mean)[data.y < 0], np.tile([0, 0, 1], (10, 1)))
    red, green, blue = (data.x_test + data.mean).T
    assert len(red) == 100
    assert len(np.unique(np.stack([red, green, blue]), axis=1).T) == 100
    np.testing.assert_array_equal(data.y_test, np.sign(red - blue))


def test_circle():
    data = load_dataset("circle", n=20)
    angle = np.arctan2(data.x[:, 1], data.x[:, 0]) % (2 * np.pi)
    np.testing.assert_allclose(np.hypot(*data.x.T), 1)
    np.testing.assert_allclose(np.diff(angle), 2 * np.pi / 20)
    np.testing.assert_array_equal(data.y[:-1], -data.y[1:])
    assert data.image_shape is None
    np.testing.assert_array_equal(data.mean, 0)
    nearest = np.linalg.norm(data.x_test[:, None] - data.x[None], axis=2).argmin(axis=1)
    np.testing.assert_array_equal(data.y_test, data.y[nearest])
    assert np.hypot(*data.x_test.T).max() < 1.4


def write_idx(path, array, compress):
    content = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()
    path = path.with_name(path.name + ".gz") if compress else path
    path.write_bytes(gzip.compress(content) if compress else content)


@pytest.fixture(scope="module")
def raw():
    return np.load(data_file("mnist.npz"))


def write_mnist(folder, raw, compress=False):
    for part, stem in (("train", "train"), ("test", "t10k")):
        write_idx(folder / f"{stem}-images-idx3-ubyte", raw[f"{part}_images"], compress)
        write_idx(folder / f"{stem}-labels-idx1-ubyte", raw[f"{part}_labels"].astype(np.uint8), compress)


def assert_same(data, name, n):
    expected = load_dataset(name, n)
    for field in ("x", "y", "mean", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(data, field), getattr(expected, field))
    assert data.image_shape == expected.image_shape


@pytest.mark.parametrize("compress", [False, True])
def test_mnists_own_files(tmp_path, raw, compress):
    write_mnist(tmp_path, raw, compress)
    assert_same(load_dataset(tmp_path, n=50), "mnist", 50)


def dotted(folder):
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("-idx", ".idx"))


def kaggle(folder):
    r"""Each file in a folder of its own name, and once more above, with a dot."""
    for path in list(folder.iterdir()):
        content = path.read_bytes()
        (folder / path.name.replace("-idx", ".idx")).write_bytes(content)
        path.unlink()
        path.mkdir()
        (path / path.name).write_bytes(content)


def torchvision(folder):
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in list(folder.glob("*-ubyte")):
        path.rename(raw / path.name)
        (raw / f"{path.name}.gz").write_bytes(b"not looked at: the plain one is there")


@pytest.mark.parametrize("arrange", [dotted, kaggle, torchvision])
def test_folders_as_they_are_after_a_download(tmp_path, raw, arrange):
    write_mnist(tmp_path, raw)
    arrange(tmp_path)
    assert_same(load_dataset(tmp_path, n=50), "mnist", 50)


def test_folders_that_hold_other_things(tmp_path, raw):
    for name in ("MNIST", "FashionMNIST"):
        (tmp_path / name / "raw").mkdir(parents=True)
        write_mnist(tmp_path / name / "raw", raw)
    with pytest.raises(ValueError, match=r"holds .*FashionMNIST.* and .*MNIST.*; expected one data set"):
        load_dataset(tmp_path)
    (tmp_path / "python" / "cifar-10-batches-py").mkdir(parents=True)
    (tmp_path / "python" / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"")
    with pytest.raises(ValueError, match=r"CIFAR-10's Python version, pickles; expected cifar-10-binary\.tar\.gz"):
        load_dataset(tmp_path / "python")
    (tmp_path / "mine").mkdir()
    for name in ("b.png", "a\x1b[2J.png", "c.csv"):
        (tmp_path / "mine" / name).write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds a\\x1b\[2J\.png, b\.png, c\.csv; expected MNIST's") as caught:
        load_dataset(tmp_path / "mine")
    assert str(caught.value).isprintable()


def test_cifars_own_files(tmp_path):
    arrays = np.load(data_file("cifar10.npz"))

    def records(part):
        pixels = arrays[f"{part}_images"].transpose(0, 3, 1, 2).reshape(-1, 3072)
        return np.concatenate([arrays[f"{part}_labels"].astype(np.uint8)[:, None], pixels], axis=1)

    train = records("train")
    train[:700].tofile(tmp_path / "data_batch_1.bin")
    train[700:].tofile(tmp_path / "data_batch_2.bin")
    records("test").tofile(tmp_path / "test_batch.bin")
    assert_same(load_dataset(str(tmp_path), n=600), "cifar10", 600)
    (tmp_path / "test_batch.bin").unlink()
    assert load_dataset(tmp_path, n=2).x_test.shape == (0, 3072)


def test_a_users_npz(tmp_path, raw):
    odd = raw["train_labels"] % 2
    path = tmp_path / "mine.npz"
    np.savez(path, images=raw["train_images"], labels=odd, test_images=raw["test_images"],
             test_labels=raw["test_labels"] % 2)  # fmt: skip
    assert_same(load_dataset(path, n=50), "mnist", 50)
    names = np.where(odd == 1, "odd", "even")
    np.savez(path, images=raw["train_images"].reshape(-1, 784) / 255, labels=names)
    data = load_dataset(str(path), n=50)
    assert data.class_names == ("even", "odd")
    assert data.image_shape is None
    assert data.x_test.shape == (0, 784)
    np.testing.assert_allclose(data.x, load_dataset("mnist", 50).x, atol=1e-12)


IMAGES, LABELS = np.zeros((4, 3, 3), np.uint8), np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("arrays", "n", "message"),
    [
        ({"images": IMAGES, "labels": LABELS}, 3, "n = 3: expected an even number"),
        ({"images": IMAGES, "labels": LABELS}, 0, "n = 0: expected an even number"),
        ({"images": IMAGES, "labels": LABELS}, 6, "n = 6: expected at most 4 .* which has 2 of class 0"),
        ({"images": IMAGES}, 2, "holds images; expected arrays `images` and `labels`"),
        ({"images": IMAGES, "labels": LABELS * 0}, 2, r"labels hold 1 class\(es\), 0; expected 2"),
        ({"images": IMAGES, "labels": np.arange(4)}, 2, r"labels hold 4 class\(es\), 0, 1, 2, 3; expected 2"),
        ({"images": IMAGES, "labels": LABELS[:3]}, 2, r"labels of shape \(3,\); expected \(4,\)"),
        ({"images": IMAGES, "labels": LABELS[:, None]}, 2, r"labels of shape \(4, 1\)"),
        ({"images": IMAGES[..., None, None], "labels": LABELS}, 2, r"images of shape \(4, 3, 3, 1, 1\)"),
        ({"images": np.zeros((4, 3, 3, 2)), "labels": LABELS}, 2, r"images of shape \(4, 3, 3, 2\)"),
        ({"images": np.zeros((4, 0)), "labels": LABELS}, 2, r"images of shape \(4, 0\)"),
        ({"images": IMAGES * np.nan, "labels": LABELS}, 2, "images hold NaN or infinity"),
        ({"images": IMAGES + 1.5, "labels": LABELS}, 2, "pixels from 1.5 to 1.5; expected floats in"),
        ({"images": IMAGES.astype(int), "labels": LABELS}, 2, "images of type int64; expected uint8"),
        ({"images": IMAGES, "labels": LABELS, "test_images": IMAGES[:, :2], "test_labels": LABELS}, 2,
         r"test images of shape \(1, 2, 3\); expected \(1, 3, 3\)"),
        ({"images": IMAGES, "labels": LABELS, "test_images": IMAGES, "test_labels": LABELS + 1}, 2,
         "test_labels hold 1, 2; expected 0, 1"),
    ],
)  # fmt: skip
def test_bad_npz(tmp_path, arrays, n, message):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message):
        load_dataset(path, n)


def test_bad_paths(tmp_path):
    with pytest.raises(ValueError, match="nonesuch: expected mnist, cifar10, colours, circle, a folder"):
        load_dataset("nonesuch")
    with pytest.raises(ValueError, match="holds no file; expected MNIST's train-images-idx3-ubyte"):
        load_dataset(tmp_path)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"text\.npz: no zip archive"):
        load_dataset(tmp_path / "text.npz")
    np.savez(tmp_path / "objects.npz", images=np.array([{}, {}]), labels=np.array([0, 1]))
    with pytest.raises(
        ValueError, match=r"objects\.npz: images holds Python objects"
    ):  # pickled objects could run code
        load_dataset(tmp_path / "objects.npz", 2)


def no_labels(folder):
    (folder / "train-labels-idx1-ubyte").unlink()


def cut_short(folder):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])


def empty(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3, 0]))


def wrong_type(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(bytes([0, 0, 13, 3]) + bytes(40))


def not_gzip(folder):
    path = folder / "train-images-idx3-ubyte"
    path.rename(path.with_name(path.name + ".gz"))


def not_deflated(folder):
    path = folder / "train-images-idx3-ubyte"
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes())[:10] + b"\xff" * 500)  # zlib.error
    path.unlink()


def web_page(folder):
    path = folder / "train-images-idx3-ubyte"
    path.with_name(path.name + ".gz").write_bytes(b"<!DOCTYPE html><html>")
    path.unlink()


def cut_gzip(folder):
    path = folder / "train-images-idx3-ubyte"
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes())[:-100])
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_labels, "no file train-labels-idx…-ubyte"),
        (cut_short, "announces 1034 × 28 × 28 bytes; has 810655"),
        (empty, "begins with 00 00 08 03 00; expected an idx file, 00 00 08 03 and 3 lengths of 4 bytes"),
        (wrong_type, "begins with 00 00 0d 03 .*; expected an idx file, 00 00 08 03"),
        (not_gzip, r"no \.gz file"),
        (not_deflated, "damaged, or no file of MNIST .error: Error -3 while decompressing"),
        (web_page, r"no \.gz file, but a web page"),
        (cut_gzip, "damaged, or no file of MNIST .EOFError: Compressed file ended"),
    ],
)
def test_damaged_idx_files(tmp_path, raw, damage, message):
    write_mnist(tmp_path, raw)
    damage(tmp_path)
    with pytest.raises(ValueError, match=message):
        load_dataset(tmp_path)


def test_damaged_cifar_files(tmp_path):
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(bytes(3072))
    with pytest.raises(ValueError, match="3072 bytes; expected a multiple of 3073"):
        load_dataset(tmp_path)
    path.write_bytes(bytes([10]) + bytes(3072))
    with pytest.raises(ValueError, match="a label of 10"):
        load_dataset(tmp_path)
    path.write_bytes(bytes(4 * 3073))
    with pytest.raises(ValueError, match="has no training sample of class animal; expected each of vehicle, animal"):
        load_dataset(tmp_path, 2)


def test_ten_classes_of_the_shipped_images():
    r"""The first n/K of each class in file order, each with its number; the two classes are made of the ten."""
    for name, first in (("mnist", "0"), ("cifar10", "airplane")):
        data = load_dataset(name, n=100, classes=10)
        assert data.class_names[0] == first
        assert len(data.class_names) == 10
        assert np.issubdtype(data.y.dtype, np.integer)
        assert np.bincount(data.y).tolist() == [10] * 10
        with np.load(data_file(f"{name}.npz")) as archive:
            labels, images = archive["train_labels"], archive["train_images"]
        chosen = np.sort(np.concatenate([np.flatnonzero(labels == k)[:10] for k in range(10)]))
        np.testing.assert_array_equal(data.y, labels[chosen])
        flat = images[chosen] if name == "mnist" else images[chosen].transpose(0, 3, 1, 2)
        np.testing.assert_allclose(data.x + data.mean, flat.reshape(100, -1) / 255, atol=1e-12)


def test_classes_of_own_files(tmp_path):
    r"""K different labels, whatever they are called, become 0 … K − 1 in their order."""
    path = tmp_path / "own.npz"
    np.savez(path, images=np.random.default_rng(0).random((9, 2, 2)), labels=np.array([30, 7, 7, 30, 9, 9, 7, 9, 30]))
    data = load_dataset(path, n=6, classes=3)
    assert data.y.tolist() == [2, 0, 0, 2, 1, 1]
    assert data.class_names == ("7", "9", "30")


@pytest.mark.parametrize(
    ("name", "n", "classes", "message"),
    [
        ("mnist", 25, 10, "n = 25: expected a multiple of 10 of training samples, at least 10"),
        ("mnist", 30, 3, "classes = 3: expected 2 or 10 for mnist"),
        ("mnist", 20, 1, "classes = 1: expected a whole number, at least 2"),
        ("mnist", 20, 2.0, "classes = 2.0: expected a whole number"),
        ("circle", 20, 10, "classes = 10: expected 2 for circle"),
        ("mnist", 2000, 10, "n = 2000: expected at most .* for mnist, which has .* of class"),
    ],
)
def test_bad_classes(name, n, classes, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(name, n, classes)
