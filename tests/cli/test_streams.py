import os
import subprocess
import sys

import numpy as np
import pytest

from minirecon import Layer, save


@pytest.mark.parametrize("stream", ["stdout", "stderr", "both"])
def test_nobody_reads(tmp_path, stream):
    r"""As in `minirecon … | head -1`: it says nothing of it, and the results are there."""
    save((Layer(np.eye(20, 784)), Layer(np.ones((1, 20)))), tmp_path / "net.npz")
    reader, writer = os.pipe()
    os.close(reader)
    pipes = {name: subprocess.PIPE if stream not in (name, "both") else writer for name in ("stdout", "stderr")}
    args = ["attack", "net.npz", "--m", "4", "--iterations", "3", "--runs", "2", "--out", "out"]
    done = subprocess.run([sys.executable, "-m", "minirecon", *args], cwd=tmp_path, text=True, **pipes)
    os.close(writer)
    assert done.returncode == 0
    assert (tmp_path / "out" / "results.json").exists()
    assert (tmp_path / "out" / "candidates.png").exists()
    assert "Error" not in (done.stderr or "")
    assert stream != "stderr" or "Wrote to out" in done.stdout


def test_a_pipeline(tmp_path):
    command = f"{sys.executable} -m minirecon demo circle --out out | head -1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 1
    assert "Error" not in done.stderr
    assert (tmp_path / "out" / "results.json").exists()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_is_closed(tmp_path, stream):
    command = f"{sys.executable} -m minirecon inspect nonesuch {'>&-' if stream == 'stdout' else '2>&-'}"
    assert subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True).returncode == 2
