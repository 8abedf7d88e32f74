r"""Coursework: what is read of a submission. No part of the paper.

Of a submission nothing is run but the listed functions, which are taken out by their syntax trees, with those of the
module's new imports, constants and helpers that they use. These run as late as the first call: by then the tests are
there, so that no code of a submission can come between.
"""

import ast
import functools
import os
import re
import symtable
import tokenize
import warnings

from .handout import definition

LARGEST = 2**18  # bytes of a module that is worth reading
# What a solution has no business with: the tests' tools, and the caller's variables.
REFUSED = {"pytest", "_pytest", "hypothesis", "unittest", "inspect", "gc", "strategies", "__main__", "_getframe"}
REFUSED |= {"__traceback__", "tb_frame", "f_back", "f_locals", "f_globals", "gi_frame", "_current_frames"}
# What stands in the reference's function, and beside it: the student's body and helpers, in the module's own scope.
GRAFT = """
if "_handed_in" not in globals():
    _hand_in()
return _handed_in({parameters})

def _hand_in():
    global {names}
    def _handed_in({parameters}):
        pass
"""


def submissions(path, modules):
    r"""All that was handed in: a dict of names, each with the folder of its modules, or the reason why there is none.

    Parameters
    ----------
    path : Path, a student's folder, which holds minirecon/; or a folder of such folders, a class
    modules : the paths that are looked for, in minirecon/

    Raises
    ------
    ValueError : nothing can be read
    """
    alone = (path / "minirecon").is_dir()
    found = {}
    for each in [path.resolve()] if alone else sorted(path.resolve().iterdir()):
        if alone or not each.name.startswith("."):
            try:
                found[each.name] = _folder(each, modules)
            except Exception as error:  # of whatever kind
                found[each.name] = f"not read: {error}"
    if all(isinstance(each, str) for each in found.values()):
        raise ValueError(f"{path}: expected a folder that holds minirecon/, or a folder of such folders")
    return found


def _folder(path, modules):
    if path.is_symlink() or not path.is_dir():
        raise ValueError("no folder; expected one that holds minirecon/ (unpack an archive, replace a link)")
    os.listdir(path)  # raises, where it can't be read
    levels = [path.glob(f"{above}minirecon") for above in ("", "*/", "*/*/")]
    levels = [[each for each in found if each.is_dir() and "__MACOSX" not in each.parts] for found in levels]
    folder, *more = next(filter(None, levels), [path])  # or the modules themselves
    there = [folder / module for module in modules if (folder / module).exists()]
    if more:
        raise ValueError(f"{len(more) + 1} folders minirecon/ in it; expected one")
    if folder == path and not there:
        raise ValueError("no folder minirecon/ in it")
    if out := [each for each in there if not each.resolve().is_relative_to(path)]:
        raise ValueError(f"{out[0].relative_to(path)} is a link out of it, which is not followed")
    return folder


def read(folder, task, reference):
    r"""The module to be graded, and None; or None, and the reason why there is none."""
    file = folder / task.path
    try:
        if not file.is_file() or file.stat().st_size > LARGEST:
            return None, f"no minirecon/{task.path}, or one beyond {LARGEST} bytes"
        return take(_text(file), task, reference), None
    except Exception as error:  # of whatever kind, it costs this task alone
        return None, f"minirecon/{task.path}: {error or type(error).__name__}"


def _text(file):
    r"""A module's text, decoded as Python does it, or as a mark at its start says."""
    content = file.read_bytes()
    with open(file, "rb") as lines:
        wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        return content.decode("utf-16" if wide else tokenize.detect_encoding(lines.readline)[0])


@functools.lru_cache(maxsize=1000)  # most of a handout is as it was
def take(source, task, reference):
    r"""Put one function of a student's module into the reference's, with the new helpers that it uses.

    Parameters
    ----------
    source, reference : str, the module of the student and of the reference
    task : Task

    Returns
    -------
    str, the module to be graded

    Raises
    ------
    ValueError : no such function, another signature, not written, or it uses what a solution has no business with
    SyntaxError : as Python says it
    """
    try:
        module = _parse(source)
    except (SyntaxError, RecursionError):  # perhaps of another function
        module = _parse(_alone(source, task.name))
    tree = ast.parse(reference)
    theirs, own = definition(module, task.name), definition(tree, task.name)
    if _parameters(theirs) != _parameters(own):
        raise ValueError(f"parameters {_parameters(theirs)}; expected {_parameters(own)}")
    body = theirs.body[ast.get_docstring(theirs) is not None :]
    if ast.unparse(body) == ast.unparse(ast.parse(task.stub)):
        raise ValueError("not written yet")
    helpers, names = _helpers(module, _parse(reference), theirs)
    if refused := {word for part in (*body, *helpers) for word in _words(part)} & REFUSED:
        raise ValueError(f"uses {', '.join(sorted(refused))}; expected a solution that does not")
    parameters = ", ".join(_parameters(own))
    *call, late = ast.parse(GRAFT.format(parameters=parameters, names=", ".join(["_handed_in", *names]))).body
    late.body[-1].body = body
    late.body[-1:-1] = helpers
    own.body = [own.body[0], *call]
    tree.body.append(late)
    text = ast.unparse(ast.fix_missing_locations(tree))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(text, task.path, "exec")
    return text


def _alone(source, name):
    r"""The lines of one function, for a module that can't be parsed as a whole."""
    found = list(re.finditer(rf"^def {name}\b.*\n(?:(?![\w@#\"']).*\n?)*", source, re.MULTILINE))
    if not found:
        raise ValueError(f"no function {name}")
    return found[-1].group()


def _parameters(node):
    args = node.args
    return [each.arg for each in (*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg) if each]


@functools.lru_cache(maxsize=20)  # a submission's tasks share few modules
def _parse(source):
    r"""A module's syntax tree; `parts` has its statements, each with the names that it binds and those that it uses."""
    module = ast.parse(source)
    parts = [ast.fix_missing_locations(part) for statement in module.body for part in _single(statement)]
    module.parts = [(part, *_names(part)) for part in parts]
    return module


def _helpers(module, tree, function):
    r"""What a student's module has, the reference's lacks and `function` needs: statements, and the names they bind."""
    known = {name for _, bound, _ in tree.parts for name in bound}
    binders, needed, taken = {}, list(_names(function)[1]), {}
    for number, (_, bound, _) in enumerate(module.parts):
        for name in bound - known:
            binders.setdefault(name, []).append(number)
    for name in needed:  # which grows
        for number in binders.pop(name, ()):
            if number not in taken:
                taken[number] = module.parts[number]
                needed += taken[number][2]
    parts = [taken[number] for number in sorted(taken)]
    return [part for part, _, _ in parts], sorted({name for _, bound, _ in parts for name in bound - known})


def _single(statement):
    r"""A statement that can be moved: an import of one name alone, an assignment without its annotation."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return [type(statement)(**{**vars(statement), "names": [name]}) for name in statement.names]
    if isinstance(statement, ast.AnnAssign):
        return [ast.Assign([statement.target], statement.value)] if statement.value else []
    return [statement]


def _names(node):
    r"""The names that a piece of a module binds, and those that it uses and does not bind in a function."""
    try:
        tables = [symtable.symtable(ast.unparse(node), "", "exec")]
    except (SyntaxError, ValueError, RecursionError):  # another function's mistake: it binds nothing
        return set(), set()
    for table in tables:  # which grows
        tables += table.get_children()
    bound = {one.get_name() for one in tables[0].get_symbols() if one.is_assigned() or one.is_imported()}
    return bound, {one.get_name() for table in tables for one in table.get_symbols() if one.is_global()}


def _words(node):
    r"""What may stand for a module or a frame: imports, attributes, strings. Not the name of a variable."""
    for part in ast.walk(node):
        if isinstance(part, (ast.Import, ast.ImportFrom)):
            names = [name.name for name in part.names] + [getattr(part, "module", None) or ""]
            yield from ".".join(names).split(".")
        elif isinstance(part, ast.Attribute):
            yield part.attr
        elif isinstance(getattr(part, "value", None), str):
            yield part.value
