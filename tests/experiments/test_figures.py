r"""Every figure: a tiny version of it runs, and the committed one is what its command makes of its data."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from tiny import SEED, TINY, saved

from minirecon import cli, experiments, load, load_dataset, reconstruct, score
from minirecon.cli import figure as gallery
from minirecon.experiments import fig2, gates, svm, sweep, training
from minirecon.experiments.drawing import SMALL, WIDTH, images
from minirecon.io.datasets import data_file

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
HIGHEST = 9.0  # inches: a page
LARGEST = 550_000  # bytes of a picture
RUN = ("fig2", "training", "svm", "sweep")  # by their command; the others from what `saved` has


def smallest_text(figure):
    r"""The size of the smallest text of a figure that is seen, in points, but for powers in the marks of an axis."""
    every = figure.findobj(lambda artist: hasattr(artist, "get_fontsize") and hasattr(artist, "get_text"))
    return min(text.get_fontsize() for text in every if text.get_text() and text.get_visible())


@pytest.mark.parametrize("name", experiments.NAMES)
def test_all_is_made_from_the_file_alone(name, tmp_path):
    module, data = experiments.load(name), saved(name)
    assert set(experiments.settings(name, quick=True)) == set(experiments.settings(name))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a glyph that the font lacks, a layout that does not fit
        for file, draw in experiments.pictures(name).items():
            with images.ours():
                figure = draw(data)
                images.save(figure, tmp_path / file)
            assert figure.get_figwidth() == WIDTH
            assert figure.get_figheight() <= HIGHEST
            assert smallest_text(figure) >= SMALL
    numbers = module.numbers(data)
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    text = module.caption(data)
    assert all(len(line) < 80 for line in gallery.printed(text).splitlines())
    assert gallery.printed(text).split() == text.split()
    assert "nan" not in text
    assert any(word in text for word in ("paper", "published", "authors"))  # where it differs


@pytest.mark.parametrize("name", RUN)
def test_a_tiny_version_runs_and_all_is_drawn_from_the_saved_arrays(name, tmp_path, monkeypatch, capsys):
    module = experiments.load(name)
    monkeypatch.setattr(module, "QUICK", TINY[name])
    assert cli.main(["figure", name, "--quick", "--seed", str(SEED), "--out", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"{name}.{e}" for e in ("npz", "md", "json")),
        *experiments.pictures(name),
        "README.md",
    }
    record = json.loads((tmp_path / f"{name}.json").read_text())
    assert record["seed"] == SEED
    settings = experiments.settings(name) | TINY[name]
    assert record["config"] == json.loads(json.dumps({"name": name, "quick": True, **settings}))
    with np.load(tmp_path / f"{name}.npz") as archive:
        data = dict(archive)
    assert json.loads(json.dumps(module.numbers(data))) == record["numbers"]
    assert module.caption(data).strip() == (tmp_path / f"{name}.md").read_text().strip()
    page = (tmp_path / "README.md").read_text()
    assert all(f"({file})" in page for file in experiments.pictures(name))
    assert module.caption(data).strip() in page
    out = capsys.readouterr().out.replace(str(tmp_path), "")
    assert all(len(line) < 80 for line in out.splitlines())
    again = saved(name)
    for key, value in again.items():  # the same seed, the same result
        np.testing.assert_array_equal(data[key], np.asarray(value))


@pytest.mark.parametrize("name", experiments.NAMES)
def test_committed_figures_come_from_their_commands(name):
    r"""Not made again, for that takes long, but they have today's settings, numbers and captions."""
    module = experiments.load(name)
    record = json.loads((FIGURES / f"{name}.json").read_text(encoding="utf-8"))
    assert record["config"] == json.loads(json.dumps({"name": name, "quick": False, **experiments.settings(name)}))
    with np.load(FIGURES / f"{name}.npz") as archive:
        data = dict(archive)
    assert json.loads(json.dumps(module.numbers(data))) == record["numbers"]
    assert module.caption(data).strip() == (FIGURES / f"{name}.md").read_text(encoding="utf-8").strip()
    assert set(module.QUICK) <= set(experiments.settings(name))
    assert all((FIGURES / file).stat().st_size < LARGEST for file in experiments.pictures(name))
    assert gallery.page(FIGURES) == (FIGURES / "README.md").read_text(encoding="utf-8")


def test_fig2_finds_the_circle():
    r"""At least 16 of the 20 points, at most 8 kept candidates far from all; an untrained network does not."""
    got = fig2.numbers(fig2.run(0, False, **experiments.settings("fig2", quick=True)))
    assert min(got["points_found"]) >= 16
    assert max(got["far_candidates"]) <= 8
    assert max(got["untrained_points_found"]) <= 5


def test_sorting_out_keeps_what_the_kkt_conditions_allow():
    x = np.array([[0.0, 0.0], [0.05, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [0.0, 0.01]])
    lam = np.array([0.5, 0.9, 0.01, 0.5, 0.5, 0.4])
    y = np.array([1.0, 1.0, 1.0, 1.0, -1.0, -1.0])
    margin = np.array([10.0, 10.0, 10.0, 3.0, 9.0, 10.0])
    left = fig2.sort_out(x, lam, y, margin, small=0.1, feasible=0.6, apart=0.1)
    assert left.tolist() == [
        [True, True, False, True, True, True],  # the third has a small λ
        [True, True, False, False, True, True],  # the fourth a small margin
        [False, True, False, False, True, True],  # the first is a duplicate with a smaller λ; labels are kept apart
    ]


@pytest.mark.parametrize("name", RUN)
def test_half_an_experiment_is_none(name, tmp_path, monkeypatch, interrupt, capsys):
    r"""Ctrl-C during a training or an attack, which would keep what they have: no picture is made of that."""
    module = experiments.load(name)
    monkeypatch.setattr(module, "QUICK", TINY[name])
    calls = interrupt(4)
    assert cli.main(["figure", name, "--quick", "--out", str(tmp_path / "out")]) == 130
    assert len(calls) >= 4
    assert not (tmp_path / "out").exists()
    assert "interrupted before there was a result" in capsys.readouterr().err


def test_the_sweep_scores_each_setting_and_marks_what_diverged():
    got = sweep.run(5, False, **{**TINY["sweep"], "rates": (1e6, 0.01)})
    params, data = load(data_file("mnist-n20.pth")), load_dataset("mnist", 20)
    sgd = reconstruct(params, 40, seed=5, optimizer="sgd", iterations=20, lr_x=0.01, alpha=15.0)
    lbfgs = reconstruct(params, 40, seed=5, iterations=3, alpha=50.0)
    for row, rec in ((got["sgd"][1, 0], sgd), (got["lbfgs"][1], lbfgs)):
        each = score(rec, data)
        assert row == pytest.approx([np.median(each.ncc), np.sort(each.ssim)[-10:].mean()])
    assert np.isnan(got["sgd"][0]).all()
    assert sweep.numbers(got)["sgd"]["diverged"] == 1
    assert got["null"][0, 0] == 0  # the mean image has no contrast of its own
    found = {**got, "sgd": np.array([[[0.5, 0.2]], [[0.46, 0.3]], [[0.4, 0.1]]]), "rates": np.array([1.0, 2.0, 3.0])}
    numbers = sweep.numbers(found)["sgd"]
    assert (numbers["within_a_tenth_of_the_best"], numbers["best_rate"], numbers["ncc_worst"]) == (2, 1.0, 0.4)


def test_gates_score_each_alpha_from_each_start():
    got, data = saved("gates"), load_dataset("mnist", 20)
    rec = reconstruct(load(data_file("mnist-n20.pth")), 10, seed=SEED + 1, span=20, iterations=2, alpha=1e4)
    expected = score(rec, data)
    np.testing.assert_allclose(got["ncc"][1, 1], expected.ncc, rtol=1e-6)
    np.testing.assert_allclose(got["null_start"][1], expected.null["start"].ncc, rtol=1e-6)
    numbers = gates.numbers({**got, "ncc": np.full((3, 2, 20), [0.91] * 5 + [0.9] * 6 + [0.1] * 9)})
    assert numbers["1e+30"] == {"found": [5, 5], "ncc": [0.9, 0.9]}
    assert [gates.label(alpha) for alpha in (1e30, 1e6, 500.0)] == ["∞", "$10^6$", "500"]


def test_the_rates_of_lyu_and_li_are_constants_where_they_hold():
    r"""L = 1 / (T (log T)^(4/3)) and ‖θ¹‖² = 3 (−log L)^(2/3), three layers; before T = e there is no rate."""
    time = np.array([0.0, 1.0, 1e2, 1e4, 1e6])
    log_loss = -np.log(np.maximum(time, 3)) - 4 / 3 * np.log(np.log(np.maximum(time, 3)))
    history = {"time": time, "log_loss": log_loss, "norm": np.sqrt(3 * (-log_loss) ** (2 / 3))[:, None] * np.ones(3)}
    norm, excess, corrected = training.rates(history)
    assert np.isnan([norm[:2], excess[:2], corrected[:2]]).all()
    np.testing.assert_allclose(norm[2:], 3)
    np.testing.assert_allclose(excess[2:], 4 / 3 * np.log(np.log(time[2:])))
    np.testing.assert_allclose(corrected[2:], 0, atol=1e-12)


def test_a_figure_is_drawn_again_from_its_data(tmp_path, monkeypatch, capsys):
    r"""Pictures, caption, numbers and page become what they were; nothing is run, and what was measured stays."""
    out = ["--out", str(tmp_path)]
    assert cli.main(["figure", "svm", "--redraw", *out]) == 2
    assert "svm.npz: no such file; expected the data of minirecon figure svm" in capsys.readouterr().err
    monkeypatch.setattr(svm, "QUICK", TINY["svm"])
    assert cli.main(["figure", "svm", "--quick", *out]) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("svm.svg", "svm-rows.png", "svm.md", "README.md"):
        (tmp_path / name).unlink()
    record = json.loads(before["svm.json"])
    (tmp_path / "svm.json").write_text(json.dumps(record | {"numbers": {}}), encoding="utf-8")
    monkeypatch.setattr(svm, "run", None)
    assert cli.main(["figure", "svm", "--redraw", *out]) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_is_no_data_is_not_drawn(tmp_path, monkeypatch, capsys):
    r"""One line names the file, and all in the folder stays as it was."""
    out = ["--out", str(tmp_path)]
    monkeypatch.setattr(svm, "QUICK", TINY["svm"])
    assert cli.main(["figure", "svm", "--quick", *out]) == 0
    data, record = tmp_path / "svm.npz", tmp_path / "svm.json"
    good = data.read_bytes(), record.read_bytes()
    np.savez(tmp_path / "other.npz", a=1)
    capsys.readouterr()
    for path, wrong in (
        (data, b"text"), (data, b""), (data, good[0][:500]), (data, (tmp_path / "other.npz").read_bytes()),
        (record, b"text"), (record, b"[]"), (record, b'{"seed": 0}'), (record, b"\xff"),
    ):  # fmt: skip
        path.write_bytes(wrong)
        before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
        assert cli.main(["figure", "svm", "--redraw", *out]) == 2
        assert capsys.readouterr().err == f"minirecon figure: {path}: expected the data of minirecon figure svm\n"
        assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
        data.write_bytes(good[0])
        record.write_bytes(good[1])
    for more in (["--seed", "3"], ["--quick"]):
        assert cli.main(["figure", "svm", "--redraw", *more, *out]) == 2
        assert "--redraw: expected no --seed and no --quick; nothing is run" in capsys.readouterr().err
    assert cli.main(["figure", "svm", "--redraw", *out]) == 0


def test_unknown_figures_are_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["figure", "fig5"])
    assert "fig5" in capsys.readouterr().err
