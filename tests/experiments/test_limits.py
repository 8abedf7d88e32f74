r"""Baselines, membership, splits, colours and losses: that the figures say what the package measures."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import lsq_linear
from sklearn.metrics import roc_auc_score, roc_curve
from strategies import nearest_kink, problems, slow_forward, slow_gradient, slow_parameter_loss
from tiny import SEED, saved

from minirecon import attack, experiments, kkt, load, metrics, mlp
from minirecon.attack import baselines
from minirecon.attack.candidates import merge_pair
from minirecon.experiments import colours, losses, membership, nonunique
from minirecon.io import datasets


def shipped(name):
    return mlp.cast(load(datasets.data_file(name)), float)


def test_baselines_report_what_metrics_measures():
    data, got = saved("baselines"), experiments.load("baselines").numbers(saved("baselines"))["mnist"]
    truth, params = datasets.load_dataset("mnist", 20), shipped("mnist-n20.pth")
    rows = metrics.score(baselines.first_layer(params), truth)
    inverted = metrics.score(baselines.invert(params, 20, seed=SEED, iterations=3), truth)
    np.testing.assert_allclose(got["first_layer"]["ncc"], np.median(rows.ncc))
    np.testing.assert_allclose(got["inversion"]["ncc"], np.median(inverted.ncc))
    np.testing.assert_allclose(got["inversion"]["ssim"], np.median(inverted.ssim))
    np.testing.assert_allclose(got["unseen"]["ssim"], np.median(rows.null["unseen"].ssim))
    assert got["mean_image"]["ncc"] == 0
    assert [row["candidates"] for row in got.values()] == [20, 20, 1000, 1000, 20, 1]
    large = metrics.score(baselines.first_layer(shipped("mnist-n500.pth")), datasets.load_dataset("mnist", 500))
    result = experiments.load("baselines").numbers(data)["large"]["first_layer"]
    np.testing.assert_allclose(result["rank30"], np.sort(large.ssim)[-30])
    # the picture has the training images first, then those of each method
    chosen, images = data["mnist_chosen"], data["mnist_images"] / 255
    assert truth.y[chosen].tolist() == [-1] * 5 + [1] * 5
    np.testing.assert_allclose(images[0], (truth.x + truth.mean)[chosen], atol=1e-9)
    np.testing.assert_allclose(images[3], rows.images[chosen], atol=0.002)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30))
def test_area_and_curve_are_those_of_scikit_learn(rows):
    score, member = np.array([s for s, _ in rows], float), np.array([m for _, m in rows])
    assume(member.any() and not member.all())
    false, true = membership.roc(score, member)
    expected = roc_curve(member, score, drop_intermediate=False)
    np.testing.assert_allclose([false, true], expected[:2])
    area = membership.area(score, member)
    np.testing.assert_allclose(area, roc_auc_score(member, score))
    pairs = [np.sign(a - b) / 2 + 0.5 for a in score[member] for b in score[~member]]
    np.testing.assert_allclose(area, np.mean(pairs))  # Mann and Whitney's


def test_membership_scores_a_pool_of_both_kinds():
    data, truth, params = saved("membership"), datasets.load_dataset("mnist", 20), shipped("mnist-n20.pth")
    x, y, member = membership.pool(truth, np.random.default_rng(SEED))
    np.testing.assert_array_equal(member, data["member_0"])
    np.testing.assert_array_equal(x[member], truth.x)
    unseen = {row.tobytes() for row in truth.x_test}
    assert len({row.tobytes() for row in x[~member]} & unseen) == 20
    assert [np.sum(y[chosen] == sign) for chosen in (member, ~member) for sign in (-1, 1)] == [10] * 4
    lam, lam1, margin, small, typical = data["scores_0"][0].astype(float)
    phi = np.array(
        [params[2].weight[0] @ relu(params[1].weight @ relu(params[0].weight @ xi + params[0].bias)) for xi in x]
    )
    np.testing.assert_allclose(margin, y * phi, rtol=1e-5)
    np.testing.assert_allclose(small, -abs(phi), rtol=1e-5)
    np.testing.assert_allclose(typical, -abs(margin - np.median(margin)), rtol=1e-4, atol=1e-5)
    # λ of layer 1 by another solver, from the gradients themselves
    on = [params[0].weight @ xi + params[0].bias > 0 for xi in x]
    second = [params[1].weight @ relu(params[0].weight @ xi + params[0].bias) > 0 for xi in x]
    signals = [(params[2].weight[0] * s) @ params[1].weight * o for o, s in zip(on, second, strict=True)]
    gradients = np.array([yi * np.outer(d, np.append(xi, 1)).ravel() for yi, d, xi in zip(y, signals, x, strict=True)])
    theta = np.column_stack([params[0].weight, params[0].bias]).ravel()
    gram, target = gradients @ gradients.T, gradients @ theta
    root = np.linalg.cholesky(gram)
    expected = lsq_linear(root.T, np.linalg.solve(root, target), (0, np.inf), tol=1e-12).x
    np.testing.assert_allclose(lam1, expected, atol=1e-5)
    got = membership.numbers(data)["nets"][0]
    areas = [roc_auc_score(member, scores[0]) for scores in data["scores_0"]]
    assert got["lam"] == pytest.approx([np.mean(areas), min(areas), max(areas)])
    assert got["training_above_0"] == pytest.approx(np.mean(data["scores_0"][:, 0, :20] > 0))
    assert np.all(lam >= 0)


def relu(z):
    return np.maximum(z, 0)


@given(problems(), st.floats(0.1, 1), st.floats(0.1, 1))
def test_splitting_within_a_pattern_leaves_the_parameter_loss_where_it_was(problem, a, b):
    rng, params, x, lam, y = problem
    i, v = rng.integers(len(x)), rng.normal(size=x.shape[1])
    signs = [np.sign(np.concatenate(slow_forward(params, x[i] + t * v)[2][:-1])) for t in np.linspace(-1e-3, 1e-3, 3)]
    assume(nearest_kink(params, x) > 1e-6)
    assume(all((other == signs[0]).all() for other in signs))
    halves, shares = nonunique.split(x, lam, i, 1e-3 * v, a, b)
    np.testing.assert_allclose(halves[[i, -1]], [x[i] + 1e-3 * a * v, x[i] - 1e-3 * b * v], rtol=0, atol=1e-12)
    after, before = (
        slow_parameter_loss(params, z, len(z) * c, s) for z, c, s in ((halves, shares, np.append(y, y[i])), (x, lam, y))
    )
    size = sum(np.sum(p**2) for layer in params for p in layer if p is not None)
    size += sum(np.sum((c * slow_gradient(params, z)) ** 2) for z, c in zip(x, lam, strict=True))
    assert abs(after - before) <= 1e-12 * max(size, 1)
    back, whole = merge_pair(halves, shares, i, len(x))
    np.testing.assert_allclose(back, x, atol=1e-12)
    np.testing.assert_allclose(whole, lam, atol=1e-12)
    assert len(shares) == len(lam) + 1
    assert np.all(shares > 0)


@given(problems())
def test_jacobian_and_kink_of_the_hidden_units(problem):
    rng, params, x, _, _ = problem
    assume(nearest_kink(params, x[:1]) > 1e-4)
    z, slopes = nonunique.hidden_jacobian(params, x[0])
    v = rng.normal(size=x.shape[1])

    def hidden(t):
        return np.concatenate(slow_forward(params, x[0] + t * v)[2][:-1])

    np.testing.assert_allclose(z, hidden(0))
    np.testing.assert_allclose(slopes @ v, (hidden(1e-7) - hidden(-1e-7)) / 2e-7, rtol=1e-4, atol=1e-5)
    t = nonunique.kink(z, slopes, v)
    assume(t < 1e6)
    for side in (-0.999, 0.999):
        np.testing.assert_array_equal(np.sign(hidden(side * t)), np.sign(z))
    assert any((np.sign(hidden(side * t)) != np.sign(z)).any() for side in (-1.001, 1.001))


def test_split_digits_keep_their_pattern_while_the_pictures_change():
    data, params, truth = saved("nonunique"), shipped("mnist-n20.pth"), datasets.load_dataset("mnist", 20)
    got = nonunique.numbers(data)
    assert got["within_pattern"] <= 1e-12
    assert np.all(data["kinks"][0] >= 1)
    assert np.all(data["kinks"][1] < 0.01)
    assert got["ncc"][0] < 0.95
    assert min(got["straight"]["residual"]) > 1e6 * np.finfo(float).eps * data["norm"]
    np.testing.assert_allclose(data["measured"][:, :, 0, 0], data["before"][0], rtol=1e-12)
    # the halves that are drawn have the same activation pattern as their image
    rng, i = np.random.default_rng(SEED), np.argmax(kkt.multipliers(params, truth.x, truth.y))
    image, label = truth.x[i], truth.y[i]
    unseen = truth.x_test[rng.choice(np.flatnonzero(truth.y_test == label))]
    v, blind = nonunique.within_pattern(params, image, unseen - image, 1.0)
    assert blind == data["blind"][0]
    first = [params[0].weight @ z + params[0].bias for z in (image, image + v, image - v)]
    second = [params[1].weight @ relu(z) for z in first]
    for z in (first, second):
        assert np.all((z[0] > 0) == (z[1] > 0))
        assert np.all((z[0] > 0) == (z[2] > 0))
    with pytest.raises(ValueError, match="no direction keeps"):
        nonunique.within_pattern(params, image, unseen - image, 1e9)


def test_nearest_two_images_are_of_one_label():
    truth = datasets.load_dataset("mnist", 20)
    i, j = nonunique.nearest(truth)
    gaps = {
        (a, b): np.linalg.norm(truth.x[a] - truth.x[b])
        for a in range(20) for b in range(a + 1, 20) if truth.y[a] == truth.y[b]
    }  # fmt: skip
    assert (i, j) == min(gaps, key=gaps.get)


def test_colours_of_the_trained_and_of_an_untrained_net():
    data, truth = saved("colours"), datasets.load_dataset("colours", 20)
    options = {"iterations": 2, "alpha": 500.0, "upper_weight": 1.0}
    for k in range(2):
        rec = attack.reconstruct(shipped("colours-n20.pth"), 4, seed=SEED + k, **options)
        score = metrics.score(rec, truth)
        np.testing.assert_allclose(data["distance_trained"][k], score.distance, atol=1e-4)
        np.testing.assert_allclose(data["distance_unseen"][k], score.null["unseen"].distance, atol=1e-6)
    got = colours.numbers(data)
    assert got["trained"]["found"] == [int(np.sum(row <= 0.15)) for row in data["distance_trained"]]
    assert got["trained"]["of"] == 4
    assert data["colours_trained"].shape == data["colours_untrained"].shape == (4, 3)


@given(problems())
def test_scaling_up_keeps_the_direction(problem):
    _, _, x, _, _ = problem
    up = colours.scale_up(x)
    np.testing.assert_allclose(np.abs(up).max(axis=1), 0.5)
    np.testing.assert_allclose(up * np.abs(x).max(axis=1, keepdims=True), 0.5 * x, atol=1e-12)
    assert not colours.scale_up(np.zeros((2, 3))).any()


@given(problems())
def test_losses_are_measured_from_the_formulas(problem):
    _, params, x, lam, y = problem
    margin = y * [slow_forward(params, xi)[0] for xi in x]
    assume(np.abs(margin).max() > 1e-6)
    got = losses.measure(params, x, lam, y)
    norms = [sum(np.sum(p**2) for p in layer if p is not None) for layer in params]
    np.testing.assert_allclose(got[:-3] @ norms, slow_parameter_loss(params, x, lam, y), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(got[-3], sum(max(abs(v) - 1, 0) ** 2 for v in x.ravel()), atol=1e-12)
    np.testing.assert_allclose(got[-2], sum(max(0.4471 - value, 0) ** 2 for value in lam), atol=1e-12)
    np.testing.assert_allclose(got[-1], np.mean((margin / np.sqrt(np.mean(margin**2)) - 1) ** 2), atol=1e-9)


def test_losses_of_both_attacks_on_the_way():
    data, truth, params = saved("losses"), datasets.load_dataset("mnist", 20), shipped("mnist-n20.pth")
    weights = load(datasets.data_file("mnist-n20.pth"))
    for name, iterations in (("sgd", 4), ("lbfgs", 3)):
        rec = attack.reconstruct(weights, 10, seed=SEED, optimizer=name, iterations=iterations)
        x, lam = rec.x.astype(float), rec.lam.astype(float)
        np.testing.assert_allclose(data[f"measured_{name}"][-1][:-1], losses.measure(params, x, lam, rec.y), rtol=1e-3)
        np.testing.assert_allclose(
            data[f"measured_{name}"][-1][-1], np.median(metrics.score(rec, truth).ncc), atol=1e-3
        )
        assert np.all(data[f"seconds_{name}"] > 0)
    expected = losses.measure(params, truth.x, 20 * kkt.multipliers(params, truth.x, truth.y), truth.y)
    np.testing.assert_allclose(data["truth"], expected)
    better = losses.numbers(data)
    assert better["truth"]["layer 1"] < min(better[name]["layer 1"] for name in ("sgd", "lbfgs"))
