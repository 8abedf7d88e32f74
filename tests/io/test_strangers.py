r"""Files by other people, of every kind that is read: what is wrong with them costs a line, and not the machine."""

import gzip
import io
import json
import os
import resource
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from archives import GOOD, dict_code, tensor_code, text, write_archive

import minirecon as mr
from minirecon import cli
from minirecon.attack import lbfgs
from minirecon.attack.candidates import load_candidates
from minirecon.io import safetensors, weights
from minirecon.io.unpickle import unpickle

SMALL = {"0.weight": np.ones((2, 3)), "1.weight": np.ones((1, 2))}
NET = tuple(mr.Layer(weight) for weight in SMALL.values())


# --- small files that would fill the memory -------------------------------------------------------------------


def whole(n):
    return b"\x8a\x04" + n.to_bytes(4, "little")


def names(count, tensor):
    r"""A state dict with one tensor under many names, two opcodes each."""
    more = b"".join(b"\x8c\x0d" + b"%06d.weight" % n + b"h\x00" for n in range(count))
    return b"\x80\x02}(\x8c\x01x" + tensor + b"q\x00" + more + b"u."


def long_size(path):
    long = b"a" * 900_000
    code = b"X" + struct.pack("<I", len(long)) + long + b"\x85q\x01ctorch\nSize\nq\x02" + b"h\x02h\x01R" * 300
    write_archive(path, b"\x80\x02" + code + b".")


def copies_of_bfloat16(path):
    code = names(2000, tensor_code(count=1, shape=(400, 400), strides=(0, 0), kind="BFloat16"))
    write_archive(path, code, {"data/0": bytes(2)})


def copies_for_the_other_byte_order(path):
    code = names(9000, tensor_code(count=250_000, shape=(500, 500), strides=(500, 1)))
    write_archive(path, code, {"data/0": bytes(1_000_000), "byteorder": b"big"})


def many_names(path):
    write_archive(path, names(29_000, tensor_code(count=1, shape=(1, 1), strides=(1, 1))), {"data/0": bytes(4)})


def many_layers(path):
    code = names(29_000, tensor_code(count=490_000, shape=(700, 700), strides=(700, 1), kind="Half"))
    write_archive(path, code, {"data/0": bytes(980_000)})


def packed_npz(path, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive, archive.open("0.weight.npy", "w") as entry:
        header = {"descr": "<f4", "fortran_order": False, "shape": (5000, 5000)}
        np.lib.format.write_array_header_1_0(entry, header)
        for _ in range(100):
            entry.write(bytes(1_000_000))


def header_npz(path, descr="<f8", shape=(10**6, 10**6)):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.weight.npy", file.getvalue())


def header_safetensors(path, header=b'{"a":{"dtype":"F32","shape":[' + b"1," * 2_000_000 + b"1]}}"):
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def empty_safetensors(path):
    entry = b':{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    header_safetensors(path, b"{" + b",".join(b'"%d"' % n + entry for n in range(50_000)) + b"}")


def packed_idx(path, begin=bytes([0, 0, 8, 3, 0, 0, 255, 255, 0, 0, 0, 28, 0, 0, 0, 28])):
    path.mkdir()
    with gzip.open(path / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(begin)
        for _ in range(60):
            file.write(bytes(1_000_000))
    for name in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (path / name).write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "write", "options", "message"),
    [
        ("w.pth", long_size, {}, "not whole numbers"),
        ("w.pth", copies_of_bfloat16, {}, "its tensors claim 1280640000 bytes, over 4 times the file's"),
        ("w.pth", copies_for_the_other_byte_order, {}, "its tensors claim 9001000000 bytes"),
        ("w.pth", many_layers, {}, "its tensors claim"),
        ("w.pth", many_names, {}, None),
        ("w.npz", packed_npz, {}, "claims to unpack to 100000128 bytes"),
        ("w.npz", packed_npz, {"method": zipfile.ZIP_BZIP2}, "is packed as neither NumPy nor PyTorch does it"),
        ("w.npz", packed_npz, {"method": zipfile.ZIP_LZMA}, "is packed as neither NumPy nor PyTorch does it"),
        ("w.npz", header_npz, {}, "0.weight: 128 bytes; its header claims (1000000, 1000000) of float64"),
        ("w.npz", header_npz, {"descr": "<U0"}, "0.weight: 128 bytes; its header claims"),
        ("w.safetensors", header_safetensors, {}, "its header claims 4000033 bytes; expected at most 524288"),
        ("w.safetensors", header_safetensors, {"header": b'{"a":' + b"[" * 500_000}, "RecursionError"),
        ("w.safetensors", header_safetensors, {"header": b'{"a":[' + b'{"":0},' * 70_000 + b"0]}"}, ""),
        ("w.safetensors", empty_safetensors, {}, "its header claims"),
        ("data", packed_idx, {}, "claims to unpack to 51379440 bytes"),
        ("data", packed_idx, {"begin": bytes(16)}, "begins with 00 00 00 00"),
    ],
)  # fmt: skip
def test_small_files_take_little_memory(tmp_path, name, write, options, message):
    path = tmp_path / name
    write(path, **options)
    size = sum(each.stat().st_size for each in [path, *path.glob("*")])
    tracemalloc.start()
    try:
        if message is None:
            weights.read_tensors(path)
        else:
            with pytest.raises(ValueError, match=r"\S") as caught:
                mr.load_dataset(path, 2) if path.is_dir() else weights.read_tensors(path)
            assert message in str(caught.value)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * size + 30e6


def test_keys_are_strings_so_that_no_file_can_choose_their_hashes():
    keys = [b"\x8a\x10" + (n * (2**61 - 1)).to_bytes(16, "little") for n in range(1, 4)] + [b"G?\xf8" + bytes(6)]
    saved = unpickle(b"\x80\x02}(" + b"".join(key + b"N" for key in keys) + b"u.")
    assert list(saved) == [str(n * (2**61 - 1)) for n in range(1, 4)] + ["1.5"]


def test_what_is_no_file_is_not_opened(tmp_path):
    r"""A device without end, a pipe that nobody writes to, folders, links that lead nowhere."""
    kinds = {
        "is a pipe or a device": [lambda path: path.symlink_to("/dev/zero"), os.mkfifo],
        "is a folder": [os.mkdir],
        "no such file": [lambda path: path.symlink_to("nowhere")],
    }
    for message, makes in kinds.items():
        for make in makes:
            for name in ("w.pth", "w.npz", "w.safetensors", "w.ckpt"):
                make(tmp_path / name)
                with pytest.raises(ValueError, match=rf"{name}: {message}; expected weights"):
                    mr.load(tmp_path / name)
                (tmp_path / name).rmdir() if message == "is a folder" else (tmp_path / name).unlink()
            for name in ("data_batch_1.bin", "train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"):
                make(tmp_path / name)
                with pytest.raises(ValueError, match="holds no file; expected MNIST's"):
                    mr.load_dataset(tmp_path, 2)
                (tmp_path / name).rmdir() if message == "is a folder" else (tmp_path / name).unlink()


# --- names, messages, endings of the command line ---------------------------------------------------------------


def raw_members(path):
    np.savez(path, **SMALL)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README.txt", "my network")
        archive.writestr("folder/", "")
        archive.writestr("empty", "")


def python_2(path):
    r"""Headers with long integers, for which NumPy has a warning of two lines."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in SMALL.items():
            file = io.BytesIO()
            np.save(file, array)
            archive.writestr(
                f"{name}.npy", file.getvalue().replace(b", 3), } ", b", 3L), }").replace(b"2), } ", b"2L), }")
            )


HOSTILE = "\x1b]0;owned\x07\x1b[2J\n\u202eminirecon: all is well" + "é" * 10_000
ARRAYS = {
    "strings": {**SMALL, "names": np.array(["a", "b"])},
    "bytes": {**SMALL, "names": np.array([b"a"])},
    "records": {**SMALL, "pairs": np.zeros(2, "i4,f4")},
    "void": {**SMALL, "0.bias": np.zeros(2, "V3")},
    "truth": {**SMALL, "on": np.array([True])},
    "complex": {"0.weight": np.ones((2, 3), complex), "1.weight": np.ones((1, 2))},
    "dates": {"0.weight": np.zeros((2, 3), "M8[s]"), "1.weight": np.ones((1, 2))},
    "long double": {name: array.astype(np.longdouble) for name, array in SMALL.items()},
    "number": {**SMALL, "epoch": np.array(3)},
    "names": {HOSTILE + ".weight": np.ones((2, 3)), "1.weight": np.ones((1, 2))},
    "bias": {HOSTILE + ".bias": np.ones(2), "1.weight": np.ones((1, 2))},
    "other": {HOSTILE: np.ones(2)},
    "zeros": {name: 0 * array for name, array in SMALL.items()},
    "huge": {name: 1e300 * array for name, array in SMALL.items()},
}


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*args):
        with warnings.catch_warnings():
            warnings.simplefilter("always")  # as on the command line: they would be more lines
            status = cli.main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        assert all(c.isprintable() or c in "\n\r" for c in out + err)
        assert max(map(len, out.splitlines()), default=0) < 200
        if status:
            assert status == 2
            assert err.count("\n") <= 1 + err.count("\r")  # the progress line ends in one of its own
            assert len(err.splitlines()[-1]) <= 300
        return status, out, err

    return run


@pytest.mark.parametrize("name", [*ARRAYS, "raw members", "python 2"])
def test_inspect_and_convert_end_well(run, tmp_path, name):
    if name == "raw members":
        raw_members(tmp_path / "w.npz")
    elif name == "python 2":
        python_2(tmp_path / "w.npz")
    else:
        np.savez("w.npz", **ARRAYS[name])
    run("inspect", "w.npz")
    for ending in (".pth", ".npz", ".safetensors"):
        run("convert", "w.npz", f"new{ending}")
    run("attack", "w.npz", "--m", 2, "--iterations", 2, "--optimizer", "sgd")
    run("attack", "w.npz", "--m", 2, "--iterations", 2)


def test_inspect_says_what_it_passed_over(run, tmp_path):
    raw_members(tmp_path / "w.npz")
    status, out, _ = run("inspect", "w.npz")
    assert status == 0
    assert "passed over: README.txt, folder/, empty" in out
    np.savez("w.npz", loss=np.array(0.5), **SMALL)
    assert "passed over: loss" in run("inspect", "w.npz")[1]
    np.savez("w.npz", loss=np.array(0.5))
    assert "holds 1 tensor\n" in run("inspect", "w.npz")[1]


def hostile_pth(name):
    tensor = tensor_code(count=2, shape=(1, 2), strides=(2, 1))
    return b"\x80\x02}(" + text(name + ".weight") + tensor_code() + text("b.weight") + tensor + b"u."


@pytest.mark.parametrize(
    "code",
    [
        b"F" + b"\xff" * 900_000 + b"\n.",  # pickletools quotes what it can't read
        b"S" + b"\xff" * 900_000 + b"\n.",
        hostile_pth(HOSTILE),
        b"\x80\x02}" + text(HOSTILE) + b"K\x01s.",
        b"\x80\x02}" + text(HOSTILE) + hostile_pth("a")[2:-1] + b"s.",
        b"\x80\x02}(" + text(HOSTILE) + hostile_pth("a")[2:-1] + text("b") + hostile_pth("a")[2:-1] + b"u.",
        dict_code(tensor_code(key=HOSTILE)),
        dict_code(tensor_code(tag=HOSTILE)),
        b"\x80\x04" + text(HOSTILE) + text(HOSTILE) + b"\x93.",
    ],
)
def test_what_a_pickle_holds_does_not_drive_the_terminal(run, tmp_path, code):
    write_archive(tmp_path / "w.pth", code)
    run("inspect", "w.pth")
    run("convert", "w.pth", "new.npz")


def test_names_in_an_archive_and_in_a_header_do_not_drive_the_terminal(run, tmp_path):
    write_archive(tmp_path / "w.pth", GOOD, root=HOSTILE, compression=zipfile.ZIP_DEFLATED)
    assert "is compressed" in run("inspect", "w.pth")[2]
    whole = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(whole.replace("é".encode(), b"xx", 9000))  # in one of the two places of the name
    assert "damaged, or no file of weights (BadZipFile" in run("inspect", "w.pth")[2]
    for entry in ({"dtype": HOSTILE, "shape": [0], "data_offsets": [0, 0]}, {HOSTILE: 1}, HOSTILE):
        header = json.dumps({HOSTILE: entry}).encode()
        (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        assert run("inspect", "w.safetensors")[0] == 2


@pytest.mark.parametrize("ending", [".pth", ".npz", ".safetensors"])
def test_a_full_disk_names_the_file_and_leaves_nothing(run, tmp_path, ending):
    big = (mr.Layer(np.ones((100, 100))), mr.Layer(np.ones((1, 100))))
    mr.save(big, tmp_path / "w.npz")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))  # bytes of a file: an error as of a full disk
    try:
        status, _, err = run("convert", "w.npz", f"new{ending}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 2
    assert f"new{ending}: File too large" in err
    assert os.listdir() == ["w.npz"]


def test_candidates_and_data_sets_with_members_that_are_no_arrays(tmp_path):
    good = {"x": np.zeros((2, 3)), "lam": np.ones(2), "y": np.array([-1.0, 1.0])}
    for name in good:
        np.savez(tmp_path / "c.npz", **{key: array for key, array in good.items() if key != name})
        with zipfile.ZipFile(tmp_path / "c.npz", "a") as archive:
            archive.writestr(name, "no array")
        with pytest.raises(ValueError, match=f"c.npz: lacks {name}; expected x, lam and y"):
            load_candidates(tmp_path / "c.npz")
    images, labels = np.zeros((4, 3, 3), np.uint8), np.array([0, 1, 0, 1])
    for bad, message in (
        ({"images": np.zeros(())}, r"images of shape \(\); expected"),
        ({"labels": np.zeros(())}, r"labels hold 1 class\(es\)"),
        ({"images": np.zeros((4, 3), "V2")}, r"images of type \|V2"),
        ({"labels": np.zeros(4, "V2")}, r"labels of type \|V2; expected numbers or names"),
        ({"test_images": images, "test_labels": np.zeros(4, "i4,f4")}, "test_labels of type .*; expected numbers"),
        (
            {"labels": np.array([HOSTILE[:900], "b", "c", "d"])},
            r"labels hold 4 class\(es\), .{0,20}, b, c, d; expected 2$",
        ),
    ):
        np.savez(tmp_path / "d.npz", **{"images": images, "labels": labels, **bad})
        with pytest.raises(ValueError, match=rf"d\.npz: {message}") as caught:
            mr.load_dataset(tmp_path / "d.npz", 2)
        assert str(caught.value).isprintable()


# --- two entries of one name ----------------------------------------------------------------------------------


def test_two_entries_of_one_name_are_refused(tmp_path):
    r"""PyTorch reads the first of them, Python's zipfile the last."""
    for name in ("w.npz", "w.pth"):
        mr.save(NET, tmp_path / name)
        with zipfile.ZipFile(tmp_path / name) as archive:
            twice = archive.namelist()[-1]
        with zipfile.ZipFile(tmp_path / name, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr(twice, b"3\n")
        with pytest.raises(mr.CheckpointError, match=f"has two entries {twice}; expected one of each name"):
            mr.load(tmp_path / name)
    np.savez(tmp_path / "w.npz", **SMALL)
    with zipfile.ZipFile(tmp_path / "w.npz") as archive:
        content = archive.read("0.weight.npy")
    with zipfile.ZipFile(tmp_path / "w.npz", "a") as archive:
        archive.writestr("0.weight", content)
    with pytest.raises(mr.CheckpointError, match=r"has two entries 0\.weight; expected"):
        mr.load(tmp_path / "w.npz")
    entry = b'"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    header_safetensors(tmp_path / "w.safetensors", b"{" + entry + b"," + entry + b"}")
    with pytest.raises(mr.CheckpointError, match="its header has two entries of one name"):
        mr.load(tmp_path / "w.safetensors")


# --- files that are fine --------------------------------------------------------------------------------------


def test_a_file_without_checksums(tmp_path):
    r"""torch.save with compute_crc32 = False writes 0 for each; where one alone is 0, the file is damaged."""
    path = write_archive(tmp_path / "w.pth", GOOD, {"data/0": np.arange(6, dtype="<f4").tobytes()})
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        sums = [struct.pack("<I", info.CRC) for info in archive.infolist()]
    assert all(content.count(each) == 2 for each in sums)
    path.write_bytes(content.replace(sums[0], bytes(4)))
    with pytest.raises(mr.CheckpointError, match="Bad CRC-32"):
        mr.load(path)
    path.write_bytes(content.replace(sums[0], bytes(4)).replace(sums[1], bytes(4)))
    np.testing.assert_array_equal(mr.load(path)[0].weight, np.arange(6).reshape(2, 3))


def test_bfloat16_in_safetensors(tmp_path):
    r"""The upper halves of float32."""
    halves = np.array([[0x3F80, 0xC000, 0x0001], [0x7F80, 0x3EAB, 0x8000]], np.uint16)
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}}).encode()
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + halves.tobytes())
    tensor = weights.read_tensors(tmp_path / "w.safetensors")["w"]
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor, [[1, -2, 2.0**-133], [np.inf, 0.333984375, 0]])


@pytest.mark.parametrize("ending", [".ckpt", ".pth.tar", ".bin", ".model", ""])
def test_other_endings_are_read_by_their_first_bytes(tmp_path, ending):
    write_archive(tmp_path / f"w{ending}", GOOD)
    assert [layer.weight.shape for layer in mr.load(tmp_path / f"w{ending}")] == [(2, 3), (1, 2)]
    safetensors.write(SMALL, tmp_path / f"w{ending}")
    assert [layer.weight.shape for layer in mr.load(tmp_path / f"w{ending}")] == [(2, 3), (1, 2)]


@pytest.mark.parametrize("key", [b"G?\xf8" + bytes(6), b"K\x01K\x02\x86", b"N\x85"])
def test_numbers_and_tuples_as_keys(tmp_path, key):
    code = b"\x80\x02}(" + text("net") + GOOD[2:-1] + text("best") + b"}" + key + b"K\x05s" + b"u."
    write_archive(tmp_path / "w.pth", code)
    if key == b"N\x85":
        with pytest.raises(mr.CheckpointError, match="it uses a NoneType as a name"):
            mr.load(tmp_path / "w.pth")
    else:
        assert len(mr.load(tmp_path / "w.pth")) == 2


def nested(*keys):
    r"""A good state dict under keys, beside a loss that is a tensor, a number, and an optimizer's tensors."""
    code = GOOD[2:-1]
    for key in reversed(keys):
        code = (
            b"}("
            + text("loss")
            + tensor_code(shape=(), strides=())
            + text("epoch")
            + b"K\x05"
            + text(key)
            + code
            + b"u"
        )
    state = b"}K\x00}" + text("exp_avg") + tensor_code() + b"ss"
    return b"\x80\x02}(" + text("all") + code + text("optimizer") + state + b"u."


@pytest.mark.parametrize("keys", [("state_dict",), ("net",), ("model", "weights"), ("a", "b", "c", "d")])
def test_a_state_dict_wherever_it_is(run, tmp_path, keys):
    write_archive(tmp_path / "w.pth", nested(*keys))
    assert [layer.weight.shape for layer in mr.load(tmp_path / "w.pth")] == [(2, 3), (1, 2)]
    out = " ".join(run("inspect", "w.pth")[1].split())
    assert "passed over: all.loss, " in out
    assert "optimizer.0.exp_avg" in out


def test_two_state_dicts_are_refused_by_name(tmp_path):
    code = b"\x80\x02}(" + text("model") + GOOD[2:-1] + text("ema") + GOOD[2:-1] + b"u."
    write_archive(tmp_path / "w.pth", code)
    with pytest.raises(mr.CheckpointError, match="holds 2 dicts of tensors, at model, ema; expected one network"):
        mr.load(tmp_path / "w.pth")


# --- messages that are true -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.npz", b"version https://git-lfs.github.com/spec/v1\noid", "but a Git LFS pointer, not the file itself"),
        ("w.safetensors", b"version https://git-lfs.github.com/spec/v1\noid", "but a Git LFS pointer"),
        ("w.pth", b"\n<!DOCTYPE html>\n<html lang='en'>", "but a web page, not the file that it leads to"),
        ("w.npz", b"<html><head><title>Sign in</title>", "but a web page"),
        ("w.pth", b"\x80\x04\x95 and a pickle of any kind", "but a bare pickle, which could run code"),
        ("w.bin", b"\x1f\x8b and what gzip writes after it", "but packed by gzip"),
        ("w.npz", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', ", "but a single array, .npy"),
        ("w.pth", b"one, two, three: text of no kind", "no zip archive, as torch.save and numpy.savez write it"),
    ],
)
def test_what_a_file_seems_to_be(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(mr.CheckpointError, match=name) as caught:
        mr.load(tmp_path / name)
    assert message in str(caught.value)
    assert len(str(caught.value).replace(str(tmp_path), "")) < 200


def test_a_torchscript_program(tmp_path):
    write_archive(tmp_path / "w.pth", GOOD, {"constants.pkl": b"\x80\x02)."}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(mr.CheckpointError, match=r"is a TorchScript program; expected torch\.save"):
        mr.load(tmp_path / "w.pth")


# --- the order of layers --------------------------------------------------------------------------------------


def square(*names, first=4):
    r"""A network 4–4–…–4–1 whose layers have these names, in this order."""
    shapes = [(4, first)] + [(4, 4)] * (len(names) - 2) + [(1, 4)]
    named = zip(names, shapes, strict=True)
    return {f"{name}.weight": np.full(shape, n + 1.0) for n, (name, shape) in enumerate(named)}


@pytest.mark.parametrize("names", [("input", "layer_one", "layer_two", "layer_three", "output"), ("z", "b", "y", "a")])
def test_the_order_of_words_is_the_files(run, tmp_path, names):
    np.savez(tmp_path / "w.npz", **square(*names))
    for _ in range(2):  # what convert writes is in the same order
        assert [layer.weight.flat[0] for layer in mr.load(tmp_path / "w.npz")] == list(range(1, len(names) + 1))
        assert f"in this order: {', '.join(names)}" in run("inspect", "w.npz")[1]
        run("convert", "w.npz", "w.npz")
        names = [f"layers.{n}" for n in range(len(names))]


def test_numbers_that_contradict_the_files_order_are_refused():
    right = square("fc1", "fc2", "fc10", "out")
    assert [name for name in weights.layers(right)] == ["fc1", "fc2", "fc10", "out"]
    by_letters = dict(sorted(right.items()))  # fc1, fc10, fc2: fits as well
    with pytest.raises(mr.CheckpointError, match="fit as fc1, fc10, fc2, out and as fc1, fc2, fc10, out; expected"):
        weights.layers(by_letters)
    right = square("fc1", "fc2", "fc10", "out", first=7)
    backwards = dict(reversed(right.items()))  # fits in one order alone, whatever the file says
    assert [layer.weight.flat[0] for layer in weights.assemble(backwards)] == [1, 2, 3, 4]


def test_a_safetensors_file_has_no_order(tmp_path):
    path = tmp_path / "w.safetensors"
    numbered = square("fc1", "fc2", "fc10")
    safetensors.write(dict(sorted(numbered.items())), path)
    assert [layer.weight.flat[0] for layer in mr.load(path)] == [1, 2, 3]
    safetensors.write(dict(sorted(square("input", "hidden", "output", first=7).items())), path)
    assert [layer.weight.flat[0] for layer in mr.load(path)] == [1, 2, 3]
    safetensors.write(square("a", "b", "c", "d", first=7), path)
    with pytest.raises(mr.CheckpointError, match="fit as a, b, c, d and as a, c, b, d; expected names or a file that"):
        mr.load(path)


@pytest.mark.parametrize("shapes", [[(4, 8), (2, 4)], [(4, 1), (1, 4)]])
def test_two_networks_in_one_file(shapes):
    actor = {f"actor.{n}.weight": np.ones(shape) for n, shape in enumerate(shapes)}
    critic = {"critic.0.weight": np.ones((4, shapes[0][1])), "critic.1.weight": np.ones((1, 4))}
    with pytest.raises(mr.CheckpointError, match="holds 2 networks, actor, critic; expected one"):
        weights.assemble({**actor, **critic})


# --- an attack that goes on from a crafted file -----------------------------------------------------------------

IDENTITIES = [b"[" * 9000, b"[1]", b"7", b'"text"', b"{", b"null"]
CHANGES = [
    {"point": None}, {"point": np.zeros(3)}, {"point": np.array(["a"])}, {"point": np.full(16, np.nan)},
    {"terms": None}, {"idle": np.array("a")}, {"terms": np.array(3)}, {"terms": np.array(["upper", "nonesuch"])},
    {"history upper": np.ones(3)}, {"history upper": np.array(1.0)}, {"history upper": np.array(["a"] * 10)},
]  # fmt: skip


@pytest.fixture
def state(run, tmp_path, interrupt, monkeypatch):
    r"""The state of an attack that was cut short, and how to go on from it."""
    mr.save((mr.Layer(np.eye(4, 3)), mr.Layer(np.ones((1, 4)))), tmp_path / "w.npz")
    args = ["attack", "w.npz", "--m", 4, "--iterations", 40, "--out", "out"]
    monkeypatch.setattr(lbfgs, "SEGMENT", 10)
    interrupt(25)
    assert run(*args)[0] == 0
    with np.load(tmp_path / "out" / "state.npz") as arrays:
        return dict(arrays), lambda: run(*args, "--resume")


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_state_of_another_identity(state, identity):
    arrays, go_on = state
    np.savez("out/state.npz", **{**arrays, "identity": np.array(identity.decode())})
    status, _, err = go_on()
    assert status == 2
    assert "state.npz: saved by another attack, with weights = None; expected" in err


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_that_lacks_what_an_attack_saves(state, change):
    arrays, go_on = state
    np.savez("out/state.npz", **{name: array for name, array in {**arrays, **change}.items() if array is not None})
    status, _, err = go_on()
    assert status == 2
    assert "state.npz: lacks what this attack saves; expected its names, shapes and finite numbers" in err
