r"""Coursework: what is read of a submission. No part of the paper.

Of a submission nothing is run but the listed functions, which are taken out by their syntax trees, with those of the
module's new imports, constants and helpers that they use. These run as late as the first call: by then the tests are
there, so that no code of a submission can come between.
"""

import ast
import functools
import json
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


def read(folder, task, reference):
    r"""The module to be graded, and None; or None, and the reason why there is none.

    A function that is missing in its module, or not written there, is looked for in the notebooks beside it.
    """
    beside = [folder, folder.parent] if folder.name == "minirecon" else [folder]
    notebooks = [path for where in beside for path in sorted(where.glob("*.ipynb"))]
    said = []
    for file in (folder / task.path, *notebooks):
        name = file.name if file.suffix == ".ipynb" else f"minirecon/{task.path}"
        try:
            if file.is_file() and file.stat().st_size <= LARGEST:
                return take(_text(file), task, reference), None
            said.append(f"no {name}, or one beyond {LARGEST} bytes")
        except SyntaxError as error:
            said.append(f"{name}, line {error.lineno}: {error.msg}" if error.lineno else f"{name}: {error.msg}")
        except NotebookError as error:
            said.append(f"not read: {name}: {error}")
        except Exception as error:  # of whatever kind, it costs this task alone
            said.append(f"{name}: {error or type(error).__name__}")
    return None, min(said, key=lambda reason: not reason.startswith("not read"))


class NotebookError(ValueError):
    r"""A notebook that can't be read: that is no missing solution."""


def _text(file):
    r"""A module's text, decoded as Python does it, or as a mark at its start says; of a notebook, its code cells."""
    content = file.read_bytes()
    if file.suffix == ".ipynb":
        return _cells(content)
    with open(file, "rb") as lines:
        wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        return content.decode("utf-16" if wide else tokenize.detect_encoding(lines.readline)[0])


def _cells(content):
    r"""The code of a notebook, without the lines that are commands of IPython."""
    try:
        cells = json.loads(content)["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise NotebookError(f"no notebook of format 4 ({type(error).__name__}: {error})"[:200]) from None
    return re.sub(r"^(?=[%!?])", "# ", "\n\n".join(sources) + "\n", flags=re.MULTILINE)


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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, task.path, "exec")
    except SyntaxError as error:
        raise SyntaxError(error.msg) from None  # its line is none of the student's
    return text


def _alone(source, name):
    r"""The lines of one function, where they stand, for a module that can't be parsed as a whole."""
    found = list(re.finditer(rf"^def {name}\b.*\n(?:(?![\w@#\"']).*\n?)*", source, re.MULTILINE))
    if not found:
        raise ValueError(f"no function {name}")
    return "\n" * source.count("\n", 0, found[-1].start()) + found[-1].group()


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
