r"""`minirecon.load` against `torch.load(..., weights_only=True)`, bit for bit, and `minirecon.save` read by PyTorch."""

import io
import itertools
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

import minirecon as mr
from minirecon.io import pth
from minirecon.io.weights import read_tensors

TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
NAMES = {  # weight and bias of layers 1 to 3; only the first has a bias unless all do
    "layers": "layers.{0}", "sequential": "{0}", "linear": "linear{1}", "fc": "fc{1}", "module": "module.net.fc{1}",
    "far": "block.{2}.lin",
}  # fmt: skip
NESTS = {
    "plain": lambda sd: sd,
    "dict": dict,
    "notebook": lambda sd: {"batch": 10, "epoch": 1000, "state_dict": sd},
    "model": lambda sd: {"model": sd, "args": {"lr": 0.01, "shape": torch.Size([3, 4]), "names": ["a", None, True]}},
    "optimizer": lambda sd: {
        "model_state_dict": sd,
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "lr": 1e-3},
    },
}
LAYOUTS = ["contiguous", "transposed", "offset", "strided", "shared", "parameter"]


def weights(layout, dtype, names, all_biases):
    r"""A state dict of a network 7–5–6–1 in one of the layouts that tensors may have."""
    generator = torch.Generator().manual_seed(LAYOUTS.index(layout))
    pool = torch.randn(1000, generator=generator, dtype=torch.float64).to(dtype)

    def tensor(*shape):
        count = int(np.prod(shape))
        plain = torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)
        if layout == "transposed" and len(shape) == 2:
            return plain.T.contiguous().T
        if layout == "offset":
            return torch.cat([torch.zeros(3, dtype=dtype), plain.flatten()])[3:].view(*shape)
        if layout == "strided":
            return torch.stack([plain, -plain], dim=-1)[..., 0]
        if layout == "shared":
            start = int(torch.randint(0, 900, (1,), generator=generator))
            return pool[start : start + count].view(*shape)
        return torch.nn.Parameter(plain) if layout == "parameter" else plain

    saved = OrderedDict()
    for number, (out, inputs) in enumerate([(5, 7), (6, 5), (1, 6)]):
        prefix = NAMES[names].format(number, number + 1, 4 * number + 3)
        saved[f"{prefix}.weight"] = tensor(out, inputs)
        if number == 0 or (all_biases and number < 2):
            saved[f"{prefix}.bias"] = tensor(out)
    return saved


def same_bits(ours, theirs):
    theirs = theirs.detach()
    expected = theirs.float().numpy() if theirs.dtype == torch.bfloat16 else theirs.numpy()
    assert ours.dtype == expected.dtype
    assert ours.shape == expected.shape
    assert ours.tobytes() == np.ascontiguousarray(expected).tobytes()


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_720_files_written_by_pytorch(tmp_path, dtype, layout):
    r"""Types × layouts × names × nesting (4 × 6 × 6 × 5), and biases in one or in all hidden layers."""
    path = tmp_path / "w.pth"
    for number, (names, nest) in enumerate(itertools.product(NAMES, NESTS)):
        saved = weights(layout, dtype, names, all_biases=number % 2)
        torch.save(NESTS[nest](saved), path)
        truth = torch.load(path, weights_only=True)
        for key in ("state_dict", "model", "model_state_dict"):
            truth = truth.get(key, truth)
        tensors = read_tensors(path)
        assert list(tensors) == list(truth)
        for name, tensor in truth.items():
            same_bits(tensors[name], tensor)
        params = mr.load(path)
        ours = [p for layer in params for p in layer if p is not None]
        for p, tensor in zip(ours, truth.values(), strict=True):
            same_bits(p, tensor)


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("nest", NESTS)
def test_later_pickle_protocols(tmp_path, protocol, nest):
    r"""`torch.load(weights_only=True)` promises only protocol 2: compared with what was saved."""
    saved = weights("parameter", torch.float32, "module", True)
    torch.save(NESTS[nest](saved), tmp_path / "w.pth", pickle_protocol=protocol)
    for name, tensor in read_tensors(tmp_path / "w.pth").items():
        same_bits(tensor, saved[name])


def test_storages_that_are_shared_stay_shared(tmp_path):
    pool = torch.arange(60.0)
    torch.save({"a.weight": pool[:40].view(5, 8), "b.weight": pool[20:25].view(1, 5)}, tmp_path / "w.pth")
    tensors = read_tensors(tmp_path / "w.pth")
    assert np.shares_memory(tensors["a.weight"], tensors["b.weight"])


def test_repeated_numbers_and_other_types(tmp_path):
    saved = {
        "expanded.weight": torch.ones(1, 1).expand(3, 4), "empty": torch.zeros(0, 3), "scalar": torch.tensor(2.5),
        "long": torch.arange(5), "bool": torch.tensor([True, False]), "byte": torch.arange(4, dtype=torch.uint8),
        "int": torch.arange(3, dtype=torch.int32), "short": torch.arange(3, dtype=torch.int16),
        "char": torch.arange(-3, 3, dtype=torch.int8),
    }  # fmt: skip
    torch.save(saved, tmp_path / "w.pth")
    for name, tensor in read_tensors(tmp_path / "w.pth").items():
        same_bits(tensor, saved[name])


def test_big_endian_files(tmp_path):
    r"""As a big-endian machine writes them: its byte order in the archive, and every number reversed."""
    saved = weights("contiguous", torch.float32, "fc", True)
    torch.save(saved, tmp_path / "little.pth")
    with zipfile.ZipFile(tmp_path / "little.pth") as old, zipfile.ZipFile(tmp_path / "big.pth", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("byteorder"):
                content = b"big"
            elif "/data/" in name:
                content = np.frombuffer(content, "<f4").astype(">f4").tobytes()
            new.writestr(name, content)
    for name, tensor in read_tensors(tmp_path / "big.pth").items():
        same_bits(tensor, saved[name])
    truth = torch.load(tmp_path / "big.pth", weights_only=True)
    assert all(torch.equal(truth[name], saved[name]) for name in saved)


def test_files_saved_from_a_gpu(tmp_path):
    r"""The device is a string in the pickle; a CPU build of PyTorch can't write another, so it is put there."""
    saved, buffer = weights("contiguous", torch.float32, "layers", False), io.BytesIO()
    torch.save(saved, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(tmp_path / "gpu.pth", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                content = content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
                assert b"cuda:0" in content
            new.writestr(name, content)
    for name, tensor in read_tensors(tmp_path / "gpu.pth").items():
        same_bits(tensor, saved[name])


def test_the_old_format_is_refused_with_advice(tmp_path):
    torch.save(
        weights("contiguous", torch.float32, "fc", False), tmp_path / "old.pth", _use_new_zipfile_serialization=False
    )
    with pytest.raises(
        mr.CheckpointError, match=r"from before 1\.6; re-save it with PyTorch: torch\.save\(torch\.load"
    ):
        mr.load(tmp_path / "old.pth")


def test_a_whole_module_is_refused_with_advice(tmp_path):
    torch.save(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)), tmp_path / "m.pth")
    with pytest.raises(mr.UnsafeCheckpointError, match=r"'torch\.nn\.modules.*as in model\.state_dict\(\)"):
        mr.load(tmp_path / "m.pth")


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2"])
def test_pytorch_reads_what_we_write(tmp_path, dtype):
    rng = np.random.default_rng(0)
    params = (
        mr.Layer(rng.normal(size=(5, 7)).astype(dtype), rng.normal(size=5).astype(dtype)),
        mr.Layer(np.asfortranarray(rng.normal(size=(6, 5)).astype(dtype)), rng.normal(size=6).astype(dtype)),
        mr.Layer(rng.normal(size=(1, 6)).astype(f">{dtype}")),
    )
    mr.save(params, tmp_path / "w.pth")
    saved = torch.load(tmp_path / "w.pth", weights_only=True)
    assert list(saved) == ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "layers.2.weight"]
    for tensor, p in zip(saved.values(), [p for layer in params for p in layer if p is not None], strict=True):
        same_bits(np.ascontiguousarray(p, p.dtype.newbyteorder("=")), tensor)
    first = (tmp_path / "w.pth").read_bytes()
    mr.save(params, tmp_path / "w.pth")
    assert (tmp_path / "w.pth").read_bytes() == first


def test_committed_files_are_what_pytorch_reads():
    r"""tests/files holds files by `torch.save` that the suite reads without PyTorch; here they are checked with it."""
    from pathlib import Path

    files = sorted((Path(__file__).parent.parent / "files").glob("*.pth"))
    assert len(files) >= 6
    for path in files:
        truth = torch.load(path, weights_only=True)
        for key in ("state_dict", "model", "model_state_dict"):
            truth = truth.get(key, truth)
        expected = np.load(path.with_suffix(".npz"))
        tensors = pth.read(path)
        for name, tensor in truth.items():
            same_bits(tensors[name], tensor)
            assert tensors[name].tobytes() == expected[name].tobytes()
