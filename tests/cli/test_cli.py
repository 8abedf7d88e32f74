import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import minirecon
from minirecon import Layer, cli, load, load_dataset, losses, save, score, train
from minirecon.attack import lbfgs
from minirecon.attack.candidates import load_candidates

DESIGN_KEYS = {"command", "config", "seed", "versions", "seconds", "peak_mb"}
RESIDUAL_KEYS = {"total", "relative", "per_layer", "zero_lambda"}
SCORE_KEYS = {
    "ncc": {"median", "over_0.8", "over_0.9"},
    "one_to_one": {"over_0.8", "over_0.9"},
    "ssim": {"median", "top10_mean", "rank30", "over_0.4"},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("a path with spaces") / "net.npz"
    save(train(load_dataset("mnist", 8), (60, 60), target_time=1000.0).params, path)
    return path


@pytest.fixture
def anywhere(tmp_path, monkeypatch):
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def run(capsys, *args):
    r"""Exit status, and what was printed on standard output and on standard error."""
    status = cli.main([str(arg) for arg in args])
    return status, *capsys.readouterr()


def results(folder):
    return json.loads((folder / "results.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def assert_fits_80_columns(*texts):
    for text in texts:
        for line in text.replace("\r", "\n").split("\n"):
            assert len(line) < 80, line


def test_train_attack_score(anywhere, capsys):
    r"""The whole road, with the default folders."""
    status, out, err = run(capsys, "train", "mnist", "--n", 8, "--hidden", "60,60", "--time", 1000, "--half")
    assert status == 0
    assert_fits_80_columns(out, err)
    assert "accuracy: training 1.000 (of 8), test 0." in out
    folder = anywhere / "minirecon-out" / "train-mnist"
    assert {path.name for path in folder.iterdir()} == {"results.json", "training.png", "weights.pth"}
    result = results(folder)
    assert result["versions"]["minirecon"] == minirecon.__version__
    assert result.keys() == DESIGN_KEYS | {"n", "training", "interrupted"}
    assert result["config"]["hidden"] == [60, 60]
    assert result["training"]["time"] == pytest.approx(1000)
    assert load(folder / "weights.pth")[1].weight.dtype == np.float16

    status, out, err = run(
        capsys, "attack", folder / "weights.pth", "--m", 16, "--iterations", 60, "--set", "alpha=99.5"
    )
    assert status == 0
    assert_fits_80_columns(out.replace(str(anywhere), ""), err)
    assert "\rattack" in err
    assert "<" in err  # elapsed < remaining
    assert "layer 1" in err
    folder = anywhere / "minirecon-out" / "attack-train-mnist"
    assert {path.name for path in folder.iterdir()} == {
        "results.json",
        "candidates.npz",
        "candidates.png",
        "losses.png",
    }
    result = results(folder)
    assert result.keys() == DESIGN_KEYS | {"m", "residual", "iterations", "interrupted"}
    assert result["residual"].keys() == RESIDUAL_KEYS
    assert sum(result["residual"]["per_layer"]) == pytest.approx(result["residual"]["total"])
    assert result["config"]["alpha"] == 99.5
    assert result["config"]["iterations"] == 60
    assert result["m"] == 16
    assert result["iterations"] == 60
    assert result["interrupted"] is False

    status, out, err = run(capsys, "score", folder, "--against", "mnist", "--n", 8)
    assert status == 0
    assert_fits_80_columns(out.replace(str(anywhere), ""), err)
    result = results(folder / "score")
    assert result.keys() == DESIGN_KEYS | {"n", "m", "ncc", "one_to_one", "partial_ncc", "ssim", "null"}
    assert set(result["null"]) == {"mean_image", "start", "unseen", "others"}
    for part in (result, *result["null"].values()):
        assert {key: set(part[key]) for key in SCORE_KEYS} == SCORE_KEYS
    expected = score(load_candidates(folder / "candidates.npz"), load_dataset("mnist", 8))
    assert result["ncc"]["median"] == pytest.approx(np.median(expected.ncc))
    assert f"{np.median(expected.ncc):.3f}" in out
    assert "This uses the true training set" in out
    for null in ("mean image", "the attack's start", "unseen samples"):
        assert f"null: {null}" in out


def test_kkt(weights, anywhere, capsys):
    status, out, err = run(capsys, "kkt", weights, "--against", "mnist", "--n", 8, "--out", "out")
    assert (status, err) == (0, "")
    assert_fits_80_columns(out.replace(str(weights), ""))
    for condition in ("stationarity", "primal feasibility", "dual feasibility", "complementary slackness", "σ(−yΦ(x))"):
        assert condition in out
    assert "uses the true training set" in out
    result = results(anywhere / "out")
    assert set(result) == {
        *DESIGN_KEYS, "n", "gamma", "residual", "slackness", "sum_lam", "euler", "euler_per_layer", "cosine",
        "margin", "lam", "late",
    }  # fmt: skip
    assert {name: set(part) for name, part in result["residual"].items()} == dict.fromkeys(
        ("zero", "late", "best", "signed"), RESIDUAL_KEYS
    )
    gamma = re.search(r"γ = ([\d.]+)", out).group(1)
    np.testing.assert_allclose(float(gamma), result["gamma"], rtol=1e-3)
    assert (anywhere / "out" / "kkt.png").stat().st_size > 10_000
    status, _, err = run(capsys, "kkt", weights, "--against", "mnist", "--n", 20)
    assert status == 2
    assert re.fullmatch(r"minirecon kkt: \d+ of 20 samples are misclassified; expected a margin yΦ\(x\) above 0\n", err)


def test_a_hole_of_the_handout_is_one_line(weights, anywhere, capsys, monkeypatch):
    def residual(*_):
        raise NotImplementedError("Task 3.3: losses.residual")

    monkeypatch.setattr(losses, "residual", residual)
    status, _, err = run(capsys, "kkt", weights, "--against", "mnist", "--n", 8)
    assert status == 2
    assert err.strip().endswith("minirecon kkt: Task 3.3: losses.residual is not written yet")
    assert "Traceback" not in err


@pytest.mark.parametrize("ending", [".pth", ".pt", ".npz", ".safetensors"])
def test_convert_and_inspect(weights, anywhere, capsys, ending):
    new = f"new{ending}"
    status, out, _ = run(capsys, "convert", weights, new)
    assert status == 0
    assert_fits_80_columns(out)
    for ours, theirs in zip(load(new), load(weights), strict=True):
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(p, q)
    assert [path.name for path in anywhere.iterdir()] == [new]
    status, out, _ = run(capsys, "inspect", new)
    assert status == 0
    assert_fits_80_columns(out)
    first = load(new)[0].weight
    assert f"layers.0.weight          60 × 784         float32   from {first.min():.4g} to {first.max():.4g}" in out
    assert f"{784 * 60 + 60 + 60 * 60 + 60:,} parameters" in out
    assert " ".join(out.splitlines()[-3:]) == (
        "a network 784–60–60–1 with biases in layer 1: homogeneous of degree 3, if its "
        "units are ReLUs, which a file does not tell "
        "its layers, in this order: layers.0, layers.1, layers.2"
    )


def test_inspect_says_what_is_no_network(anywhere, capsys):
    np.savez("conv.npz", **{"conv.weight": np.ones((4, 3, 3, 3)), "conv.bias": np.array([])})
    status, out, _ = run(capsys, "inspect", "conv.npz")
    assert status == 0
    assert "conv.bias                0                float64   empty" in out
    assert "not a network to attack: weights: conv.weight (4, 3, 3, 3): expected" in out
    save((Layer(np.ones((3, 2))), Layer(np.ones((3, 3)), np.ones(3)), Layer(np.ones((1, 3)))), "biased.npz")
    assert "in layer 2: not homogeneous: the theory" in run(capsys, "inspect", "biased.npz")[1]


def test_the_same_seed_gives_the_same_results(weights, anywhere, capsys):
    for folder in ("one", "two"):
        assert run(capsys, "attack", weights, "--m", 4, "--iterations", 10, "--seed", 3, "--out", folder)[0] == 0
    one, two = (results(anywhere / folder) for folder in ("one", "two"))
    for result in (one, two):
        assert result.pop("seconds") >= 0
        assert result.pop("peak_mb") > 10
    assert one == two
    one, two = (load_candidates(anywhere / folder / "candidates.npz") for folder in ("one", "two"))
    np.testing.assert_array_equal(one.x, two.x)


def test_authors_method_and_double_precision(weights, anywhere, capsys):
    args = ["attack", weights, "--m", 4, "--optimizer", "sgd", "--iterations", 5, "--dtype", "float64", "--out", "out"]
    assert run(capsys, *args)[0] == 0
    result = results(anywhere / "out")
    assert result["config"]["lr_x"] == 0.03052
    assert load_candidates(anywhere / "out" / "candidates.npz").x.dtype == np.float64


def test_differences_say_their_order_and_no_residual(weights, anywhere, capsys):
    status, out, _ = run(capsys, "attack", weights, "--m", 4, "--optimizer", "differences", "--out", "out")
    assert status == 0
    assert "groups of differences that are alike, the one that most others agree\nwith first; no λ" in out
    assert_fits_80_columns(out)


def test_data_without_a_test_set(anywhere, capsys):
    rng = np.random.default_rng(0)
    np.savez(anywhere / "mine.npz", images=rng.uniform(size=(8, 5, 5)), labels=np.arange(8) % 2)
    status, out, _ = run(capsys, "train", "mine.npz", "--n", 8, "--hidden", "10", "--time", 5, "--first-scale", 0.1)
    assert status == 0
    assert "no test set" in out
    assert results(anywhere / "minirecon-out" / "train-mine")["training"]["test_accuracy"] is None


def test_interrupted_attack_keeps_its_candidates(weights, anywhere, capsys, interrupt):
    calls = interrupt(20)
    status, out, _ = run(capsys, "attack", weights, "--m", 4, "--out", "out")
    assert status == 0
    assert "interrupted: keeping the best candidates so far" in out
    assert len(load_candidates(anywhere / "out" / "candidates.npz").x) == 4
    result = results(anywhere / "out")
    assert result["interrupted"] is True
    assert 5 < result["iterations"] < 20
    assert "Too early to go on from: nothing is saved yet." in out
    calls[:] = []
    status, out, _ = run(capsys, "train", "mnist", "--hidden", "10", "--first-scale", "0.1", "--out", "trained")
    assert status == 0
    assert "interrupted: keeping the weights so far" in out
    assert (anywhere / "trained" / "weights.pth").is_file()
    calls[:] = [None] * 19
    status, _, err = run(capsys, "train", "mnist", "--out", "nothing")
    assert status == 130
    assert err.splitlines()[-1] == "minirecon train: interrupted before there was a result"
    assert not (anywhere / "nothing").exists()


def test_attack_resume(weights, anywhere, capsys, interrupt, monkeypatch):
    r"""Interrupted after a save; another attack's state is refused and left alone; then to the end."""
    monkeypatch.setattr(lbfgs, "SEGMENT", 10)
    args = ["attack", weights, "--m", 4, "--iterations", 45]
    calls = interrupt(-1)
    assert run(capsys, *args, "--out", "whole")[0] == 0
    assert not (anywhere / "whole" / "state.npz").exists()
    total = len(calls)
    calls = interrupt(32)
    assert run(capsys, *args, "--out", "out")[0] == 0
    assert results(anywhere / "out")["interrupted"] is True
    state = anywhere / "out" / "state.npz"
    assert len(np.load(state)["history margin"]) == 10
    status, _, err = run(capsys, *args, "--out", "out", "--resume", "--set", "alpha=99.5")
    assert status == 2
    assert err.splitlines()[-1].endswith("state.npz: saved by another attack, with alpha = 150.0; expected 99.5")
    assert len(np.load(state)["history margin"]) == 10
    kept = state.read_bytes()
    calls[:] = [None] * 32
    assert run(capsys, *args, "--out", "out", "--resume")[0] == 0
    assert len(calls) - 32 < total - 10  # it did not begin anew
    assert not state.exists()
    one, two = (load_candidates(anywhere / folder / "candidates.npz") for folder in ("whole", "out"))
    for name in ("x", "lam"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    one, two = (results(anywhere / folder) for folder in ("whole", "out"))
    assert one["residual"] == two["residual"]
    assert one["iterations"] == two["iterations"]
    state.write_bytes(kept)
    status, _, err = run(capsys, *args, "--out", "out")  # without --resume nothing is begun anew, or lost
    assert status == 2
    assert err.splitlines()[-1].endswith("out: holds an attack (state.npz); expected --resume, or another --out")
    assert state.read_bytes() == kept
    state.unlink()
    for name in ("results.json", "candidates.npz"):
        (anywhere / "out" / name).unlink()
    calls = interrupt(-1)
    status, out, _ = run(capsys, *args, "--out", "out", "--resume")
    assert "Nothing to go on from there yet: starting anew." in out
    assert len(calls) == total


def test_many_runs(weights, anywhere, capsys, interrupt):
    r"""Pooled candidates, what they agree on, and how right that is; the resumed is the same."""
    args = ["attack", weights, "--m", 16, "--iterations", 100, "--runs", 3]
    status, out, err = run(capsys, *args, "--jobs", 2, "--out", "out")
    assert status == 0
    assert_fits_80_columns(out, err)
    assert "3 of 3 runs done" in err
    assert "3 runs. KKT residual" in out
    folder = anywhere / "out"
    assert {path.name for path in folder.iterdir()} == {
        "results.json", "candidates.npz", "candidates.png", "consensus.npz", "consensus.png",
        "run-000.npz", "run-001.npz", "run-002.npz",
    }  # fmt: skip
    result = results(folder)
    assert result.keys() == DESIGN_KEYS | {"m", "residual", "runs", "interrupted"}
    assert result["m"] == 48
    assert result["runs"] == result["config"]["runs"] == 3
    pooled = load_candidates(folder / "candidates.npz")
    assert pooled.run.tolist() == [0] * 16 + [1] * 16 + [2] * 16
    support = np.load(folder / "consensus.npz")["support"]
    groups = re.search(r"(\d+) groups of candidates that are alike: (\d+) found by all.*\n(\d+) with", out).groups()
    assert list(map(int, groups)) == [len(support), np.sum(support == 1), np.sum(support >= 0.5)]

    status, out, _ = run(capsys, "score", folder, "--against", "mnist", "--n", 8)
    assert status == 0
    assert_fits_80_columns(out.replace(str(anywhere), ""))
    result = results(folder / "score")
    assert result.keys() == DESIGN_KEYS | {"n", "m", "ncc", "one_to_one", "partial_ncc", "ssim", "null", "consensus"}
    rows, null = result["consensus"]["candidates"], result["consensus"]["start"]
    assert rows[-1]["candidates"] == np.sum(support == 1) > 0
    assert rows[-1]["precision"] > rows[0]["precision"]
    assert all(row["right"] == 0 for row in null[2:])  # from half of the other runs on
    assert f"100%        {rows[-1]['candidates']:8}" in out

    calls = interrupt(-1)
    status, _, err = run(capsys, *args, "--out", "out", "--resume")
    assert status == 0
    assert not calls
    np.testing.assert_array_equal(load_candidates(folder / "candidates.npz").x, pooled.x)
    status, _, err = run(capsys, *args, "--out", "out", "--resume", "--seed", 1)
    assert status == 2
    assert "run-000.npz: saved by another attack, with seed = 0; expected 1" in err
    status, _, err = run(capsys, *args, "--jobs", 0, "--out", "out")
    assert status == 2
    assert "out: holds an attack (run-000.npz); expected --resume, or another --out" in err
    assert len(list(folder.glob("run-*.npz"))) == 3
    assert run(capsys, *args, "--jobs", 1, "--out", "out2", "--seed", 1)[0] == 0
    assert len(calls) > 100
    np.testing.assert_array_equal(load_candidates(anywhere / "out2" / "candidates.npz").x[:32], pooled.x[16:])


def test_runs_on_points_have_no_consensus(anywhere, capsys):
    save((Layer(np.eye(3, 2)), Layer(np.ones((1, 3)))), "net.npz")
    status, out, _ = run(
        capsys, "attack", "net.npz", "--m", 4, "--iterations", 5, "--runs", 2, "--jobs", 1, "--out", "out"
    )
    assert status == 0
    assert "No consensus: candidates of 2 numbers each; expected at least 16" in " ".join(out.split())
    assert not (anywhere / "out" / "consensus.npz").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["attack", "missing.npz"],
            "minirecon attack: missing.npz: no such file; expected weights, .pth, .pt, .npz or .safetensors",
        ),
        (["attack", "notes.txt"], "notes.txt: no zip archive, as torch.save and numpy.savez write it"),
        (["attack", "broken.npz"], "broken.npz: damaged, or no file of weights (BadZipFile"),
        (
            ["attack", "ten.npz", "--m", "9"],
            "m = 9: expected a whole number of at least 10 candidates, one of each label",
        ),
        (["attack", "ten.npz", "--optimizer", "sgd"], "several outputs: expected optimizer = 'lbfgs' and no samples"),
        (
            ["attack", "net.npz", "--initial", "ten.npz"],
            "initial: 2 layers; expected 3, as the trained weights have",
        ),
        (["attack", "net.npz", "--initial", "net.npz"], "initial: the weights are the trained ones; expected those"),
        (["attack", "nan.npz"], "nan.npz: layer 2: holds NaN or infinity"),
        (["attack", "net.npz", "--m", "1"], "m = 1: expected a whole number of at least 2"),
        (["attack", "net.npz", "--iterations", "0"], "iterations = 0: expected a positive number"),
        (["attack", "net.npz", "--set", "alpa=3"], "alpa: no such setting; expected iterations, alpha"),
        (["attack", "net.npz", "--runs", "0"], "runs = 0: expected a whole number, 1 or more"),
        (["attack", "net.npz", "--runs", "2", "--jobs", "0"], "jobs = 0: expected a whole number, 1 or more"),
        (["attack", "net.npz", "--runs", "2", "--m", "1", "--jobs", "1"], "m = 1: expected a whole number"),
        (
            ["attack", "net.npz", "--runs", "2", "--scheduler", "nonesuch"],
            "scheduler = nonesuch: no Dask scheduler answers there",
        ),
        (["attack", "net.npz", "--out", "notes.txt"], "--out notes.txt: can't write there (File exists)"),
        (["attack", "net.npz", "--out", "notes.txt/deeper"], "--out notes.txt/deeper: can't write there"),
        (["train", "nonesuch"], "nonesuch: expected mnist, cifar10"),
        (["train", "mnist", "--n", "7"], "n = 7: expected an even number"),
        (["train", "mnist", "--n", "2000"], "n = 2000: expected at most"),
        (["train", "mnist", "--hidden", "0"], "hidden = (0,)"),
        (["train", "mnist", "--time", "-3"], "target_time = -3.0: expected a positive flow time"),
        (["train", "mnist", "--time", "inf"], "no flow time and no log L to stop at"),
        (["train", "mnist", "--time", "nan"], "target_time = nan: expected a positive flow time"),
        (["score", "nowhere", "--against", "mnist"], "candidates.npz: no such file; expected candidates"),
        (["score", "found", "--against", "mnist"], "candidates of shape (2, 5); expected (m, 784)"),
        (["demo", "--out", "notes.txt"], "--out notes.txt: can't write there"),
        (["kkt", "net.npz", "--against", "cifar10"], "samples of shape (20, 3072); expected (n, 784)"),
        (["kkt", "ten.npz", "--against", "mnist"], "labels -1, 1; expected 0 to 9 for 10 outputs, data in"),
        (["train", "mnist", "--n", "21", "--classes", "3"], "classes = 3: expected 2 or 10 for mnist"),
        (["train", "mnist", "--classes", "10", "--n", "25"], "n = 25: expected a multiple of 10 of training samples"),
        (["train", "mnist", "--classes", "10", "--loss", "mse"], "loss = 'mse': expected 'softmax' for 10 classes"),
        (["train", "mnist", "--decay", "-1"], "decay = -1.0: expected a number of at least 0"),
        (["figure", "svm", "--out", "notes.txt"], "--out notes.txt: can't write there (File exists)"),
        (["convert", "net.npz", "net.txt"], "net.txt: its ending '.txt' is none of weights"),
        (["convert", "nan.npz", "new.pth"], "nan.npz: layer 2: holds NaN or infinity"),
        (["convert", "net.npz", "nowhere/new.pth"], "nowhere: no such folder"),
        (["inspect", "broken.npz"], "broken.npz: damaged, or no file of weights (BadZipFile"),
    ],
)
def test_bad_input_is_one_clear_line(weights, anywhere, capsys, args, message):
    (anywhere / "notes.txt").write_text("mine")
    (anywhere / "broken.npz").write_bytes(weights.read_bytes()[:5000])
    (anywhere / "net.npz").write_bytes(weights.read_bytes())
    first = {"layers.0.weight": np.ones((3, 2))}
    np.savez(anywhere / "nan.npz", **first, **{"layers.1.weight": np.full((1, 3), np.nan)})
    save((Layer(np.ones((3, 2))), Layer(np.ones((10, 3)))), anywhere / "ten.npz")
    (anywhere / "found").mkdir()
    np.savez(anywhere / "found" / "candidates.npz", x=np.zeros((2, 5)), lam=np.ones(2), y=np.array([-1.0, 1.0]))
    before = sorted(anywhere.rglob("*"))
    status, _, err = run(capsys, *args)
    assert status == 2
    lines = err.replace("\r", "\n").strip().split("\n")
    assert message in lines[-1]
    assert lines[-1].startswith(f"minirecon {args[0]}: ")
    assert "Traceback" not in err
    assert sorted(anywhere.rglob("*")) == before
    assert (anywhere / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "the following arguments are required: VERB"),
        (["nonesuch"], "invalid choice: 'nonesuch'"),
        (["demo", "imagenet"], "invalid choice: 'imagenet'"),
        (["attack", "w.npz", "--seed=-1"], "argument --seed: invalid seed value: '-1'"),
        (["train", "mnist", "--hidden", "10,x"], "argument --hidden: invalid widths value: '10,x'"),
        (["attack", "w.npz", "--set", "alpha"], "argument --set: invalid setting value: 'alpha'"),
        (["score", "out"], "the following arguments are required: --against"),
    ],
)
def test_bad_usage(capsys, args, message):
    with pytest.raises(SystemExit, match="2"):
        cli.main(args)
    assert message in capsys.readouterr().err


def test_a_terminal_without_greek(weights, anywhere):
    done = subprocess.run(
        [sys.executable, "-m", "minirecon", "attack", weights, "--m", "4", "--iterations", "3", "--out", "out"],
        capture_output=True, env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert done.returncode == 0
    assert b"KKT residual" in done.stdout
    assert results(anywhere / "out")["iterations"] == 3


def test_help_names_every_verb_and_loads_nothing_heavy(anywhere):
    code = (
        "import sys; from minirecon import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit as end: print(end.code, [m for m in ('matplotlib', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    for verb in ("demo", "train", "attack", "score", "kkt", "figure", "convert", "inspect"):
        assert f"\n    {verb} " in done.stdout
        help_text = subprocess.run(
            [sys.executable, "-m", "minirecon", verb, "--help"], capture_output=True, text=True, check=True
        ).stdout
        assert ("--seed" in help_text) == ("--out" in help_text) == (verb not in ("convert", "inspect"))
        assert_fits_80_columns(help_text)
        if verb == "attack":
            text = " ".join(help_text.split())
            assert "default 1000, for sgd 50000, with --decay 300" in text
            assert "after weight decay --optimizer differences or --decay, with biases in any layer" in text
