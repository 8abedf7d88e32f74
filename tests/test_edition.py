r"""The student's edition of the site: tasks are docstrings there, and no solution is in it."""

import ast
import json
import re

import build
import edition
import pytest
import quotes

from minirecon.course import handout

TASKS, COMMON = handout.load_tasks(quotes.ROOT)


def words(path):
    return " ".join(edition.shown(path.read_text(encoding="utf-8")).split())


def bodies():
    r"""Of each task the long lines of its body that stand nowhere else in the package: a dict function: list."""
    sources = [path.read_text(encoding="utf-8") for path in (quotes.ROOT / "minirecon").rglob("*.py")]
    everything, found = "\n".join(sources), {}
    for task in TASKS:
        text = (quotes.ROOT / "minirecon" / task.path).read_text(encoding="utf-8")
        node = next(each for each in ast.parse(text).body if getattr(each, "name", "") == task.name)
        lines = text.splitlines()[node.body[0].end_lineno : node.end_lineno]
        long = [line.strip() for line in lines if len(line.strip()) > 20]
        found[task.function] = [line for line in long if everything.count(line) == 1]
    return found


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    r"""The pages of both editions: their folder, and a dict name: text."""
    result = []
    for student in (None, edition.Student()):
        out = tmp_path_factory.mktemp("docs") / "site"
        build.site(out, student)
        result.append((out, {path.relative_to(out).as_posix(): words(path) for path in out.rglob("*.html")}))
    return result


def test_no_line_of_a_solution_is_in_the_students_edition(sites):
    (_, everything), (_, students) = sites
    lines = [line for body in bodies().values() for line in body]
    assert sum(len(body) >= 2 for body in bodies().values()) > len(TASKS) / 2
    for line in lines:
        assert any(" ".join(line.split()) in text for text in everything.values()), line
        assert not [name for name, text in students.items() if " ".join(line.split()) in text], line


def test_a_quoted_task_is_its_docstring_and_a_box_above_what_it_prints(sites):
    out, pages = sites[1]
    quoted = set()
    for path in out.glob("*.html"):
        quoted |= set(
            re.findall(r"Your turn: <a href=\"assignments/\d-[\w-]+\.html\">task (\d\.\d)</a>", path.read_text())
        )
    chapters = "".join(path.read_text(encoding="utf-8") for path in quotes.pages())
    assert quoted == {task.id for task in TASKS if f"\n```py {task.function}\n" in chapters}
    assert len(quoted) > 10
    text = pages["02-mlp.html"]
    points = next(task.points for task in TASKS if task.id == "1.3")
    start, turn = text.index("def backward("), text.index(f"Your turn: task 1.3, {points} points")
    assert 'r"""' in text[start:turn]
    assert text[start:turn].rstrip().endswith('"""')
    assert "prints" in text[turn:]
    assert 'raise NotImplementedError("Task 1.3: mlp.backward")' in pages["source/minirecon/mlp.py.html"]


def test_what_is_for_the_instructor_is_not_there_nor_linked(sites):
    (_, everything), (out, students) = sites
    gone = {f"assignments/{name.replace('.md', '.html')}" for name in handout.WITHHELD}
    assert set(everything) - set(students) == gone & set(everything)
    assert "assignments/instructor.html" in everything
    assert "planted" not in (out / "search-index.js").read_text(encoding="utf-8").lower()
    for name, text in students.items():
        assert "planted" not in text.lower(), name
        assert not re.search(r'href="[^"]*(instructor|key|planted)\.', (out / name).read_text()), name


def test_commands_that_a_handout_cannot_run_are_not_there(sites):
    (_, everything), (_, students) = sites
    told = [name for name, text in everything.items() if "python docs/" in text and not name.startswith("source/")]
    assert {"index.html", "plan.html"} <= set(told)
    assert not [name for name in told if name in students and "python docs/" in students[name]]
    assert "Code in the chapters is quoted from the source" in students["index.html"]


def test_no_line_of_a_solution_is_in_the_students_notebooks(tmp_path):
    assert (
        build.main(["notebooks", str(tmp_path / "all")])
        == build.main(["notebooks", str(tmp_path / "own"), "--student"])
        == 0
    )
    everything, students = (
        [cell["source"] for path in (tmp_path / name).glob("*.ipynb") for cell in json.loads(path.read_text())["cells"]]
        for name in ("all", "own")
    )
    lines = [line for body in bodies().values() for line in body]
    assert sum(any(line in text for text in everything) for line in lines) > 20
    assert [line for line in lines if any(line in text for text in students)] == []
    assert sum(text.count("> Your turn: task ") for text in students) > 10


def test_a_line_that_moved_is_linked_where_it_is(sites):
    out, _ = sites[1]
    links = re.findall(r'href="(source/[\w/.]+)#(L-\d+)">[^<]*</a>, (\w+)<', (out / "02-mlp.html").read_text())
    assert len(links) > 3
    for name, anchor, function in links:
        line = re.search(rf'id="{anchor}"[^>]*>(.*)', (out / name).read_text())[1]
        assert function in line or line.startswith('<span class="nd">@')


def test_a_solution_that_is_left_is_a_mistake_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(edition.Student, "quote", lambda self, name: (None, None))
    with pytest.raises(quotes.DocsError, match=r"(?s)^lines of the solution in the student's edition:.*02-mlp\.html: "):
        build.site(tmp_path / "site", edition.Student())
    assert not (tmp_path / "site").exists()
