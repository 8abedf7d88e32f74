r"""Pictures are ours: no setting of a user changes them, and one that can't be drawn loses nothing else."""

import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from minirecon import cli, load_dataset, score
from minirecon.attack.candidates import load_candidates
from minirecon.experiments.drawing import curves, images

ATTACK = ("attack", "net.npz", "--m", "4", "--iterations", "3")
RC = "text.usetex: True\nfont.size: 30\nfont.family: monospace\naxes.facecolor: red\nfigure.facecolor: red\n"
RC += "savefig.bbox: tight\nsavefig.dpi: 30\nimage.cmap: jet\nlines.linewidth: 9\nbackend: TkAgg\n"


def pictures(folder):
    return {path.name: np.asarray(Image.open(path)).tobytes() for path in folder.glob("*.png")}


@pytest.mark.parametrize("backend", ["nonsense", "module://nonesuch"])
def test_settings_of_a_user_change_nothing(anywhere, backend):
    (anywhere / "matplotlibrc").write_text(RC)
    for out, environment in (("theirs", {"MATPLOTLIBRC": str(anywhere), "MPLBACKEND": backend}), ("ours", {})):
        command, folder = [sys.executable, "-m", "minirecon", *ATTACK], anywhere / f"in {out}"
        folder.mkdir()
        save_to = ["--out", str(anywhere / out)]
        done = subprocess.run(
            [*command[:4], "../net.npz", *command[5:], *save_to], cwd=folder, env={**os.environ, **environment},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Matplotlib" not in done.stderr
    assert pictures(anywhere / "theirs") == pictures(anywhere / "ours")
    assert len(pictures(anywhere / "ours")) == 2


def test_settings_in_this_process(anywhere, capsys):
    before = dict(matplotlib.rcParams)
    assert cli.main([*ATTACK, "--out", "ours"]) == 0
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 30, "text.usetex": True}):
        assert cli.main([*ATTACK, "--out", "theirs"]) == 0
        assert matplotlib.rcParams["font.size"] == 30
    assert pictures(anywhere / "theirs") == pictures(anywhere / "ours")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["$a_$ and $\\frac$", "M\udcfcller", "new\nline", "n" * 200, "數字"])
def test_odd_names_are_titles(anywhere, name):
    data = load_dataset("mnist", 4)._replace(name=name, class_names=("$x_", "$\\nonesuch$"))
    rec = type("Candidates", (), {"x": data.x, "y": data.y, "start": None})
    images.draw(lambda: images.reconstructions(score(rec, data), data), anywhere / "a.png")
    images.draw(lambda: images.candidates(data.x, data.y, np.ones(4), data.class_names), anywhere / "b.png")
    circle = load_dataset("circle", 4)._replace(name=name, class_names=("$x_", "$\\nonesuch$"))
    rec = type("Candidates", (), {"x": circle.x, "y": circle.y, "start": None})
    images.draw(lambda: images.reconstructions(score(rec, circle), circle), anywhere / "c.png")
    assert len(pictures(anywhere)) == 3
    assert images.plain("plain") == "plain"
    assert len(images.plain(name)) <= 50


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
def test_a_picture_that_fails_loses_nothing(anywhere, capsys, monkeypatch, error):
    def fails(*_, **__):
        raise error("no ink")

    for module, name in ((images, "candidates"), (images, "reconstructions"), (curves, "training"), (curves, "kkt")):
        monkeypatch.setattr(module, name, fails)
    net = ["train", "mnist", "--n", "4", "--hidden", "8", "--time", "5", "--first-scale", "0.1", "--out", "net"]
    for args, out, picture, files in (
        ([*ATTACK, "--out", "found"], "found", "candidates", ["candidates.npz", "results.json"]),
        (["score", "found", "--against", "mnist", "--n", "4"], "found/score", "reconstructions", ["results.json"]),
        (net, "net", "training", ["results.json", "weights.pth"]),
        (["kkt", "net/weights.pth", "--against", "mnist", "--n", "4", "--out", "k"], "k", "kkt", ["results.json"]),
        (["demo", "circle", "--out", "demo"], "demo", "candidates", ["candidates.npz", "results.json"]),
    ):
        if picture == "candidates" and out == "demo":
            monkeypatch.setattr(images, "reconstructions", lambda *_: None)
        assert cli.main(args) == 2
        last = capsys.readouterr().err.replace("\r", "\n").splitlines()[-1]
        reason = f"not drawn ({error.__name__} no ink); all else is there"
        assert last == f"minirecon {args[0]}: {out}/{picture}.png: {reason}"
        assert sorted(path.name for path in (anywhere / out).iterdir() if path.is_file()) == files
    assert len(load_candidates("found/candidates.npz").x) == 4
