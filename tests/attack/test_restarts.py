import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from minirecon import CheckpointError, Layer, load, load_dataset, reconstruct, save, train
from minirecon.attack import lbfgs
from minirecon.attack.candidates import load_candidates, save_candidates
from minirecon.attack.restarts import restarts

OPTIONS = {"m": 8, "iterations": 30}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net.npz"
    save(train(load_dataset("mnist", 8), (60, 60), target_time=1000.0).params, path)
    return path


@pytest.fixture(scope="module")
def params(weights):
    return load(weights)


@pytest.fixture(scope="module")
def whole(params):
    return restarts(params, runs=3, seed=5, jobs=1, **OPTIONS)


def assert_same(one, two):
    for name in ("x", "lam", "y", "start", "run"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_run_r_is_the_attack_with_seed_plus_r(params, whole):
    assert whole.run.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert whole.history == {}
    assert not whole.interrupted
    for r in range(3):
        with threadpool_limits(limits=1):
            rec = reconstruct(params, seed=5 + r, **OPTIONS)
        for name in ("x", "lam", "y", "start"):
            np.testing.assert_array_equal(getattr(whole, name)[whole.run == r], getattr(rec, name))


@pytest.mark.parametrize("jobs", [2, 3])
def test_the_number_of_jobs_changes_nothing(params, whole, jobs):
    assert_same(restarts(params, runs=3, seed=5, jobs=jobs, **OPTIONS), whole)


def test_other_options_reach_the_attack(params):
    rec = restarts(params, 4, 2, jobs=1, optimizer="sgd", dtype="float64", iterations=3, lam_min=0.3)
    assert rec.x.dtype == np.float64
    one = reconstruct(params, 4, seed=1, optimizer="sgd", dtype="float64", iterations=3, lam_min=0.3)
    np.testing.assert_allclose(rec.x[rec.run == 1], one.x, rtol=1e-9)


def test_one_thread_a_run_from_the_start(weights):
    r"""In a fresh process, where SciPy and its BLAS are not there yet, and with two threads allowed."""
    code = (
        "import sys; from minirecon import load, mlp; from minirecon.attack import restarts\n"
        "from threadpoolctl import threadpool_info\n"
        "forward, seen = mlp.forward, set()\n"
        "def spy(*args):\n"
        "    seen.update(library['num_threads'] for library in threadpool_info())\n"
        "    return forward(*args)\n"
        "mlp.forward = spy\n"
        "before = {library['num_threads'] for library in threadpool_info()}\n"
        "restarts.restarts(load(sys.argv[1]), 4, 2, jobs=1, iterations=3)\n"
        "print(before, seen, {library['num_threads'] for library in threadpool_info()})"
    )
    threads = {name: "2" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code, weights], capture_output=True, text=True, check=True, env={**os.environ, **threads}
    )
    assert done.stdout.strip() == "{2} {1} {2}"


def test_finished_runs_are_kept_and_not_done_again(params, whole, tmp_path, interrupt):
    folder = tmp_path / "runs"
    assert_same(restarts(params, runs=3, seed=5, jobs=2, folder=folder, **OPTIONS), whole)
    assert sorted(path.name for path in folder.iterdir()) == ["run-000.npz", "run-001.npz", "run-002.npz"]
    rec = load_candidates(folder / "run-001.npz")
    np.testing.assert_array_equal(rec.x, whole.x[whole.run == 1])
    calls = interrupt(-1)
    assert_same(restarts(params, runs=3, seed=5, folder=folder, **OPTIONS), whole)
    assert not calls
    before = (folder / "run-000.npz").read_bytes()
    (folder / "run-001.npz").unlink()
    assert_same(restarts(params, runs=3, seed=5, jobs=1, folder=folder, **OPTIONS), whole)
    assert 30 <= len(calls) < 60  # one run
    assert (folder / "run-000.npz").read_bytes() == before
    with pytest.raises(ValueError, match=r"run-000\.npz: saved by another attack, with seed = 5; expected 4"):
        restarts(params, runs=3, seed=4, jobs=1, folder=folder, **OPTIONS)
    (folder / "run-000.npz").write_bytes(before[:-100])
    with pytest.raises(CheckpointError, match=r"run-000\.npz: damaged, or no file of candidates"):
        restarts(params, runs=3, seed=5, jobs=1, folder=folder, **OPTIONS)
    save_candidates(rec, folder / "run-000.npz")  # of an attack that is not known
    with pytest.raises(ValueError, match=r"run-000\.npz: saved by another attack, with weights = None"):
        restarts(params, runs=3, seed=5, jobs=1, folder=folder, **OPTIONS)


def test_ctrl_c_keeps_the_runs_that_are_done(params, whole, tmp_path, interrupt, monkeypatch):
    monkeypatch.setattr(lbfgs, "SEGMENT", 10)
    segmented = restarts(params, runs=3, seed=5, jobs=1, **OPTIONS)
    calls = interrupt(80)  # in the second or third run
    rec = restarts(params, runs=3, seed=5, jobs=1, folder=tmp_path, **OPTIONS)
    assert rec.interrupted
    last = rec.run.max() + 1
    assert last in (1, 2)
    assert (tmp_path / f"run-{last:03}.state.npz").exists()
    np.testing.assert_array_equal(rec.x, segmented.x[segmented.run < last])
    calls[:] = [None] * 80
    again = restarts(params, runs=3, seed=5, jobs=1, folder=tmp_path, **OPTIONS)
    assert_same(again, segmented)
    assert not list(tmp_path.glob("*.state.npz"))
    calls[:] = [None] * 70
    with pytest.raises(KeyboardInterrupt):
        restarts(params, runs=3, seed=5, jobs=1, **OPTIONS)


def test_ctrl_c_to_all_processes(weights, tmp_path):
    r"""SIGINT as a terminal sends it, to this process and its workers, after the first run; then --resume."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from minirecon.cli import main"
    )
    # a shell that runs the tests in the background has SIGINT ignored, and so would this
    command = [sys.executable, "-c", code + "; sys.exit(main(sys.argv[1:]))"]
    args = [*command, "attack", weights, "--m", "8", "--runs", "4", "--jobs", "2"]
    args += ["--iterations", "150", "--set", "alpha=50"]
    subprocess.run([*args, "--out", "whole"], cwd=tmp_path, check=True, capture_output=True)
    process = subprocess.Popen(
        [*args, "--out", "out"], cwd=tmp_path, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not list(tmp_path.glob("out/run-00?.npz")):
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert b"interrupted: keeping the runs that are done" in out
    assert b"Traceback" not in err
    result = json.loads((tmp_path / "out" / "results.json").read_text())
    assert result["interrupted"] is True
    assert 1 <= result["runs"] < 4
    done = subprocess.run([*args, "--out", "out", "--resume"], cwd=tmp_path, check=True, capture_output=True)
    assert b"4 of 4 runs done" in done.stderr
    assert_same(*(load_candidates(tmp_path / name / "candidates.npz") for name in ("whole", "out")))


def test_a_killed_process_is_an_error():
    r"""In a Python of its own: joblib's processes are shared by all attacks of one, and here they are broken."""
    code = """
import os, signal
import numpy as np
from minirecon import mlp
from minirecon.attack import restarts

def killed(*args):
    os.kill(os.getpid(), signal.SIGKILL)

restarts._in_process = killed
restarts.restarts(mlp.initialise(np.random.default_rng(0), 12, (40,)), m=8, runs=2, jobs=2, iterations=5)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "OSError: a process that ran an attack was killed, for its memory perhaps; try fewer --jobs" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(weights, tmp_path, number):
    args = ["attack", weights, "--m", "40", "--runs", "4", "--jobs", "2", "--iterations", "100000", "--out", tmp_path]
    args += ["--set", "alpha=50"]
    process = subprocess.Popen(
        [sys.executable, "-m", "minirecon", *args], start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not list(tmp_path.glob("run-*.state.npz")):  # its workers are at work
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, number)
    process.wait()
    end = time.monotonic() + 60
    while alive(process.pid):
        assert time.monotonic() < end, alive(process.pid)
        time.sleep(0.1)


def alive(session):
    r"""The processes of a session that are left."""
    done = subprocess.run(["ps", "-o", "pid=,stat=,args=", "-s", str(session)], capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if line.split()[1][0] != "Z"]


def test_errors_in_a_run_are_its_own(params):
    nothing = (Layer(np.zeros((3, 2))), Layer(np.zeros((1, 3))))
    for jobs in (1, 2):
        with pytest.raises(ValueError, match="no step from the start lowers the loss"):
            restarts(nothing, 4, 2, jobs=jobs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runs": 0}, "runs = 0: expected a whole number, 1 or more"),
        ({"runs": 2.0}, r"runs = 2\.0: expected a whole number"),
        ({"jobs": 0}, "jobs = 0: expected a whole number, 1 or more"),
        ({"seed": None}, "seed = None: expected a whole number, 0 or more"),
        ({"seed": -1}, "seed = -1: expected"),
        ({"alpha": -1}, "alpha = -1: expected a positive number"),
        ({"m": 1, "jobs": 1}, "m = 1: expected a whole number of at least 2"),
        ({"jobs": 2, "scheduler": "tcp://x:1"}, "jobs = 2 with scheduler = tcp://x:1: expected one"),
    ],
)
def test_refuses_options(params, options, message):
    with pytest.raises(ValueError, match=message):
        restarts(params, **{"m": 4, "runs": 2, "iterations": 3, **options})
