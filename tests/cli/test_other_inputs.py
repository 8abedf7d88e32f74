r"""Networks that were trained on raw or standardised pixels, as most are."""

import json

import numpy as np
import pytest

from minirecon import cli, load_dataset, losses, reconstruct, score, train
from minirecon.attack.candidates import load_candidates
from minirecon.io.datasets import data_file

MNIST = "0.1307,0.3081"
NET = ("train", "mnist", "--n", 8, "--hidden", "60,60", "--time", 1000)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*args):
        status = cli.main([str(arg) for arg in args])
        return status, *capsys.readouterr()

    return call


def results(folder):
    with open(f"{folder}/results.json", encoding="utf-8") as file:
        return json.load(file)


@pytest.mark.parametrize("name", ["raw", MNIST])
def test_the_whole_road(run, name):
    r"""Train, check, attack, score; and a remark where others fit far better."""
    assert run(*NET, "--inputs", name, "--out", "net")[0] == 0
    assert results("net")["config"]["inputs"] == name
    weights, truth = "net/weights.pth", ("--against", "mnist", "--n", 8)
    status, out, _ = run("kkt", weights, *truth, "--inputs", name)
    assert status == 0
    assert f"inputs {name}" in " ".join(out.split())
    assert "other inputs" not in out
    assert results("minirecon-out/kkt-net")["config"]["inputs"] == name
    status, out, err = run("kkt", weights, *truth)
    if status == 0:
        assert f"Layer 1 is explained far better at other inputs: --inputs {name}\n" in out
    else:
        assert err.endswith(f"are misclassified; expected a margin yΦ(x) above 0; --inputs {name} fits these weights\n")
    status, out, _ = run("attack", weights, "--m", 16, "--iterations", 60, "--inputs", name, "--out", "found")
    assert status == 0
    assert f"inputs {name}" in " ".join(out.split())
    assert results("found")["config"]["inputs"] == name
    assert load_candidates("found/candidates.npz").inputs == name
    status, out, _ = run("score", "found", *truth)
    assert status == 0
    assert f"inputs {name}" in " ".join(out.split())
    got, data = results("found/score"), load_dataset("mnist", 8, inputs=name)
    expected = score(load_candidates("found/candidates.npz"), data)
    assert got["ncc"]["median"] == pytest.approx(np.median(expected.ncc))
    assert got["ncc"]["median"] > got["null"]["start"]["ncc"]["median"]
    assert got["null"]["mean_image"]["ncc"]["median"] > 0.3  # the digits' mean is not taken off
    status, _, err = run("score", "found", *truth, "--inputs", "centred")
    assert status == 2
    assert err == f"minirecon score: --inputs centred: the attack was told {name}; expected the same, or none\n"


def test_kkt_of_the_shipped_network_has_nothing_to_remark(run):
    shipped = data_file("mnist-n20.pth")
    status, out, _ = run("kkt", shipped, "--against", "mnist", "--n", 20)
    assert status == 0
    assert "other inputs" not in out
    status, out, err = run("kkt", shipped, "--against", "mnist", "--n", 20, "--inputs", "raw")
    assert "--inputs centred" in out + err


@pytest.mark.parametrize("optimizer", ["lbfgs", "sgd"])
@pytest.mark.parametrize("given", ["raw", MNIST, (0.5, 0.5)])
def test_the_range_of_candidates_is_that_of_the_pixels(monkeypatch, optimizer, given):
    params = train(load_dataset("mnist", 4, inputs=given), (20,), target_time=50.0).params
    seen, range_loss = set(), losses.range_loss

    def spy(x, low=-1.0, high=1.0):
        seen.add((low, high))
        return range_loss(x, low, high)

    monkeypatch.setattr(losses, "range_loss", spy)
    options = {"optimizer": optimizer, "iterations": 3}
    rec = reconstruct(params, 4, inputs=given, **options)
    mean, std = (0.0, 1.0) if given == "raw" else map(float, rec.inputs.split(","))
    limits = {each for each in seen if each[1] < np.inf}  # the λ loss is a range loss, too
    assert limits == {((0 - mean) / std, (1 - mean) / std)}
    if optimizer == "lbfgs":
        seen.clear()
        reconstruct(params, 4, inputs=given, samples=2, **options)
        assert seen == limits
    seen.clear()
    assert reconstruct(params, 4, **options).inputs == "centred"
    assert {each for each in seen if each[1] < np.inf} == {(-1.0, 1.0)}


def test_three_channels_stay_float32(tmp_path):
    text = "0.4914,0.4822,0.4465,0.247,0.2435,0.2616"
    data = load_dataset("cifar10", 4, inputs=text)
    params = train(data, (20,), target_time=50.0).params
    for optimizer in ("lbfgs", "sgd"):
        rec = reconstruct(params, 4, inputs=text, optimizer=optimizer, iterations=3)
        assert rec.x.dtype == np.float32
    result = score(rec, data)
    assert 0 <= result.images.min() <= result.images.max() <= 1


@pytest.mark.parametrize("wrong", ["Raw", "1", "0.5,0", "a,b"])
def test_refuses(run, capsys, wrong):
    with pytest.raises(SystemExit, match="2"):
        run("kkt", "w.npz", "--against", "mnist", "--inputs", wrong)
    assert f"argument --inputs: inputs = {wrong}: expected centred, raw, MEAN,STD, or" in capsys.readouterr().err
