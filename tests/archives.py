r"""Archives as torch.save writes them, every claim of which can be a lie."""

import struct
import zipfile


def write_archive(path, code, entries=None, root="archive", **options):
    r"""A zip as torch.save writes it, with any pickle and any entries."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr(f"{root}/data.pkl", code)
        for name, content in ({"data/0": bytes(24)} if entries is None else entries).items():
            archive.writestr(f"{root}/{name}", content)
    return path


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def tensor_code(key="0", count=6, offset=0, shape=(2, 3), strides=(3, 1), kind="Float", tag="storage"):
    r"""Opcodes of one tensor, every claim of which can be a lie."""

    def whole(n):
        return b"\x8a\x10" + n.to_bytes(16, "little", signed=True)

    def several(*parts):
        return b"(" + b"".join(parts) + b"t"

    storage = several(text(tag), f"ctorch\n{kind}Storage\n".encode(), text(key), text("cpu"), whole(count)) + b"Q"
    sizes = several(*map(whole, shape)) + several(*map(whole, strides))
    arguments = several(storage, whole(offset), sizes, b"\x89", b"ccollections\nOrderedDict\n)R")
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def dict_code(*tensors):
    items = b"".join(text(f"fc{n}.weight") + tensor for n, tensor in enumerate(tensors))
    return b"\x80\x02}(" + items + b"u."


GOOD = dict_code(tensor_code(), tensor_code(count=2, shape=(1, 2), strides=(2, 1)))
