import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from minirecon import load_dataset, save, train
from minirecon.attack import cluster as clusters
from minirecon.attack import restarts
from minirecon.attack.candidates import load_candidates

DASK = [sys.executable, "-m", "dask"]


@pytest.fixture(scope="module")
def params():
    return train(load_dataset("mnist", 8), (60, 60), target_time=1000.0).params


@pytest.fixture
def cluster(tmp_path):
    r"""`address, workers = cluster(count)`: a scheduler on this machine and so many workers, as a user starts them."""
    started = []

    def launch(*args):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen([*DASK, *args, "--no-dashboard"], cwd=tmp_path, **quiet))
        return started[-1]

    def start(count):
        file = tmp_path / "scheduler.json"
        launch("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file)
        while not file.exists() or not file.read_text():
            assert started[0].poll() is None
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        # without their nannies, which would start them again
        return address, [launch("worker", address, "--nthreads", "1", "--no-nanny") for _ in range(count)]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_worker_is_killed_and_the_result_is_the_local_one(params, cluster, tmp_path):
    r"""The one worker dies by SIGKILL in the middle of a run; the other does that again."""
    save(params, tmp_path / "net.npz")
    address, workers = cluster(2)
    args = ["attack", "net.npz", "--m", "8", "--runs", "6", "--iterations", "150", "--set", "alpha=50"]
    process = subprocess.Popen(
        [sys.executable, "-m", "minirecon", *args, "--scheduler", address, "--out", "out"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not list(tmp_path.glob("out/run-00?.npz")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    os.kill(workers[0].pid, signal.SIGKILL)
    assert len(list(tmp_path.glob("out/run-00?.npz"))) < 5
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert b"6 of 6 runs done" in err
    assert b"Traceback" not in err
    assert workers[0].poll() == -signal.SIGKILL
    assert workers[1].poll() is None
    local = restarts.restarts(params, 8, 6, jobs=1, iterations=150, alpha=50)
    found = load_candidates(tmp_path / "out" / "candidates.npz")
    for name in ("x", "lam", "y", "start", "run"):
        np.testing.assert_array_equal(getattr(found, name), getattr(local, name))


def test_a_cluster_without_workers(params, cluster, monkeypatch):
    monkeypatch.setattr(clusters, "PATIENCE", 2)
    address, _ = cluster(0)
    with pytest.raises(ValueError, match=rf"scheduler = {address}: has no workers after 2 s; start some"):
        restarts.restarts(params, 4, 2, scheduler=address)


@pytest.mark.parametrize("answer", ["nothing", "silence"])
def test_nothing_answers(params, monkeypatch, answer):
    r"""A port that is closed, and one that takes the connection and says nothing."""
    monkeypatch.setattr(clusters, "PATIENCE", 1)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if answer == "silence":
            listener.listen()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ValueError, match=rf"scheduler = {address}: no Dask scheduler answers there \("):
            restarts.restarts(params, 4, 2, scheduler=address)


@pytest.mark.parametrize(
    "greeting", [b"\x01", b"SSH-2.0-OpenSSH_9.6\r\n", b"\xff" * 64, b"\x08" + b"\0" * 15, b"\0" * 8]
)
@pytest.mark.parametrize("closes", [True, False])
def test_another_server_answers(params, monkeypatch, capfd, greeting, closes):
    r"""One line, and within its patience, whatever it says."""
    monkeypatch.setattr(clusters, "PATIENCE", 1)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address, connections = f"tcp://127.0.0.1:{listener.getsockname()[1]}", []

        def serve():
            connection, _ = listener.accept()
            connections.append(connection)
            connection.sendall(greeting)
            if closes:
                connection.close()

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        with pytest.raises(ValueError, match=rf"scheduler = {address}: no Dask scheduler answers there \("):
            restarts.restarts(params, 4, 2, scheduler=address)
        server.join()
        assert len(connections) == 1  # Dask's client, which may hang, was not tried
        connections[0].close()
    assert capfd.readouterr() == ("", "")


def test_without_the_library(params, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r'scheduler = tcp://x:1: needs a library: pip install "minirecon\[cluster\]"'):
        restarts.restarts(params, 4, 2, scheduler="tcp://x:1")
