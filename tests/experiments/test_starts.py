r"""Ten classes, known initial weights, two checkpoints, a client's update: that the figures say what is measured."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import slow_gradient, slow_ncc
from tiny import SEED, TINY, saved

from minirecon import attack, kkt, load_dataset, metrics, mlp, train
from minirecon.experiments import checkpoints, classes, decay, federated, initial


def nearest(x, truth):
    r"""NCC of each image of `truth` (n, d) with the best of the candidates x (m, d)."""
    return slow_ncc(truth.reshape(-1, 1, 28, 28), x.reshape(-1, 1, 28, 28)).max(axis=1)


def test_classes_ranks_by_ssim_and_tells_partial_ncc():
    data, truth = saved("classes"), load_dataset("cifar10", 20, 10)
    net = train(truth, (20, 20), SEED, target_time=50.0)
    rec = attack.reconstruct(net.params, 20, seed=SEED, iterations=5, lam_min=1.0)
    score = metrics.score(rec, truth)
    order = np.argsort(-score.ssim)
    images, originals = (z.reshape(-1, 3, 32, 32) for z in (score.images, truth.x + truth.mean))
    partial = metrics.partial_ncc(images, originals, truth.mean.reshape(3, 32, 32))
    for key, each in (("ssim", score.ssim), ("ncc", score.ncc), ("partial", partial)):
        np.testing.assert_allclose(data[key][0], each[order], rtol=1e-4, atol=1e-5)
        assert data[key].shape == (4, 20)
    np.testing.assert_allclose(data["ssim"][1], np.sort(score.null["unseen"].ssim)[::-1], rtol=1e-5)
    np.testing.assert_array_equal(data["partial"][2], 0)  # the mean image, which is taken out
    others = truth._replace(x=truth.x_test[:20], y=truth.y_test[:20])
    np.testing.assert_allclose(data["ncc"][3].max(), metrics.score(rec, others).ncc.max(), rtol=1e-5)
    got = classes.numbers(data)
    assert got["test_error"] == pytest.approx(
        np.mean(mlp.forward(net.params, truth.x_test).phi.argmax(1) != truth.y_test)
    )
    phi = mlp.forward(net.params, truth.x).phi.astype(float)
    entropy = np.log(np.exp(phi).sum(axis=1)) - phi[np.arange(20), truth.y]
    assert got["cross_entropy"] == pytest.approx(entropy.mean(), rel=1e-4)
    assert got["same_class"]["attack"] == np.sum(rec.y[score.nearest] == truth.y)
    assert got["same_class"]["unseen"] == np.sum(truth.y_test[score.null["unseen"].nearest] == truth.y)
    assert got["classes"]["cat"]["ncc"] == pytest.approx(np.median(score.ncc[truth.y == 3]), rel=1e-5)
    assert sum(each["best"] for each in got["classes"].values()) == 20


def test_classes_counts_the_best_thirty_alone():
    data = {**saved("classes")}
    partial = np.tile(np.linspace(1, 0, 101)[:40], (4, 1))  # 1, .99, … in the order of SSIM
    partial[:, 31] = 1.0
    data |= {key: partial.astype(np.float32) for key in ("ssim", "ncc")}
    data |= {
        "partial": partial,
        "labels": np.arange(40) % 10,
        "candidate_labels": [np.arange(40) % 5, np.arange(40) % 2],
    }
    got = classes.numbers(data)
    assert (got["attack"]["0.8"], got["attack"]["0.7"]) == (20, 30)
    assert got["attack"]["mean"] == pytest.approx(np.linspace(1, 0.71, 30).mean())
    assert got["classes"]["airplane"] == {"partial_0.6": 4, "partial_0.7": 3, "best": 3, "ncc": pytest.approx(0.85)}
    assert got["same_class"] == {"attack": 20, "unseen": 8, "best": 15}


def test_classes_draws_each_above_its_original():
    data = saved("classes")
    above, below = classes.draw(data).subfigs
    shown = np.array(above.axes).reshape(5, 10)
    for place in (0, 7, 19):
        block, column = divmod(place, 10)
        for row, key in ((0, "images"), (1, "truth")):
            expected = (data[key][place] / 255).reshape(3, 32, 32).transpose(1, 2, 0)
            np.testing.assert_allclose(np.asarray(shown[3 * block + row, column].images[0].get_array()), expected)
        name = data["class_names"][data["labels"][place]]
        assert shown[3 * block, column].get_title() == f"{name}\nNCC {data['ncc'][0, place]:.2f}"
    lines = below.axes[0].lines
    np.testing.assert_allclose(lines[0].get_ydata(), np.sort(data["partial"][0])[::-1])
    assert len({line.get_linestyle() for line in lines}) >= 3


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_matching_has_the_smallest_sum_of_distances(m, n, seed):
    rng = np.random.default_rng(seed)
    x, truth = rng.normal(size=(m, 3)), rng.normal(size=(n, 3))
    candidate, image, distance = initial.matched(x, truth)
    assert len(set(candidate)) == len(set(image)) == len(distance) == min(m, n)
    np.testing.assert_allclose(
        distance, [np.sum((x[c] - truth[i]) ** 2) ** 0.5 for c, i in zip(candidate, image, strict=True)]
    )
    assert np.all(np.diff(distance) >= 0)
    few, many = (x, truth) if m <= n else (truth, x)
    sums = [
        sum(np.linalg.norm(few[k] - many[p]) for k, p in enumerate(every))
        for every in permutations(range(len(many)), len(few))
    ]
    assert distance.sum() == pytest.approx(min(sums))


def test_initial_starts_as_published():
    params = initial.usual_start(np.random.default_rng(0), 784, (400, 300))
    assert [layer.weight.shape for layer in params] == [(400, 784), (300, 400), (1, 300)]
    for layer, fan_in in zip(params[:2], (784, 400), strict=True):
        assert layer.weight.std() == pytest.approx(fan_in**-0.5, rel=0.01)
        np.testing.assert_array_equal(layer.bias, 0)
    assert params[2].bias is None
    data, plain = (load_dataset("mnist", 4) for _ in range(2))
    data = initial.less_one_number(data)
    assert data.x.mean() == pytest.approx(0)
    assert np.ptp(data.mean) == 0
    for key in ("x", "x_test"):
        np.testing.assert_allclose(getattr(data, key) + data.mean, getattr(plain, key) + plain.mean)


def test_initial_attacks_with_the_true_start_and_with_a_wrong_one():
    data, truth = saved("initial"), initial.less_one_number(load_dataset("mnist", 4))
    start, wrong = (initial.usual_start(np.random.default_rng(seed), 784, (20, 20)) for seed in (SEED, SEED + 1))
    net = train(truth, params=start, loss="mse", target_time=None, target_log_loss=np.log(0.1))
    square = np.mean((mlp.forward(net.params, truth.x).phi[:, 0] - truth.y) ** 2)
    assert data["square_loss"] == pytest.approx(square, rel=1e-4)
    rec = attack.reconstruct(net.params, 8, seed=SEED, initial=start, iterations=5)
    candidate, image, distance = initial.matched(rec.x, truth.x)
    np.testing.assert_allclose(data["distance"][0], distance, rtol=1e-5)
    ncc = [np.corrcoef(rec.x[c], truth.x[i])[0, 1] for c, i in zip(candidate, image, strict=True)]
    np.testing.assert_allclose(data["ncc"][0], ncc, rtol=1e-3, atol=1e-5)
    shown = np.round(255 * np.clip(rec.x[candidate] + truth.mean, 0, 1))
    assert np.abs(data["images"].astype(float) - shown).max() <= 1
    np.testing.assert_allclose(data["truth"], np.round(255 * (truth.x + truth.mean)[image]))
    np.testing.assert_allclose(data["distance"][1], initial.matched(rec.x, truth.x_test[:4])[2], rtol=1e-5)
    rec = attack.reconstruct(net.params, 8, seed=SEED, initial=wrong, iterations=5)
    np.testing.assert_allclose(data["distance"][2], initial.matched(rec.x, truth.x)[2], rtol=1e-5)


def test_initial_counts():
    distance = np.array([[0.5, 1.0, 1.9, 2.0], [2.0, 3.0, 4.0, 9.0], [5.0, 6.0, 7.0, 8.0]])
    data = {**saved("initial"), "distance": distance, "ncc": np.array([[1, 0.85, 0.8, 0], [0] * 4, [0] * 4])}
    got = initial.numbers(data)
    assert got["attack"] == {
        "below_1": 1, "below_2": 3, "smallest": 0.5, "median": 1.45, "ncc_over_0.8": 2, "ncc_over_0.9": 1
    }  # fmt: skip
    assert (got["unseen"]["below_2"], got["wrong"]["median"]) == (0, 6.5)
    assert "Of 4 images 3 are closer than 2, a share of 0.75" in " ".join(initial.caption(data).split())
    assert "ours are at least as many" in " ".join(initial.caption(data).split())


def test_checkpoints_are_of_one_training_and_each_is_known_in_turn():
    data, truth = saved("checkpoints"), load_dataset("mnist", 4)
    params, starts, before = None, [], 0.0
    for time in TINY["checkpoints"]["times"]:
        net = train(truth, (20, 20), SEED + 1, params=params, target_time=time - before)
        starts.append(net.initial)
        params, before = net.params, time
    assert data["ncc"].shape == data["unseen"].shape == (2, 4, 4)
    size = mlp.square_norm(params)
    for way, start in enumerate([None, *starts]):
        rec = attack.reconstruct(params, 8, seed=SEED + 1, initial=start, iterations=5, alpha=150.0)
        np.testing.assert_allclose(data["ncc"][1, way], nearest(rec.x, truth.x), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(data["unseen"][1, way], nearest(rec.x, truth.x_test[:4]), rtol=1e-4, atol=1e-5)
        change = 1 if start is None else (mlp.square_norm(mlp.subtract(params, start)) / size) ** 0.5
        assert data["change"][1, way] == pytest.approx(change, rel=1e-5)


def test_checkpoints_counts():
    data = {**saved("checkpoints"), "ncc": np.zeros((2, 4, 4)), "unseen": np.zeros((2, 4, 4))}
    data["ncc"][:, 0] = [[0.95, 0.85, 0, 0], [0.95, 0, 0, 0]]
    data["ncc"][:, 2] = [[0.95, 0.95, 0.95, 0], [0.95, 0.95, 0.8, 0]]
    got = checkpoints.numbers(data)
    assert list(got) == ["the last alone", "the last and θ₀", "the last and T = 5", "the last and T = 20"]
    assert got["the last alone"]["ncc: NCC > 0.8"] == [1, 1.5, 2]
    assert got["the last alone"]["ncc: NCC > 0.9"] == [1, 1, 1]
    assert got["the last and T = 5"]["ncc: NCC > 0.9"] == [2, 2.5, 3]
    assert got["the last and T = 5"]["ncc: median NCC"] == pytest.approx([0.875, 0.9125, 0.95])
    text = " ".join(checkpoints.caption(data).split())
    assert "The best pair, the last and T = 5, gives 2.5" in text
    data["ncc"][1, 2] = data["ncc"][1, 0]
    assert "no more than the spread of the nets" in " ".join(checkpoints.caption(data).split())


def test_one_local_step_adds_the_gradient_at_the_start():
    data, truth = saved("federated"), load_dataset("mnist", 4)
    options = {"first_scale": 1 / 28, "hidden_biases": True, "dtype": float}
    start = mlp.initialise(np.random.default_rng(SEED), 784, (20, 20), **options)
    q = truth.y * mlp.forward(start, truth.x).phi[:, 0]
    step = sum(
        0.01 / 4 * y / (1 + np.exp(qi)) * slow_gradient(start, x) for x, y, qi in zip(truth.x, truth.y, q, strict=True)
    )
    assert data["change_4"][0] == pytest.approx(np.linalg.norm(step) / mlp.square_norm(start) ** 0.5, rel=1e-6)
    params = train(truth, (20, 20), SEED, method="gd", target_time=np.inf, max_steps=3, **options).params
    q = truth.y * mlp.forward(params, truth.x).phi[:, 0]
    assert data["loss_4"][1] == pytest.approx(np.logaddexp(0, -q).mean())
    wrong = mlp.initialise(np.random.default_rng(SEED + 1), 784, (20, 20), **options)
    right, other = (
        attack.reconstruct(params, 8, seed=SEED, initial=initial, iterations=5, alpha=100.0)
        for initial in (start, wrong)
    )
    expected = nearest(right.x, truth.x), nearest(right.x, truth.x_test[:4]), nearest(other.x, truth.x)
    np.testing.assert_allclose(data["ncc_4"][1], expected, rtol=1e-4, atol=1e-5)
    assert data["left_4"][1] == pytest.approx(right.history["layer 1"][-1], rel=1e-5)
    got = federated.numbers(data)["4"]["3"]
    assert got["attack"]["ncc"] == pytest.approx(np.median(expected[0]), rel=1e-5)
    assert got["unseen"]["over_0.8"] == np.sum(expected[1] > 0.8)
    assert got["wrong"]["over_0.9"] == np.sum(expected[2] > 0.9)


def test_federated_draws_each_row_over_the_steps():
    data = saved("federated")
    every = [axes for axes in federated.draw(data).axes if axes.lines]
    assert len(every) == 6
    assert every[0].get_title() == "n = 4 images on the client"
    for line, row in zip(every[5].lines, data["ncc_6"].swapaxes(0, 1), strict=True):
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([[1, 3], np.median(row, axis=1)]), rtol=1e-6)


def test_decay_again_step_by_step():
    r"""The last stretch of a decay begins where the one before ended; what is told is of its end."""
    data, truth = saved("decay"), load_dataset("mnist", 4)
    begun = train(truth, (20, 20), SEED, decay=1e-3, max_steps=2)
    params = train(truth, (20, 20), SEED, params=begun.params, decay=1e-3, max_steps=38).params
    got = decay.numbers(data)["0.001"]["40"]
    assert got["directions"] == kkt.distinct_units(params)
    assert got["rank"] == np.linalg.matrix_rank(params[1].weight.astype(float), rtol=decay.RANK)
    rec = attack.reconstruct(params, 8, seed=SEED, optimizer="differences")
    assert got["candidates"] == len(rec.x)
    np.testing.assert_allclose(data["ncc"][0, 1], metrics.score(rec, truth).ncc, rtol=1e-5)
    assert decay.numbers(data)["0.001"]["2"]["candidates"] == data["candidates"][0, 0]


def test_decay_draws_a_line_for_each_decay_and_the_null():
    data = saved("decay")
    first, *others = [axes for axes in decay.draw(data).axes if axes.lines]
    np.testing.assert_array_equal(first.lines[1].get_ydata(), np.sum(data["ncc"][1] > 0.8, axis=-1))
    assert len(first.lines) == 3
    assert [len(axes.lines) for axes in others] == [2, 2]
