r"""An interpreter for the pickles of state dicts that knows no function, and so can't call one.

A pickle is a program for a small stack machine. Its opcodes build lists, dicts, strings and numbers, but two
of them make it dangerous: GLOBAL imports any name, REDUCE calls it. Here GLOBAL knows the few names that
`torch.save` writes for a state dict, as mere labels, and REDUCE turns a labelled call into a `Tensor` that
says where its numbers lie. Whatever else a pickle asks for is refused. docs/pth.md explains.
"""

import pickletools
import re
from typing import NamedTuple

from ..mlp import CheckpointError
from .archive import shown


class UnsafeCheckpointError(CheckpointError):
    r"""A file that asks for more than numbers: a global, a call or a path that weights don't need."""


DTYPES = {
    "Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": "bfloat16", "Long": "i8", "Int": "i4", "Short": "i2",
    "Char": "i1", "Byte": "u1", "Bool": "?",
}  # fmt: skip


class Global(NamedTuple):
    r"""A name that a pickle may mention. It stands for itself: nothing is imported."""

    name: str


class Storage(NamedTuple):
    r"""`count` numbers of type `dtype`, in the archive's entry data/`key`."""

    dtype: str
    key: str
    count: int


class Tensor(NamedTuple):
    r"""A view of a storage: element i, j, … is number `offset` + i `strides`[0] + j `strides`[1] + …"""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


MOST_OPCODES = 60_000  # a tensor takes about 25; each may take 200 bytes of memory
GLOBALS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_parameter_with_state",
    "torch Size",
} | {f"torch {kind}Storage" for kind in DTYPES}


def unpickle(code):
    r"""The object that a state dict's pickle (bytes) describes: dicts, lists, tuples, numbers, strings, `Tensor`s.

    Raises UnsafeCheckpointError for a global, call or opcode that a state dict does not need, and other
    exceptions (IndexError, KeyError, …) for code that makes no sense: `read` turns them into CheckpointError.
    """
    stack, marks, memo = [], [], {}

    def above_mark():
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    for number, (opcode, argument, _) in enumerate(pickletools.genops(code)):
        name = opcode.name
        if number > MOST_OPCODES:
            raise CheckpointError(f"its pickle has more than {MOST_OPCODES} opcodes, far more than layers need")
        if name == "STOP":
            return _without_loops(stack.pop())
        if name in ("PROTO", "FRAME"):
            continue
        if name == "MARK":
            marks.append(len(stack))
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in NUMBERS_AND_STRINGS:
            stack.append(argument)
        elif name in EMPTY:
            stack.append(EMPTY[name]())
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name == "TUPLE":
            stack.append(tuple(above_mark()))
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else above_mark()
            _expect(stack[-1], list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else above_mark()
            # keys are compared and hashed: with strings alone, whose hashes no file can foresee, that is quick
            pairs = {_name(key): value for key, value in zip(items[::2], items[1::2], strict=True)}
            _expect(stack[-1], dict).update(pairs)
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "GLOBAL":
            stack.append(_global(argument))
        elif name == "STACK_GLOBAL":
            function, module = _expect(stack.pop(), str), _expect(stack.pop(), str)
            stack.append(_global(f"{module} {function}"))
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = _expect(stack.pop(), tuple), stack.pop()
            stack.append(_call(function, arguments))
        elif name == "BUILD":  # state_dict() hangs `_metadata` on its OrderedDict; nothing here needs it
            stack.pop()
            _expect(stack[-1], dict)
        else:
            raise UnsafeCheckpointError(f"its pickle has the opcode {name}, which weights don't need")
    raise CheckpointError("its pickle has no end")


CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
NUMBERS_AND_STRINGS = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"
}  # fmt: skip


def _expect(value, kind):
    if not isinstance(value, kind):
        raise CheckpointError(f"its pickle makes no sense: it uses {_brief(value)} as a {kind.__name__}")
    return value


def _name(key):
    r"""A dict's key as a string: itself, a number, or a few of them in a tuple."""
    if isinstance(key, str):
        return key
    parts = key if isinstance(key, tuple) and len(key) <= 8 else (key,)
    for part in parts:
        if not isinstance(part, (str, int, float)):
            raise CheckpointError(f"its pickle makes no sense: it uses {_brief(part)} as a name")
    return ", ".join(str(part)[:50] for part in parts)


def _brief(value):
    return value.name if isinstance(value, Global) else f"a {type(value).__name__}"


def _without_loops(saved):
    r"""`saved` itself, unless some container lies within itself. Each is visited once, without recursion."""
    inside, done, todo = set(), set(), [saved]
    while todo:
        item = todo[-1]
        if id(item) in inside or id(item) in done:  # all that it holds has been seen
            inside.discard(id(item))
            done.add(id(todo.pop()))
            continue
        inside.add(id(item))
        held = item.values() if isinstance(item, dict) else item if isinstance(item, (list, tuple)) else ()
        if any(id(part) in inside for part in held if isinstance(part, (list, dict, tuple))):
            raise UnsafeCheckpointError("its pickle holds an object that lies within itself")
        todo += [part for part in held if isinstance(part, (list, dict, tuple)) and id(part) not in done]
    return saved


def _global(name):
    if name not in GLOBALS:
        name = shown(name.replace(" ", "."))
        raise UnsafeCheckpointError(f"its pickle asks for {name!r}; expected weights alone, as in model.state_dict()")
    return Global(name)


def _call(function, arguments):
    r"""What a REDUCE opcode would have called, as plain data."""
    name = _expect(function, Global).name.split()[1]
    if name == "_rebuild_tensor_v2":
        storage, offset, shape, strides = arguments[:4]
        both = _whole_numbers(_expect(shape, tuple)), _whole_numbers(_expect(strides, tuple))
        if len(both[0]) != len(both[1]) or not _whole_numbers((offset,)):
            raise CheckpointError(f"a tensor has {len(shape)} axes and strides for {len(strides)}")
        return Tensor(_expect(storage, Storage), offset, shape, strides)
    if name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
        return _expect(arguments[0], Tensor)
    if name == "OrderedDict" and not arguments:
        return {}
    if name == "Size":
        return tuple(_whole_numbers(arguments[0]))
    raise UnsafeCheckpointError(f"its pickle calls {_brief(function)}, which weights don't need")


def _whole_numbers(values):
    r"""The values themselves, a tuple or list of at most 8 whole numbers that a shape could hold."""
    if len(values) > 8 or not all(type(n) is int and 0 <= n < 2**48 for n in values):
        raise CheckpointError("a tensor's offset, shape and strides are not whole numbers that fit together")
    return values


def _storage(identity):
    r"""A persistent id ("storage", type, key, device, count) as a Storage; the device is ignored."""
    tag, kind, key, _device, count = _expect(identity, tuple)
    if tag != "storage" or not re.fullmatch(r"[0-9]{1,9}", _expect(key, str)):
        raise UnsafeCheckpointError(f"its pickle refers to {shown(key)!r}; expected the number of a storage")
    kind = _expect(kind, Global).name.removeprefix("torch ").removesuffix("Storage")
    if kind not in DTYPES or type(count) is not int or count < 0:
        raise CheckpointError(f"its storage {key} is of type {shown(kind, 30)!r}; expected one of {', '.join(DTYPES)}")
    return Storage(DTYPES[kind], key, count)
