r"""Coursework: another set of the same tasks. Its own solution has full points, that of another set has not."""

import ast
import shutil
import subprocess
import sys

import pytest
from planted import ROOT

from minirecon import cli
from minirecon.course import grading, handout, variant

OPTIONS = variant.load_options(ROOT)
TASKS, _ = handout.load_tasks(ROOT)
TOTAL = sum(task.points for task in TASKS)
SEEDS = "autumn", "spring"


def modules(folder):
    r"""The files that options may change: a dict path: text."""
    names = {name for option in OPTIONS for name, _, _ in option["edits"]}
    return {name: (folder / name).read_text(encoding="utf-8") for name in sorted(names)}


def test_the_edits_of_every_seed_fit(tmp_path):
    r"""Alone and together: an edit does not take away what another one changes."""
    ours, chosen = modules(ROOT), set()
    for seed in range(25):
        options = variant.choose(OPTIONS, str(seed))
        for name, text in ours.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        variant.apply(options, tmp_path)
        chosen |= {option["tells"] for option in options}
        assert len({option["name"] for option in options}) == len(options)
        for name in ours:
            if name.endswith(".py"):
                ast.parse((tmp_path / name).read_text(encoding="utf-8"))
    assert chosen == {option["tells"] for option in OPTIONS}


def test_a_seed_means_the_same_everywhere():
    r"""Else last year's handouts could not be graded: to add options to a name, or to leave some out, changes seeds."""
    names = [option["tells"][:3] for option in variant.choose(OPTIONS, "autumn")]
    assert names == ["1.1", "1.3", "1.2", "1.5", "2.3", "4.1", "4.2", "4.5", "4.6", "5.4", "5.5"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_variants_own_solution_has_full_points_and_others_have_not(seed, tmp_path):
    other = SEEDS[1 - SEEDS.index(seed)]
    with variant.checkout(ROOT, seed) as root, variant.checkout(ROOT, other) as stranger:
        for name, folder in (("own", root), ("published", ROOT), ("other", stranger)):
            shutil.copytree(folder / "minirecon", tmp_path / name / "minirecon")
        found = grading.grade(tmp_path, root)["submissions"]
    assert found["own"]["points"] == TOTAL
    touched = {option["tells"][:3] for option in variant.choose(OPTIONS, seed)}
    lost = {task for task, row in found["published"]["tasks"].items() if row["points"] == 0}
    assert touched <= lost
    assert found["published"]["points"] < 0.75 * TOTAL
    assert found["other"]["points"] < 0.75 * TOTAL


def test_the_verbs(tmp_path, monkeypatch, capsys):
    r"""Hand out a variant and grade it: bare, and with the published solution of one task that it changes."""
    monkeypatch.chdir(ROOT)
    mine = tmp_path / "mine"
    assert cli.main(["course", "handout", str(mine), "--variant", "spring"]) == 0
    told = (mine / variant.TOLD).read_text(encoding="utf-8")
    options = variant.choose(OPTIONS, "spring")
    assert told == variant.HEAD + "".join(f"- {option['tells']}\n" for option in options)
    assert "spring" not in told
    assert not list(mine.rglob("variants.toml"))
    capsys.readouterr()
    out = tmp_path / "out"
    assert cli.main(["course", "grade", str(mine), "--variant", "spring", "--assignment", "1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"functions and tests of the reference are from variant spring of {ROOT}" in said
    assert '"reference": "variant spring of' in (out / "grades.json").read_text(encoding="utf-8")


def test_an_autograder_of_a_variant(tmp_path, monkeypatch):
    r"""It grades against the solution and the tests of the variant, and holds no more than that takes."""
    monkeypatch.chdir(ROOT)
    out = tmp_path / "out"
    assert cli.main(["course", "export", "gradescope", str(out), "--assignment", "1", "--variant", "spring"]) == 0
    reference = out / "reference"
    with variant.checkout(ROOT, "spring") as root:
        for file in ("minirecon/mlp.py", "tests/test_tasks.py", "tests/test_hidden.py"):
            assert (reference / file).read_text(encoding="utf-8") == (root / file).read_text(encoding="utf-8")
    assert (reference / "minirecon/mlp.py").read_bytes() != (ROOT / "minirecon/mlp.py").read_bytes()
    names = {path.name for path in (reference / "tests").iterdir()}
    assert names == {"conftest.py", "strategies.py", "test_hidden.py", "test_tasks.py"}


def test_errors_name_what_is_wrong(tmp_path):
    with (
        pytest.raises(ValueError, match=r"no tests/variants\.toml in .*; expected the repository's checkout"),
        variant.checkout(tmp_path, "autumn"),
    ):
        pass
    option = {"name": "gate", "edits": [["a.py", "x", "y"]]}
    (tmp_path / "a.py").write_text("z")
    with pytest.raises(ValueError, match=r"tests/variants\.toml, gate: a\.py has no 'x'"):
        variant.apply([option], tmp_path)
    with variant.checkout(ROOT) as folder:
        assert folder == ROOT


def test_a_variant_is_a_whole(tmp_path):
    r"""All names together, the last option of each: training, KKT conditions, both attacks and the score still run."""
    last = {option["name"]: option for option in OPTIONS}
    shutil.copytree(ROOT / "minirecon", tmp_path / "minirecon", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in modules(ROOT).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "data", tmp_path / "data")
    variant.apply(last.values(), tmp_path)
    code = (
        "import minirecon as mr\nfrom minirecon import losses\n"
        "data = mr.load_dataset('mnist', n=20)\nrun = mr.train(data, hidden=(60, 60), seed=0)\n"
        "print(mr.kkt_report(run.params, data).cosine > 0.9)\n"
        "for settings in ({'iterations': 150, 'samples': 20}, {'optimizer': 'sgd', 'iterations': 5}):\n"
        "    found = mr.reconstruct(run.params, m=40, seed=0, **settings)\n"
        "    score = mr.score(found, data)\n"
        "    print(sum(score.ncc > 0.8), max(sum(null.ncc > 0.8) for null in score.null.values()))\n"
        "args = run.params, found.x, found.lam, found.y\n"
        "print(abs(losses.parameter_loss(*args) / losses.multiplied_out(*args) - 1) < 1e-4)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env={})
    assert done.returncode == 0, done.stderr
    close, found, null, *_, equal = done.stdout.split()
    assert (close, equal) == ("True", "True")
    assert int(found) >= int(null) + 4  # 9 and 0 when this was written
