r"""The student's edition: where the documents quote a function that is a task, they have its docstring alone.

Tasks are those of docs/assignments/tasks.toml. Left out are pages with answers (WITHHELD), the paragraphs that link to
them, and those with commands that a handout can't run. Source files have the tasks' bodies cut out, as in the handout.
"""

import ast
import html
import re
import textwrap

from quotes import ROOT, DocsError, source

from minirecon.course.handout import TASKS, WITHHELD, cut, definition, leaks, load_tasks, revealing


class Student:
    r"""What differs for students; the instructor's edition has None in its place. Raises ValueError: no tasks there."""

    def __init__(self):
        tasks, self.common = load_tasks(ROOT)
        self.tasks = {task.function: task for task in tasks}

    def hides(self, path):
        r"""Whether students do not get this file."""
        return path.parent == (ROOT / TASKS).parent and path.name in WITHHELD

    def lacks(self, text):
        r"""Whether a paragraph or a listing has commands for the repository's own documents, which students lack."""
        return "python docs/" in text

    def quote(self, name):
        r"""Signature and docstring of the function `name`, and its task; (None, None) if it is no task."""
        if name not in self.tasks:
            return None, None
        text = source(name)[0].read_text(encoding="utf-8")
        node = definition(ast.parse(text), name.rpartition(".")[2])
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        lines = text.splitlines()[first - 1 : node.body[0].end_lineno]
        return textwrap.dedent("\n".join(lines)) + "\n", self.tasks[name]

    def page(self, task):
        r"""The assignment that a task belongs to; None if there is no page of it."""
        return next((ROOT / TASKS).parent.glob(f"{task.id.partition('.')[0]}-*.md"), None)

    def source(self, path, text):
        r"""The text of a source file without the bodies of its tasks."""
        for task in self.tasks.values():
            if path == ROOT / "minirecon" / task.path:
                text, _ = cut(text, task)
        return text

    def line(self, path, number):
        r"""Where a line of a source file has moved to: the first like it, which a function's first is."""
        text = path.read_text(encoding="utf-8")
        return self.source(path, text).splitlines().index(text.splitlines()[number - 1]) + 1

    def check(self, files):
        r"""Raise DocsError if a line of a solution stands in `files`, a dict path: text, or Path of what is copied."""
        removed = set()
        for task in self.tasks.values():
            _, lines = cut((ROOT / "minirecon" / task.path).read_text(encoding="utf-8"), task)
            removed |= revealing(lines)
        texts = {name: shown(text).encode() for name, text in files.items() if isinstance(text, str)}
        if found := leaks(removed - set(self.common), texts):
            where = "\n".join(f"{name}: {line}" for name, line in found)
            raise DocsError(f"lines of the solution in the student's edition:\n{where}")


def shown(page):
    r"""The text of an HTML page, without its tags."""
    return html.unescape(re.sub(r"<[^>]*>", "", page))
