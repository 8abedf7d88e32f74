r"""Coursework: the package with holes in it. No part of the paper.

The assignments are lists of functions in docs/assignments/tasks.toml; the source has no marks. A function is cut out
of the source with the help of its syntax tree: signature, decorators and docstring stay, the rest goes, comments too.
Nothing is written if a line that was cut out still stands anywhere in the handout.
"""

import ast
import io
import keyword
import os
import re
import shutil
import tempfile
import tokenize
from pathlib import Path
from typing import NamedTuple

TASKS = Path("docs/assignments/tasks.toml")
WITHHELD = ("answers.md", "instructor.md", "key.md", "planted.md")  # of docs/assignments
NAMES = 2  # a line with fewer names and numbers, such as `return x` or `else:`, gives nothing away


class Task(NamedTuple):
    r"""One function to write: number `id` ("2.1"), `function` ("kkt.margins"), points, a hint, and its tests."""

    id: str
    function: str
    points: int
    hint: str
    tests: tuple

    @property
    def path(self):
        r"""The file of the function, in the package's folder."""
        return self.function.rpartition(".")[0].replace(".", "/") + ".py"

    @property
    def name(self):
        r"""The function's name alone."""
        return self.function.rpartition(".")[2]

    @property
    def stub(self):
        r"""The statement that stands in the handout instead of the function's body."""
        return f'raise NotImplementedError("Task {self.id}: {self.function}")'


def home(*folders):
    r"""The first of some folders that holds the assignments: the repository's checkout, or a handout.

    Raises ValueError if none does: an installed copy has the package alone.
    """
    for folder in folders:
        if (folder / TASKS).is_file():
            return folder
    here = " or ".join(str(folder) for folder in folders)
    raise ValueError(f"no {TASKS} in {here}; expected to run in the repository's checkout or in a handout")


def load_tasks(root):
    r"""The tasks of all assignments in order, and the lines that may stand elsewhere in the handout: two tuples.

    Raises ValueError for a file that does not hold them, and for a function that is not there.
    """
    try:
        import tomllib
    except ImportError:  # Python 3.10
        import tomli as tomllib

    path = root / TASKS
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        tasks = tuple(Task(**{**task, "tests": tuple(task["tests"])}) for task in table["task"])
        common = tuple(_collapse(line) for line in table.get("common", ()))  # a handout has none
    except (ValueError, KeyError, TypeError) as error:
        expected = f"common = […] and [[task]] with {', '.join(Task._fields)}"
        raise ValueError(f"{path}: {error}; expected {expected}") from None
    for task in tasks:
        file = Path("minirecon", task.path)
        try:
            definition(ast.parse((root / file).read_bytes()), task.name)
        except SyntaxError as error:
            where = f"{file}, line {error.lineno}" if error.lineno else f"{file}"
            raise ValueError(f"{where}: {error.msg}; until that is mended no task can be tried") from None
        except ValueError as error:  # no such function, or a null byte
            raise ValueError(f"{file}: {error}") from None
    return tasks, common


def of_assignment(tasks, assignment):
    r"""The tasks of assignment `assignment`, an int, in a list; None: all. Raises ValueError if it has none."""
    chosen = [task for task in tasks if assignment is None or task.id.split(".")[0] == str(assignment)]
    if not chosen:
        known = ", ".join(dict.fromkeys(task.id.split(".")[0] for task in tasks))
        raise ValueError(f"assignment {assignment}: expected one of {known}")
    return chosen


def check_solved(root, tasks):
    r"""Raise ValueError if `root` is no reference: a task is not solved there."""
    for task in tasks:
        if task.stub in (root / "minirecon" / task.path).read_text(encoding="utf-8"):
            raise ValueError(f"{root}: task {task.id} is not solved there; expected the repository's checkout")


def definition(module, name):
    r"""A function at the top level of a module's syntax tree; ValueError if it is not there."""
    found = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name]
    if not found:
        raise ValueError(f"no function {name}")
    return found[-1]


def cut(source, task):
    r"""Replace a function's body by its stub. Returns the new source, and the lines that were cut out."""
    node, lines = definition(ast.parse(source), task.name), source.splitlines(keepends=True)
    if ast.get_docstring(node) is None:
        raise ValueError(f"{task.function}: no docstring; expected one, it is what the student goes by")
    first, last = node.body[0].end_lineno, node.end_lineno  # the docstring's last line, and the body's
    for number in range(last, len(lines)):  # comments at its end
        if re.match(r"[ \t]+#", lines[number]):
            last = number + 1
        elif lines[number].strip():
            break
    stub = " " * node.body[0].col_offset + task.stub + "\n"
    return "".join([*lines[:first], stub, *lines[last:]]), lines[first:last]


def revealing(lines):
    r"""What must not be found again of the lines of a body: code and comments, each with its white space collapsed."""
    found, text = set(), "if True:\n" + "".join(lines)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and len(token.string.split()) > NAMES:
            found.add(_collapse(token.string))
    for line in lines:
        code = _collapse(re.sub(r"(^|\s)#.*", "", line))
        words = [word for word in re.findall(r"\w+(?:\.\w+)*", code) if not keyword.iskeyword(word)]
        if len(words) >= NAMES:
            found.add(code)
    return found


def _collapse(text):
    return " ".join(text.split())


def leaks(removed, files):
    r"""Lines of `removed` that stand in `files`, a dict path: bytes. A list of (path, line)."""
    texts = {path: _collapse(content.decode("utf-8", errors="ignore")) for path, content in files.items()}
    return [(path, line) for path, text in texts.items() for line in sorted(removed) if line in text]


def handout(out, root, more=None):
    r"""Write the students' copy: the package with holes, the tests of the tasks, the assignments, the data.

    Parameters
    ----------
    out : Path, a folder that is not there yet
    root : Path, the repository's checkout
    more : dict path: bytes, further files for it

    Returns
    -------
    int, the number of lines that were cut out

    Raises
    ------
    ValueError : `out` is there, a task is not solved in `root`, or a line that was cut out stands elsewhere in the
        handout; then nothing is written
    """
    if os.path.lexists(out):
        raise ValueError(f"{out}: is there already; expected a new folder")
    (tasks, common), removed, count = load_tasks(root), set(), 0
    check_solved(root, tasks)
    files = {path: (root / path).read_bytes() for path in _contents(root, tasks)} | (more or {})
    for task in tasks:
        path = Path("minirecon", task.path)
        source, lines = cut(files[path].decode(), task)
        files[path] = source.encode()
        removed |= revealing(lines)
        count += len(lines)
    files[TASKS] = re.sub(r"(?:^#.*\n)*^common = \[\n(?:.*\n)*?\]\n+", "", files[TASKS].decode(), flags=re.M).encode()
    front = files[TASKS.parent / "README.md"].decode()
    files[Path("README.md")] = re.sub(r"\]\((?!http)", f"]({TASKS.parent.as_posix()}/", front).encode()
    project = files[Path("pyproject.toml")].decode()
    files[Path("pyproject.toml")] = re.sub(
        r"^dependencies = \[", 'dependencies = [\n    "pytest>=8",\n    "hypothesis>=6.90",', project, flags=re.M
    ).encode()
    if found := leaks(removed - set(common), files):
        where = "".join(f"\n  {path}: {line}" for path, line in found[:10])
        raise ValueError(f"{len(found)} lines of the solution stand in the handout; expected none{where}")
    _write(Path(out), files)
    return count


def _contents(root, tasks):
    r"""Paths of the handout's files. Of docs/ only the assignments, and of the tests those of the tasks."""
    tests = {Path(test.split("::")[0]) for task in tasks for test in task.tests}
    texts = {path for path in (root / TASKS).parent.iterdir() if path.name not in WITHHELD}
    files = {path for folder in ("minirecon", "data") for path in (root / folder).rglob("*") if path.is_file()}
    paths = {path.relative_to(root) for path in files | texts if "__pycache__" not in path.parts}
    more = ("pyproject.toml", "LICENSE", "tests/conftest.py", "tests/strategies.py")
    return sorted(paths | tests | {Path(name) for name in more})


def write_files(folder, files):
    r"""Write `files`, a dict path: bytes, into a folder."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def _write(out, files):
    r"""All files, or none: into a folder beside `out`, which then gets its name."""
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        write_files(folder, files)
        folder.chmod(0o755)
        folder.rename(out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
