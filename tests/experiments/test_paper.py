r"""Figures 3 and 4, and what more training does to the leak: that they say what the package measures."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from tiny import SEED, TINY, saved

from minirecon import attack, experiments, load_dataset, metrics, mlp, train
from minirecon.experiments import fig3, fig4, leak


@pytest.mark.parametrize("case", ["mnist", "cifar10"])
def test_fig3_reports_what_metrics_measures(case):
    data, tiny = saved("fig3"), TINY["fig3"]
    truth = load_dataset(case, 4)
    params = train(truth, [20, 20], SEED, target_time=50.0).params
    rec = attack.reconstruct(params, 8, seed=SEED, iterations=tiny["iterations"])
    result = metrics.score(rec, truth)
    order = np.argsort(-result.ssim)
    every = dict(zip(fig3.ROWS, zip(data[f"{case}_ssim"], data[f"{case}_ncc"], strict=True), strict=True))
    np.testing.assert_allclose(every["attack"], [result.ssim[order], result.ncc[order]], rtol=1e-5)
    for kind in ("mean_image", "start", "unseen"):
        np.testing.assert_allclose(every[kind][0], np.sort(result.null[kind].ssim)[::-1], rtol=1e-5)
    unseen = truth._replace(x=truth.x_test[:4], y=truth.y_test[:4])
    other = metrics.score(rec, unseen)
    np.testing.assert_allclose(np.sort(every["other"][1]), np.sort(other.ncc), rtol=1e-5)
    for row in ("faint", "scaled"):  # the same pictures
        np.testing.assert_allclose(np.sort(every[row][1]), np.sort(every["attack"][1]), rtol=1e-4)
        assert not np.allclose(every[row][0], every["attack"][0], atol=0.001)
    # the pictures drawn are those that were scored
    shape = tuple(data[f"{case}_shape"])
    images, originals = (data[f"{case}_{key}"].reshape(-1, *shape) / 255 for key in ("images", "truth"))
    np.testing.assert_allclose(originals.reshape(4, -1), (truth.x + truth.mean)[order], atol=1e-9)
    np.testing.assert_allclose(metrics.ssim(images, originals), every["attack"][0], atol=0.02)


def test_numbers_that_are_told():
    ssim = np.linspace(1, 0, 41)[::-1]
    got = experiments.told(["one"], [ssim], [ssim], fig3.PUBLISHED["mnist"])["one"]
    best = {"top10": pytest.approx(0.8875), "best": 1, "rank30": pytest.approx(0.275), "over_0.4": 24}
    assert got == {**best, "ncc": 0.5, "ncc_over_0.8": 8}
    assert experiments.told("ab", [ssim, ssim[:29]], [ssim, ssim[:29]], ["rank30"])["b"] == {"rank30": None}


def test_fig3_draws_the_best_above_their_originals():
    data = saved("fig3")
    figure = fig3.draw(data)
    pictures = [axes for part in figure.subfigs for axes in part.axes if axes.images]
    assert len(pictures) == 16
    first = [axes for axes in figure.subfigs[1].axes if axes.images]
    np.testing.assert_allclose(
        np.asarray(first[0].images[0].get_array()),
        (data["cifar10_images"][0] / 255).reshape(3, 32, 32).transpose(1, 2, 0),
    )
    assert first[0].get_title() == f"SSIM {data['cifar10_ssim'][0, 0]:.2f}\nNCC {data['cifar10_ncc'][0, 0]:.2f}"


def test_fig4_reports_what_metrics_measures():
    data = saved("fig4")
    assert data["n"].tolist() == [4, 6, 4, 4, 4]
    nets = [((20, 20), False), ((20, 20), False), ((10,), False), ((20, 10, 5), False), ((20, 20), True)]
    for i, (hidden, biases) in enumerate(nets):
        n = data["n"][i]
        truth = load_dataset("mnist", n)
        params = train(truth, hidden, SEED, target_time=50.0, hidden_biases=biases).params
        phi = mlp.forward(params, truth.x).phi[:, 0]
        np.testing.assert_allclose(fig4.split(data, "phi")[i], phi, rtol=1e-4)
        rec = attack.reconstruct(params, min(2 * n, 10), seed=SEED, iterations=5)
        result = metrics.score(rec, truth)
        np.testing.assert_allclose(fig4.split(data, "ssim")[i], result.ssim, rtol=1e-5)
        np.testing.assert_allclose(fig4.split(data, "unseen")[i], result.null["unseen"].ssim, rtol=1e-5)
        other = metrics.score(rec, truth._replace(x=truth.x_test[:n], y=truth.y_test[:n]))
        assert data["other_best"][i] == pytest.approx(other.ssim.max(), rel=1e-5)
        assert data["other_ncc"][i] == pytest.approx(np.median(other.ncc), rel=1e-5)
        panel = fig4.numbers(data)["panels"][i]
        assert panel["net"] == "–".join(map(str, hidden)) + (" + biases" if biases else "")
        assert panel["train_accuracy"] == np.mean(phi * truth.y > 0)
        assert panel["best_ssim"] == pytest.approx(result.ssim.max(), rel=1e-5)
        assert panel["median_output"] == pytest.approx(np.median(abs(phi)), rel=1e-4)


def test_fig4_rank_correlation():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30))
    assert fig4.rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert fig4.rank_correlation(a, np.exp(a)) == pytest.approx(1)


def test_leak_trains_the_same_networks_further_and_attacks_them():
    data, levels = saved("leak"), TINY["leak"]["levels"]
    assert np.all(data["log_loss"] <= levels)
    assert np.all(np.diff(data["log10_time"], axis=-1) > 0)
    assert np.all(data["effective"] <= 4 + 1e-6)
    truth = load_dataset("mnist", 4)
    # trained in one go
    trained = train(truth, [20, 20], SEED + 1, target_time=None, target_log_loss=levels[-1])
    assert data["log10_time"][0, 1, -1] == pytest.approx(np.log10(trained.history["time"][-1]), rel=1e-5)
    mean_lam = sum(np.sum(p.astype(float) ** 2) for p in trained.params[0]) / np.median(
        truth.y * mlp.forward(trained.params, truth.x).phi[:, 0]
    )
    assert data["mean_lam"][0, 1, -1] == pytest.approx(mean_lam, rel=1e-4)
    for way, given in enumerate([{}, {"lam_min": 0.7 * mean_lam, "lam_max": 1.6 * mean_lam}]):
        result = metrics.score(attack.reconstruct(trained.params, 8, seed=SEED + 1, iterations=5, **given), truth)
        place = 0, way, 1, -1, 1
        assert data["ncc"][place] == pytest.approx(np.median(result.ncc), rel=1e-3)
        assert data["ssim"][place] == pytest.approx(np.median(result.ssim), rel=1e-3)
        assert data["start_ncc"][place] == pytest.approx(np.median(result.null["start"].ncc), rel=1e-3)
        assert data["unseen_ssim"][place] == pytest.approx(np.median(result.null["unseen"].ssim), rel=1e-3)


def test_leak_spread():
    values = np.arange(12.0).reshape(2, 3, 2)  # (nets, levels, attacks)
    np.testing.assert_array_equal(leak.spread(values), [[0, 2, 4], [3.5, 5.5, 7.5], [7, 9, 11]])


def test_leak_medians_and_counts():
    def scored(ncc, null=None):
        ncc = np.array(ncc)
        return metrics.Score(np.zeros(4, int), np.zeros((4, 1)), ncc, ncc / 2, ncc, ncc, null)

    got = leak.medians(
        scored([0.1, 0.91, 0.92, 0.99], {"start": scored([0, 0.2, 0.4, 1]), "unseen": scored([0.7] * 4)})
    )
    expected = {"ncc": 0.915, "ssim": 0.4575, "over": 3, "start_ncc": 0.3, "start_ssim": 0.15, "unseen_ncc": 0.7}
    assert dict(zip(leak.KEYS, got, strict=True)) == pytest.approx({**expected, "unseen_ssim": 0.35})


def test_leak_counts_the_seeds_that_end_lower():
    data = {**saved("leak")}
    data["ncc"] = np.zeros((1, 2, 2, 3, 2))
    data["ncc"][0, :, :, 0] = 0.5
    data["ncc"][0, 0, :, -1] = [[0.4, 0.6], [0.3, 0.2]]
    data["ncc"][0, 1, :, -1] = 0.5
    got = leak.numbers(data)["mnist"]
    assert (got["fixed"]["lower_at_the_end"], got["moved"]["lower_at_the_end"]) == (3, 0)
    assert got["fixed"]["seeds"] == 4
    assert "3 of 4 and 0 of 4" in leak.caption(data)
    # the best is the first level, for both ways no worse at the end: then no verdict
    assert "No clear answer" in leak.caption(data)
    data["ncc"][0, 1, :, -1] = 0.4
    assert "Train more, leak less: yes" in leak.caption(data)
    assert "0.50 at log L = -0.5, 0.38 at the end" in leak.caption(data)
