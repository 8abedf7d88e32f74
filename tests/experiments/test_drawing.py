import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from minirecon import Reconstruction, load_dataset, metrics, score, train
from minirecon.experiments.drawing import LINES, curves, images


@pytest.fixture(autouse=True)
def our_style():
    with images.ours():
        yield


def candidates_for(data, m=30):
    rng = np.random.default_rng(0)
    x = data.x[np.arange(m) % len(data.x)] + 0.1 * rng.normal(size=(m, data.x.shape[1]))
    y = np.where(np.arange(m) < m // 2, -1.0, 1.0)
    return Reconstruction(x, rng.uniform(0.4, 1, m), y, x)


def texts(figure):
    titles = [axes.get_title() for axes in figure.axes]
    return [t for t in [figure.get_suptitle(), *titles] if t]


def drawn(figure, tmp_path):
    r"""Save a figure; check that no text sticks out of it and that the picture is not blank."""
    path = tmp_path / "figure.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a glyph that the font lacks, a layout that does not fit
        images.save(figure, path)
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]
    width, height = figure.get_size_inches() * figure.dpi
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    labels = [axes.xaxis.label for axes in figure.axes] + [axes.yaxis.label for axes in figure.axes]
    parts = [axes.title for axes in figure.axes] + labels + figure.texts + figure.legends
    parts += [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    for part in parts:
        box = part.get_window_extent(renderer)
        if box.width:
            assert box.x0 >= -1, part
            assert box.y0 >= -1, part
            assert box.x1 <= width + 1, part
            assert box.y1 <= height + 1, part
    pixels = np.asarray(Image.open(path).convert("L"))
    assert pixels.std() > 5
    return pixels


@pytest.mark.parametrize(("name", "n"), [("mnist", 6), ("cifar10", 30)])
def test_reconstructions_stand_above_their_originals(tmp_path, name, n):
    data = load_dataset(name, n)
    result = score(candidates_for(data), data)
    figure = images.reconstructions(result, data)
    shown = min(n, 20)
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == 2 * shown
    assert len([t for t in texts(figure) if t.startswith("NCC")]) == shown
    assert f"{'all 6' if n == 6 else 'the best 20 of 30'} training images of {name}" in texts(figure)[0]
    order = np.argsort(-result.ncc)
    for place, i in enumerate(order[: min(10, shown)]):  # the first row
        above, below = figure.axes[place], figure.axes[10 + place]
        assert above.get_title() == f"NCC {result.ncc[i]:.2f}"
        shape = data.image_shape
        for axes, image in ((above, result.images[i]), (below, data.x[i] + data.mean)):
            expected = np.squeeze(image.reshape(shape).transpose(1, 2, 0))
            np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), expected)
    drawn(figure, tmp_path)


@pytest.mark.parametrize(("name", "label"), [("colours", "red, 0 to 1"), ("circle", "coordinate 1")])
def test_points_are_drawn_where_they_lie(tmp_path, name, label):
    data = load_dataset(name, 20)
    figure = images.reconstructions(score(candidates_for(data), data), data)
    (axes,) = figure.axes
    assert axes.get_xlabel() == label
    truth, minus, plus = (collection.get_offsets() for collection in axes.collections)
    np.testing.assert_allclose(truth, (data.x + data.mean)[:, [0, -1]])
    assert len(minus) == len(plus) == 15
    drawn(figure, tmp_path)


def test_candidates(tmp_path):
    data = load_dataset("mnist", 6)
    rec = candidates_for(data, m=130)
    figure = images.candidates(rec.x, rec.y, rec.lam, ("even", "odd"))
    titles = texts(figure)
    assert titles[0].startswith("100 of 130 candidates")
    assert [t.split(",")[0] for t in titles[1:]] == ["even"] * 50 + ["odd"] * 50
    shown = [float(t.split()[-1]) for t in titles[1:51]]
    assert shown == sorted(shown, reverse=True)
    assert max(shown) == pytest.approx(rec.lam[:65].max(), abs=0.005)
    assert all(0 <= axes.images[0].get_array().min() <= axes.images[0].get_array().max() <= 1 for axes in figure.axes)
    drawn(figure, tmp_path)
    assert images.candidates(np.zeros((4, 5)), np.ones(4), np.ones(4)) is None  # no images


def test_the_same_figure_is_the_same_file(tmp_path):
    r"""No date in it and no random names: a picture under version control changes only if it looks different."""
    for name in ("a.svg", "b.svg"):
        figure, (axes,) = curves.panels(1, "two lines")
        axes.plot([1, 2], [3, 4], **LINES[0], clip_on=True)
        images.save(figure, tmp_path / name)
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert text == (tmp_path / "b.svg").read_text(encoding="utf-8")
    assert "<text" not in text  # paths, which look the same where the font is missing
    assert 'width="468pt"' in text  # 6.5 inches


def test_image_shape_is_guessed():
    assert metrics.image_shape(784) == (1, 28, 28)
    assert metrics.image_shape(3072) == (3, 32, 32)
    assert metrics.image_shape(3) == (3, 1, 1)
    assert metrics.image_shape(2) is None


def test_loss_history(tmp_path):
    steps = np.geomspace(1, 1e-3, 50)
    history = {"layer 1": steps, "upper": 30 + steps, "range": 0 * steps, "margin": steps**2}
    figure = curves.loss_history(history)
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[2] == "range loss (0 throughout)"
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.stack([np.arange(1, 51), steps], axis=1))
    assert len({line.get_linestyle() for line in axes.lines}) >= 3  # not by colour alone
    drawn(figure, tmp_path)
    curves.loss_history({"parameter": steps, "lambda": steps, "range": steps})
    assert curves.loss_history({}) is None  # interrupted before the first iteration


def test_training(tmp_path):
    run = train(load_dataset("mnist", 4), (10, 10, 10, 10), target_time=5.0, first_scale=0.1, record_every=1)
    figure = curves.training(run.history)
    loss, margin, gained, cosine = figure.axes
    assert cosine.get_xlabel() == "flow time T = Σ step size"
    assert [text.get_text() for text in cosine.get_legend().get_texts()] == [f"layer {n}" for n in range(1, 6)]
    assert len({(line.get_color(), line.get_linestyle()) for line in cosine.lines}) == 5
    np.testing.assert_allclose(loss.lines[0].get_ydata(), run.history["log_loss"][1:])  # T = 0 has no logarithm
    np.testing.assert_allclose(margin.lines[1].get_ydata(), run.history["min_margin"][1:])
    for line, norms in zip(gained.lines, run.history["norm"].T, strict=True):
        np.testing.assert_allclose(line.get_ydata(), norms[1:] ** 2 - norms[0] ** 2)
    drawn(figure, tmp_path)


def test_labels_have_names():
    assert [images.label(y, ("even", "odd")) for y in (-1.0, 1.0, 0, 1)] == ["even", "odd", "even", "odd"]
    assert [images.label(y, ("a", "b", "c")) for y in (0, 2)] == ["a", "c"]
    assert [images.label(y) for y in (np.float32(-1), np.float32(1), np.int64(3))] == ["−1", "+1", "3"]


def test_candidates_of_ten_classes():
    r"""At most 100, ten of each class, the largest λ first, with the names of their classes."""
    y, lam = np.repeat(np.arange(10), 20), np.tile(np.linspace(1, 2, 20), 10)
    figure = images.candidates(np.random.default_rng(0).normal(size=(200, 16)), y, lam)
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert len(titles) == 100
    assert titles[0] == "0, λ 2.00"
    assert titles[-1].startswith("9, λ 1.5")
