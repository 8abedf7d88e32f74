import json
import subprocess
import sys

from minirecon import cli

RESULT = "expected another --out"


def run(capsys, *args):
    r"""Exit status, and what was printed on standard output and on standard error."""
    status = cli.main([str(arg) for arg in args])
    return status, *capsys.readouterr()


def refused(capsys, folder, *args):
    r"""The one line of a refusal, after which all in the folder is as it was."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    status, _, err = run(capsys, *args)
    assert status == 2
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    (line,) = err.splitlines()
    return line


ATTACK = ("attack", "net.npz", "--m", 4, "--iterations", 3)
TRAIN = ("train", "mnist", "--n", 4, "--hidden", 8, "--time", 5, "--first-scale", 0.1)


def test_finished_results_are_not_replaced(anywhere, capsys):
    assert run(capsys, *ATTACK, "--out", "found")[0] == 0
    assert run(capsys, *TRAIN, "--out", "net")[0] == 0
    attacked, trained = "found: holds a finished attack (results.json)", "net: holds a finished training (results.json)"
    for seed in (0, 5):
        line = refused(capsys, anywhere, *ATTACK, "--seed", seed, "--out", "found")
        assert line == f"minirecon attack: {attacked}; {RESULT}"
    assert refused(capsys, anywhere, *TRAIN, "--out", "net") == f"minirecon train: {trained}; {RESULT}"
    assert trained in refused(capsys, anywhere, *ATTACK, "--resume", "--out", "net")
    assert attacked in refused(capsys, anywhere, "demo", "circle", "--out", "found")
    args = ("score", "found", "--against", "mnist", "--n", 4, "--out")
    assert attacked in refused(capsys, anywhere, *args, "found")
    for _ in range(2):  # seconds of work
        assert run(capsys, *args, "scored")[0] == 0
    (anywhere / "mine").mkdir()
    for name, command in (("weights.pth", TRAIN), ("candidates.npz", ATTACK), ("results.json", ATTACK)):
        (anywhere / "mine" / name).write_text("mine")
        assert name in refused(capsys, anywhere, *command, "--out", "mine")


def test_resume_of_a_finished_attack_computes_nothing(anywhere, capsys, interrupt):
    assert run(capsys, *ATTACK, "--out", "found")[0] == 0
    assert run(capsys, *ATTACK, "--runs", 2, "--jobs", 1, "--out", "many")[0] == 0
    files = {path: path.stat().st_mtime_ns for path in anywhere.rglob("*")}
    calls = interrupt(-1)
    for args in (("--out", "found"), ("--runs", 2, "--out", "many"), ("--runs", 2, "--jobs", 1, "--out", "many")):
        status, out, err = run(capsys, *ATTACK, *args, "--resume")
        assert (status, err) == (0, "")
        assert out.endswith(f"\n{args[-1]}: this attack is finished; nothing is left to do.\n")
    assert not calls
    assert {path: path.stat().st_mtime_ns for path in anywhere.rglob("*")} == files
    line = refused(capsys, anywhere, *ATTACK, "--seed", 5, "--resume", "--out", "found")
    assert line.endswith("candidates.npz: saved by another attack, with seed = 0; expected 5")
    line = refused(capsys, anywhere, *ATTACK, "--runs", 2, "--resume", "--out", "found")
    assert line.endswith("candidates.npz: saved by another attack, with runs = None; expected 2")
    line = refused(capsys, anywhere, *ATTACK, "--resume", "--out", "many")
    assert line == f"minirecon attack: many: holds an attack (run-000.npz); {RESULT}"
    status, out, _ = run(capsys, *ATTACK, "--runs", 3, "--jobs", 1, "--resume", "--out", "many")
    assert status == 0  # one more run
    assert "3 runs." in out
    listed = out[out.index("Wrote to") :]
    assert "run-002.npz" in listed
    assert "run-001.npz" not in listed


def test_folders_are_named_after_the_net(anywhere, capsys):
    for net in ("one", "two"):
        assert run(capsys, *TRAIN, "--out", net)[0] == 0
        assert run(capsys, "attack", f"{net}/weights.pth", "--m", 4, "--iterations", 3)[0] == 0
        assert run(capsys, "kkt", f"{net}/weights.pth", "--against", "mnist", "--n", 4)[0] == 0
    assert run(capsys, *ATTACK)[0] == 0
    names = {path.name for path in (anywhere / "minirecon-out").iterdir()}
    assert names == {"attack-one", "attack-two", "attack-net", "kkt-one", "kkt-two"}


def test_what_was_written_is_listed_and_what_was_left_is_removed(anywhere, capsys):
    folder = anywhere / "found"
    folder.mkdir()
    for name in ("notes.txt", ".hidden-0123", ".candidates-0123abcd.png", ".run-000.state-00000000.npz"):
        (folder / name).write_text("")
    _, out, _ = run(capsys, *ATTACK, "--out", "found")
    assert out.endswith("Wrote to found:\n  candidates.npz, candidates.png, losses.png, results.json\n")
    assert {path.name for path in folder.iterdir()} == {
        "notes.txt", ".hidden-0123", "candidates.npz", "candidates.png", "losses.png", "results.json",
    }  # fmt: skip


def test_two_processes_with_one_folder(anywhere, capsys):
    r"""The second is refused; when the first is killed, the folder is free."""
    code = (
        "import sys, types; from minirecon.cli.output import Run\n"
        "with Run(types.SimpleNamespace(verb='attack', seed=0, out='found'), None, {}): sys.stdin.read()"
    )
    first = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout.readline().startswith(b"minirecon attack")
    line = refused(capsys, anywhere, *ATTACK, "--out", "found")
    assert line == f"minirecon attack: found: another minirecon is at work there; {RESULT}"
    first.kill()
    first.communicate()
    assert run(capsys, *ATTACK, "--out", "found")[0] == 0
    assert json.loads((anywhere / "found" / "results.json").read_text())["iterations"] == 3
