r"""Files by PyTorch read without it; files by strangers refused; damaged files refused or read right."""

import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from archives import GOOD, dict_code, tensor_code, text, write_archive
from hypothesis import given, settings
from hypothesis import strategies as st

import minirecon as mr
from minirecon.io import pth, weights

FILES = sorted((Path(__file__).parents[1] / "files").glob("*.pth"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_by_pytorch(path):
    r"""Bit for bit what torch.load gave, as tests/pytorch checks (bfloat16 as float32)."""
    expected = np.load(path.with_suffix(".npz"))
    tensors = weights.read_tensors(path)
    assert list(tensors) == expected.files
    for name, tensor in tensors.items():
        assert tensor.dtype == expected[name].dtype
        assert tensor.shape == expected[name].shape
        assert tensor.tobytes() == expected[name].tobytes()
    params = mr.load(path)
    assert [layer.weight.shape for layer in params] == [(5, 7), (6, 5), (1, 6)]
    arrays = [p for layer in params for p in layer if p is not None]
    for p, name in zip(arrays, expected.files, strict=True):
        assert p.tobytes() == expected[name].tobytes()


def test_there_are_files_of_every_kind():
    assert {path.stem.split("-")[1] for path in FILES} == {"float64", "float32", "float16", "bfloat16"}
    assert len(FILES) == 6


# --- hostile files -------------------------------------------------------------------------------------------


def test_the_template_is_a_good_file(tmp_path):
    r"""So that what follows is refused for its one lie."""
    params = mr.load(write_archive(tmp_path / "w.pth", GOOD))
    assert [layer.weight.shape for layer in params] == [(2, 3), (1, 2)]


class Touch:
    r"""Unpickled by pickle.load, it makes a file: the canary."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def canary_pickles(canary):
    command = f"touch '{canary}'"
    python = f"open({str(canary)!r}, 'w').close()"
    for protocol in range(6):
        yield f"os.system, protocol {protocol}", pickle.dumps(Touch(os.system, command), protocol)
        yield f"eval, protocol {protocol}", pickle.dumps({"fc1.weight": Touch(eval, python)}, protocol)
        yield f"nested, protocol {protocol}", pickle.dumps([Touch(list, (Touch(exec, python),))], protocol)
    yield "STACK_GLOBAL", b"\x80\x04" + text("builtins") + text("eval") + b"\x93" + text(python) + b"\x85R."
    memoised = text("builtins") + b"q\x000" + text("eval") + b"q\x010"
    yield "STACK_GLOBAL from the memo", b"\x80\x04" + memoised + b"h\x00h\x01\x93" + text(python) + b"\x85R."
    yield "INST", b"(S" + repr(python).encode() + b"\nibuiltins\neval\n."
    yield "OBJ", b"(cbuiltins\neval\n" + text(python) + b"o."
    build = b"cos\nsystem\n" + text(command) + b"\x85R"
    yield "after a good tensor", GOOD[:-1] + text("x") + build + b"s."
    yield "as BUILD's state", b"\x80\x02ccollections\nOrderedDict\n)R" + build + b"b."
    yield "as a persistent id", b"\x80\x02" + build + b"Q."


def test_nothing_that_a_pickle_asks_for_is_run(tmp_path):
    canary = tmp_path / "canary"
    ran = 0
    for name, code in canary_pickles(canary):
        try:  # the canary sings: Python's own unpickler runs them
            pickle.loads(code)
        except Exception:
            assert (
                name in ("STACK_GLOBAL from the memo", "as a persistent id", "after a good tensor") or canary.exists()
            ), name
        ran += canary.exists()
        canary.unlink(missing_ok=True)
        write_archive(tmp_path / "w.pth", code)
        with pytest.raises(mr.UnsafeCheckpointError, match=r"w\.pth: its pickle"):
            mr.load(tmp_path / "w.pth")
        assert not canary.exists(), name
    assert ran >= 20


LIST_IN_ITSELF = b"\x80\x02]q\x00h\x00a."
DICT_IN_ITSELF = b"\x80\x02}q\x00" + text("state_dict") + b"h\x00s."
LOOP_OF_TWO = b"\x80\x02}q\x00" + text("model") + b"]q\x01h\x00as."


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"\x80\x02cbuiltins\neval\n.", "asks for 'builtins.eval'"),
        (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n.", "asks for 'numpy.core.multiarray._reconstruct'"),
        (b"\x80\x02ctorch.storage\n_load_from_bytes\n.", "asks for 'torch.storage._load_from_bytes'"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2.__globals__\n.", "asks for 'torch._utils._rebuild_tensor_v2"),
        (b"\x80\x02ctorch\n_utils._rebuild_tensor_v2\n.", "asks for"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls torch FloatStorage"),
        (b"\x80\x02ccollections\nOrderedDict\n]\x85R.", "calls collections OrderedDict"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "opcode NEWOBJ"),
        (b"\x80\x02\x82\x01.", "opcode EXT1"),
        (b"\x80\x02Pabc\n.", "opcode PERSID"),
        (b"\x80\x020.", "opcode POP"),
        (LIST_IN_ITSELF, "lies within itself"),
        (DICT_IN_ITSELF, "lies within itself"),
        (LOOP_OF_TWO, "lies within itself"),
        (dict_code(tensor_code(key="../x")), "refers to '../x'"),
        (dict_code(tensor_code(key="/etc/passwd")), "refers to '/etc/passwd'"),
        (dict_code(tensor_code(key="0/../../x")), "refers to '0/../../x'"),
        (dict_code(tensor_code(key="")), "refers to ''"),
        (dict_code(tensor_code(key="٣")), "refers to"),
        (dict_code(tensor_code(tag="module")), "expected the number of a storage"),
        (dict_code(tensor_code(key="7")), "lies in storage 7, which the archive does not hold"),
    ],
)
def test_unsafe_pickles(tmp_path, code, message):
    write_archive(tmp_path / "w.pth", code)
    with pytest.raises(mr.UnsafeCheckpointError, match=r"w\.pth: ") as caught:
        mr.load(tmp_path / "w.pth")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "archive/../../x", "archive\\..\\x"])
def test_entries_that_lead_out_of_the_archive_are_not_unpacked(tmp_path, name):
    path = write_archive(tmp_path / "w.pth", GOOD)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    mr.load(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.pth"]


# --- files that make no sense, and files that lie about their size ----------------------------------------------


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"", "damaged, or no file of weights"),
        (b"\x80\x02}", "damaged, or no file of weights"),
        (b"\x80\x02.", "damaged, or no file of weights"),
        (b"\x80\x02K\x07.", "holds a int; expected a state dict"),
        (b"\x80\x02}.", "holds no tensors"),
        (b"\x80\x02}(" + text("lr") + b"K\x01u.", "holds no tensors; expected a state dict, found lr"),
        (b"\x80\x02}]K\x01s.", "uses a list as"),  # keys that can't be hashed, or slowly
        (b"\x80\x02}(" + b"(" * 9 + b"t" * 9 + b"K\x01u.", "uses a tuple as"),
        (b"\x80\x02h\x05.", "damaged"),
        (b"\x80\x02K\x01K\x02\x86R.", "damaged"),
        (b"\x80\x02K\x01)R.", "uses a int as"),
        (dict_code(tensor_code(kind="ComplexFloat")), "asks for 'torch.ComplexFloatStorage'"),
        (dict_code(tensor_code(count=7)), "storage 0 has 24 bytes for 7 numbers"),
        (dict_code(tensor_code(count=10**12, shape=(10**6, 10**6), strides=(10**6, 1))), "tensors claim 4000000000000"),
        (dict_code(tensor_code(shape=(10**6, 10**6), strides=(0, 0))), "its tensors claim 4000000000000 bytes"),
        (dict_code(tensor_code(shape=(3, 3))), "reach beyond its 6 numbers"),
        (dict_code(tensor_code(offset=1)), "reach beyond its 6 numbers"),
        (dict_code(tensor_code(offset=-1)), "not whole numbers that fit together"),
        (dict_code(tensor_code(strides=(-3, 1), offset=3)), "not whole numbers that fit together"),
        (dict_code(tensor_code(shape=(2**60, 3))), "not whole numbers that fit together"),
        (dict_code(tensor_code(shape=(2, 3, 1))), "a tensor has 3 axes and strides for 2"),
        (dict_code(tensor_code(shape=(1,) * 9, strides=(1,) * 9)), "not whole numbers that fit together"),
        (dict_code(tensor_code(count=-1)), "its storage 0"),
    ],
)  # fmt: skip
def test_senseless_pickles(tmp_path, code, message):
    write_archive(tmp_path / "w.pth", code)
    with pytest.raises(mr.CheckpointError, match=r"w\.pth: ") as caught:
        mr.load(tmp_path / "w.pth")
    assert message in str(caught.value)


def peak_memory(path):
    r"""Bytes that loading takes at most, and the error it ends with."""
    tracemalloc.start()
    try:
        with pytest.raises(mr.CheckpointError) as caught:
            mr.load(path)
        return tracemalloc.get_traced_memory()[1], str(caught.value)
    finally:
        tracemalloc.stop()


def doubling(times):
    r"""A tuple of two tuples of two tuples …: 2ⁿ leaves in 3n bytes, a trap for recursion and for printing."""
    return b"\x80\x02)" + b"q\x00h\x00\x86" * times


ALLOWANCE = 12_000_000  # of a pickle with the most opcodes that are read


@pytest.mark.parametrize(
    ("name", "code", "entries", "options", "message"),
    [
        ("deflated", GOOD, {"data/0": bytes(50_000_000)}, {"compression": zipfile.ZIP_DEFLATED}, "claims to unpack to"),
        ("long pickle", b"\x80\x02" + b"]" * 3_000_000 + b".", {}, {}, "its pickle is longer than"),
        ("lists", b"\x80\x02" + b"]" * 10_000 + b".", {}, {}, "holds no tensors; expected a state dict, found a list"),
        ("long string", b"\x80\x02X\xff\xff\xff\x7f", {}, {}, "damaged"),
        ("longer string", b"\x80\x04\x8d" + b"\xff" * 7 + b"\x00", {}, {}, "damaged"),
        ("far memo", b"\x80\x02]r\xff\xff\xff\xff.", {}, {}, "found a list"),
        ("doubling", doubling(60) + b".", {}, {}, "found a tuple"),
        ("doubling as a key", b"\x80\x02}" + doubling(60)[2:] + b"K\x01s.", {}, {}, "uses a tuple"),
        ("doubling as a storage", doubling(60) + b"Q.", {}, {}, ""),
        ("deep", b"\x80\x02)" + b"\x85" * 59_000 + b".", {}, {}, "found a tuple"),
        ("deeper", b"\x80\x02)" + b"\x85" * 900_000 + b".", {}, {}, "more than 60000 opcodes"),
        ("many shapes", dict_code(*[tensor_code(shape=(6,), strides=(0,)) for _ in range(2000)]), None, {}, "linear"),
    ],
)
def test_small_files_stay_small(tmp_path, name, code, entries, options, message):
    path = write_archive(tmp_path / "w.pth", code, entries, **options)
    peak, error = peak_memory(path)
    assert message in error, name
    assert len(error) < 2000
    assert peak < 2 * path.stat().st_size + ALLOWANCE, name


def test_an_index_that_claims_too_much(tmp_path):
    r"""200 000 empty entries: their index alone would take 100 MB in memory."""
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("archive/data.pkl", GOOD)
        for number in range(200_000):
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")
    peak, error = peak_memory(tmp_path / "w.pth")
    assert "its zip index claims" in error
    assert peak < ALLOWANCE


def test_entries_that_share_their_bytes(tmp_path):
    r"""Two names in the index for one stretch of the file: together they claim more than there is."""
    path = write_archive(tmp_path / "w.pth", GOOD, {"data/0": bytes(100_000)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.filelist += [archive.getinfo("archive/data/0")] * 50
        archive.writestr("archive/version", b"3")
    with pytest.raises(mr.CheckpointError, match="has two entries archive/data/0"):
        mr.load(path)


@pytest.mark.parametrize("path", FILES[:3], ids=lambda path: path.stem)
def test_truncated_files(tmp_path, path):
    whole = path.read_bytes()
    for percent in range(100):
        (tmp_path / "cut.pth").write_bytes(whole[: len(whole) * percent // 100])
        with pytest.raises(mr.CheckpointError, match=r"cut\.pth: "):
            mr.load(tmp_path / "cut.pth")


def read_or_error(path):
    try:
        return pth.read(path), None
    except mr.CheckpointError as error:
        return None, str(error)


@settings(max_examples=3000)
@given(data=st.data())
def test_flipped_bytes(tmp_path_factory, data):
    r"""A CheckpointError that names the file, or the exact weights."""
    path = data.draw(st.sampled_from(FILES))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    broken = tmp_path_factory.getbasetemp() / "broken.pth"
    broken.write_bytes(content)
    tensors, error = read_or_error(broken)
    if error is not None:
        assert "broken.pth: " in error
        return
    expected = np.load(path.with_suffix(".npz"))
    assert list(tensors) == expected.files
    for name, tensor in tensors.items():
        assert (tensor.dtype, tensor.shape) == (expected[name].dtype, expected[name].shape)
        assert tensor.tobytes() == expected[name].tobytes()


@settings(max_examples=1000)
@given(code=st.binary(max_size=60))
def test_random_pickles(tmp_path_factory, code):
    path = tmp_path_factory.getbasetemp() / "random.pth"
    write_archive(path, b"\x80\x02" + code)
    with pytest.raises(mr.CheckpointError):
        mr.load(path)


def test_other_files(tmp_path):
    (tmp_path / "text.pth").write_text("Weights: 1, 2, 3")
    with pytest.raises(
        mr.CheckpointError, match=r"text\.pth: no zip archive, as torch\.save and numpy\.savez write it$"
    ):
        mr.load(tmp_path / "text.pth")
    (tmp_path / "old.pt").write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.")
    with pytest.raises(
        mr.CheckpointError, match=r"old\.pt: no zip archive, .*, but in PyTorch's format from before 1\.6; re-save it"
    ):
        mr.load(tmp_path / "old.pt")
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(mr.CheckpointError, match=r"holds 0 entries NAME/data\.pkl; expected 1"):
        mr.load(tmp_path / "zip.pth")
    write_archive(tmp_path / "order.pth", GOOD, {"data/0": bytes(24), "byteorder": b"middle"})
    with pytest.raises(mr.CheckpointError, match="its byte order is b'middle'; expected little or big"):
        mr.load(tmp_path / "order.pth")


def test_an_entry_renamed_in_the_index_alone(tmp_path):
    r"""Without its entry `byteorder` a big-endian file would be read the wrong way round."""
    path = write_archive(tmp_path / "w.pth", GOOD, {"data/0": np.arange(6, dtype=">f4").tobytes(), "byteorder": b"big"})
    np.testing.assert_array_equal(mr.load(path)[0].weight, np.arange(6).reshape(2, 3))
    before, _, after = path.read_bytes().rpartition(b"archive/byteorder")
    path.write_bytes(before + b"archive/bytesorde" + after)
    with pytest.raises(mr.CheckpointError, match="damaged"):
        mr.load(path)
