import os
import stat
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy as library
from hypothesis import given
from strategies import networks

from minirecon import CheckpointError, Layer, Reconstruction, load, mlp, save
from minirecon.attack.candidates import load_candidates, save_candidates
from minirecon.io import files, safetensors, weights

SMALL = (Layer(np.ones((3, 2)), np.ones(3)), Layer(np.ones((1, 3))))


@pytest.mark.parametrize("ending", [".npz", ".pth", ".pt", ".safetensors"])
@given(drawn=networks())
def test_round_trip(tmp_path_factory, ending, drawn):
    _, params = drawn
    path = tmp_path_factory.getbasetemp() / f"w{ending}"
    for dtype in (np.float64, np.float32, np.float16):
        cast = mlp.cast(params, dtype)
        save(cast, path)
        back = load(str(path))
        assert len(back) == len(params)
        for layer, original in zip(back, cast, strict=True):
            for ours, theirs in zip(layer, original, strict=True):
                assert (ours is None) == (theirs is None)
                if ours is not None:
                    assert ours.dtype == dtype
                    np.testing.assert_array_equal(ours, theirs)


def test_names_in_the_file_are_pytorchs(tmp_path):
    for ending in (".npz", ".pth", ".safetensors"):
        save(SMALL, tmp_path / f"w{ending}")
        names = sorted(weights.read_tensors(tmp_path / f"w{ending}"))
        assert names == ["layers.0.bias", "layers.0.weight", "layers.1.weight"]


def test_the_librarys_safetensors_and_ours_are_the_same(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        f"{kind}.weight": (rng.normal(size=(2, 3)) * 9).astype(kind) for kind in ("f8", "f4", "f2", "i8", "u1", "?")
    }
    tensors |= {"number": np.array(3, np.float32), "empty": np.empty((0, 3), np.float32)}
    library.save_file(tensors, tmp_path / "theirs.safetensors", {"format": "pt"})
    safetensors.write(tensors, tmp_path / "ours.safetensors")
    for read, name in ((weights.read_tensors, "theirs"), (weights.read_tensors, "ours"), (library.load_file, "ours")):
        found = read(tmp_path / f"{name}.safetensors")
        assert found.keys() == tensors.keys()
        for key, tensor in tensors.items():
            assert (found[key].dtype, found[key].shape) == (tensor.dtype, tensor.shape)
            np.testing.assert_array_equal(found[key], tensor)


NAMES = [
    ("layers.0", "layers.1", "layers.2"), ("0", "2", "10"), ("fc2", "fc9", "fc10"), ("module.a.1", "module.a.2", "out"),
    ("input", "hidden", "output"),  # not in the order of the alphabet: then the order of the file counts
]  # fmt: skip


@pytest.mark.parametrize("names", NAMES)
def test_layers_are_ordered_by_name(names):
    shapes = dict(zip(names, [(4, 7), (5, 4), (1, 5)], strict=True))
    tensors = {f"{name}.weight": np.ones(shape) for name, shape in shapes.items()}
    tensors[f"{names[1]}.bias"] = np.arange(5.0)
    params = weights.assemble(tensors)
    assert [layer.weight.shape for layer in params] == [(4, 7), (5, 4), (1, 5)]
    assert [layer.bias is None for layer in params] == [True, False, True]
    if names[0] != "input":
        backwards = dict(reversed(tensors.items()))
        assert [layer.weight.shape for layer in weights.assemble(backwards)] == [(4, 7), (5, 4), (1, 5)]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            {"conv.weight": (8, 3, 3, 3)},
            r"conv\.weight \(8, 3, 3, 3\): expected NAME\.weight \(out, in\) and NAME\.bias .*; found conv\.weight",
        ),
        ({"a.weight": (4, 3), "norm.weight": (4,), "b.weight": (1, 4)}, r"norm\.weight \(4,\): expected NAME\.weight"),
        ({"a.weight": (4, 3), "norm.running_mean": (4,)}, r"norm\.running_mean \(4,\): expected NAME"),
        ({"a.weight": (4, 3), "b.bias": (4,)}, r"b\.bias has no weight beside it; found a\.weight \(4, 3\), b"),
        (
            {"a.weight": (4, 3), "b.weight": (1, 5)},
            r"its layers' shapes, \(out, in\), don't chain; found a\.weight \(4, 3\), b",
        ),
        ({f"{n}.weight": (3, 3) for n in range(20)} | {"x.y": (1,)}, r"3\.weight \(3, 3\), …"),
        ({}, r"0 layer\(s\); expected at least 2"),
    ],
)
def test_what_is_no_perceptron_is_refused_with_a_list(shapes, message):
    with pytest.raises(CheckpointError, match="net: .*" + message):
        weights.assemble({name: np.ones(shape) for name, shape in shapes.items()}, "net")


W, NAN = np.ones((3, 2)), np.array([[1.0, np.nan, 1.0]])


@pytest.mark.parametrize(
    ("params", "message", "of_file"),  # what `load` says, if it sees it sooner
    [
        ((Layer(np.ones((1, 2))),), r"w\.npz: 1 layer\(s\); expected at least 2", None),
        (
            (Layer(W), Layer(np.ones((1, 4)))),
            "layer 2: takes 4 inputs; expected 3, the outputs of layer 1",
            "don't chain",
        ),
        ((Layer(W, np.ones(2)), Layer(np.ones((1, 3)))), r"layer 1: bias has shape \(2,\); expected \(3,\)", None),
        ((Layer(np.ones(3)), Layer(np.ones((1, 3)))), r"layer 1: weight has shape \(3,\); expected", "expected NAME"),
        ((Layer(np.ones((0, 2))), Layer(np.ones((1, 0)))), r"layer 1: weight has shape \(0, 2\)", None),
        ((Layer(W), Layer(NAN)), "layer 2: holds NaN or infinity", None),
        ((Layer(W, np.array([1, np.inf, 1])), Layer(np.ones((1, 3)))), "layer 1: holds NaN or infinity", None),
        ((Layer(W.astype(int)), Layer(np.ones((1, 3)))), "layer 1: holds int64; expected floating-point", None),
    ],
)
def test_bad_weights_are_refused_both_ways(tmp_path, params, message, of_file):
    path = tmp_path / "w.npz"
    with pytest.raises(CheckpointError, match=message):
        save(params, path)
    assert list(tmp_path.iterdir()) == []
    arrays = {
        f"layers.{i}.{n}": p for i, layer in enumerate(params) for n, p in layer._asdict().items() if p is not None
    }
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match=of_file or message):
        load(path)


def test_swapped_arguments_of_save_are_one_clear_line(tmp_path):
    with pytest.raises(CheckpointError, match=r"^save\(params, path\): path is a tuple; expected a file's name$"):
        save(tmp_path / "net.pth", (Layer(np.ones((1, 2)), None),))


def test_bad_files(tmp_path):
    with pytest.raises(CheckpointError, match=r"w\.onnx: its ending '\.onnx' is none of weights; expected \.pth, \.pt"):
        save(SMALL, tmp_path / "w.onnx")
    with pytest.raises(CheckpointError, match=r"w: its ending '' is none of weights"):
        save(SMALL, tmp_path / "w")
    with pytest.raises(CheckpointError, match=r"missing\.npz: no such file; expected weights"):
        load(tmp_path / "missing.npz")
    save(SMALL, tmp_path / "w.npz")
    whole = (tmp_path / "w.npz").read_bytes()
    for share in range(0, 100, 5):
        (tmp_path / "cut.npz").write_bytes(whole[: len(whole) * share // 100])
        with pytest.raises(CheckpointError, match=r"cut\.npz: "):
            load(tmp_path / "cut.npz")
    np.savez(tmp_path / "pickled.npz", **{"layers.0.weight": np.array([{}])})
    with pytest.raises(CheckpointError, match=r"pickled\.npz: layers\.0\.weight holds Python objects"):
        load(tmp_path / "pickled.npz")


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "w.npz"
    save(SMALL, path)
    before = path.read_bytes()

    def write_half():
        with files.atomic(path) as temporary:
            Path(temporary).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    mask = os.umask(0o022)
    try:
        save(SMALL, path)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    with open(path, "rb") as reader:  # who has begun to read the old file reads it to its end
        save((*SMALL[:1], Layer(np.zeros((1, 3)))), path)
        assert reader.read() == before
    assert path.read_bytes() != before


def test_candidates_round_trip(tmp_path):
    rng = np.random.default_rng(0)
    x, start = rng.normal(size=(2, 4, 3)).astype(np.float32)
    rec = Reconstruction(x, rng.uniform(size=4), np.array([-1.0, -1, 1, 1]), start, {"parameter": np.ones(3)})
    save_candidates(rec, tmp_path / "c.npz")
    back = load_candidates(tmp_path / "c.npz")
    for field in ("x", "lam", "y", "start"):
        np.testing.assert_array_equal(getattr(back, field), getattr(rec, field))
    save_candidates(rec._replace(start=None), tmp_path / "c.npz")
    assert load_candidates(tmp_path / "c.npz").start is None


GOOD = {"x": np.zeros((2, 3)), "lam": np.ones(2), "y": np.array([-1.0, 1.0]), "start": np.zeros((2, 3))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": None}, "lacks x; expected x, lam and y"),
        ({"x": np.zeros(2)}, r"x of shape \(2,\); expected \(m, d\)"),
        ({"lam": np.ones(3)}, r"lam of shape \(3,\); expected \(2,\)"),
        ({"y": np.ones((2, 1))}, r"y of shape \(2, 1\)"),
        ({"start": np.zeros((2, 4))}, r"start of shape \(2, 4\); expected \(2, 3\)"),
        ({"x": np.full((2, 3), np.nan)}, "x, of type float64, holds other than finite floats"),
        ({"lam": np.array(["a", "b"])}, "lam, of type <U1, holds other than finite floats"),
        ({"y": np.array([0.0, 1.0])}, "y holds other labels than −1 and"),
    ],
)
def test_bad_candidates(tmp_path, change, message):
    arrays = {name: array for name, array in {**GOOD, **change}.items() if array is not None}
    np.savez(tmp_path / "c.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        load_candidates(tmp_path / "c.npz")
