r"""Coursework: a task's tests, run in a process of their own. No part of the paper.

An `Examiner` keeps one process (`proctor`), which forks a child for each order: so pytest, SciPy and the like are
imported once for a whole class. Neither holds anything of the package, or of another child's. What counts is the
status that pytest ends with, and a report that comes through a pipe with a secret that this child alone was told.
**This is no sandbox for hostile code**: a function runs with the rights of whoever calls this.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

PATIENCE = 30  # seconds for the process to start, and to end what a child has left


class Verdict(NamedTuple):
    r"""Of one task's tests: whether all passed, the reason if not, and what each test said that failed (a dict).

    tests : those that ran, in order;  fair : whether that were all, and nothing was replaced or left behind
    """

    passed: bool
    reason: str = ""
    failed: dict = {}  # noqa: RUF012, never changed
    tests: tuple = ()
    fair: bool = False

    @property
    def share(self):
        r"""Of the points: 1 if all tests passed; 0 if the first, about the values, did not; else that of the tests."""
        if self.passed or not self.fair or self.tests[0] in self.failed:
            return float(self.passed)
        return 1 - len(self.failed) / len(self.tests)


class Examiner:
    r"""Runs tests, one order at a time: `with Examiner() as examine: examine(folder, tests, seconds)`."""

    process, closed = None, False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True
        self._end()

    def _end(self):
        r"""End the process, and the child that it watches. Returns what it said on standard error, in bytes."""
        if process := self.process:
            self.process = None
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            process.kill()
            with contextlib.suppress(OSError):
                self.file.close()
            return process.communicate()[1]

    def __call__(self, folder, tests, seconds, expected=None):
        r"""Run pytest on some tests of a folder, and judge what comes of it.

        Parameters
        ----------
        folder : Path, which holds minirecon/ and tests/
        tests : the tests' names as pytest takes them
        seconds : float, time limit; the child and all that it started are killed then
        expected : names of the tests that have to run; None: whatever there is

        Returns
        -------
        Verdict

        Raises
        ------
        ValueError : no pytest or hypothesis here, or Windows
        """
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            own = {"HOME": scratch, "TMPDIR": scratch}
            order = {"folder": str(folder), "tests": list(tests), "seconds": seconds, "environment": own}
            for _ in range(2):  # once more, in case that a submission beside it was the cause
                if not self.process:
                    self._start()
                order["secret"] = os.urandom(16).hex()
                answer = self._ask(order, seconds + PATIENCE)
                if answer and answer[0] == order["secret"]:
                    return _judge(*answer, seconds, expected)
                self._end()
                if self.closed:  # from another thread
                    raise InterruptedError("ended before the tests did")
        return Verdict(False, "ended the process that watches over it")

    def _start(self):
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LD_LIBRARY_PATH")}
        one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        program = Path(__file__).with_name("proctor.py").read_text(encoding="utf-8")
        command = [sys.executable, "-ISBX", "utf8", "-c", program]  # no .pth files: a submission could have left one
        ours, theirs = socket.socketpair()
        with ours, theirs:  # not pipes, which a child could open by way of /proc
            self.file = ours.makefile("rw", encoding="utf-8")
            options = {"env": {**kept, **one}, "start_new_session": True, "stderr": subprocess.PIPE}
            self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, **options)
        path = [os.path.abspath(folder) for folder in sys.path]  # where our own packages come from
        if self._ask(path, PATIENCE) != path:
            said = self._end().decode(errors="replace").splitlines() or ["ended"]
            expected = "expected Linux or macOS, and pytest and hypothesis: pip install pytest hypothesis"
            raise ValueError(f"no tests can be run here ({said[-1]}); {expected}")

    def _ask(self, question, seconds):
        r"""The answer of the process; nothing if there is none in time."""
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            print(json.dumps(question), file=self.file, flush=True)
            return json.loads(self.file.readline())
        except (OSError, ValueError):  # it has ended
            return None
        finally:
            timer.cancel()


def _judge(secret, status, left, report, seconds, expected):
    said, end, report = report.partition(secret)
    if status is None:
        return Verdict(False, f"took longer than {seconds:g} s")
    if left:
        return Verdict(False, "left a process running")
    said = "".join(f": {line.removeprefix('E').strip()[:200]}" for line in said.splitlines()[-1:])
    if not end:
        return Verdict(False, f"ended before the tests did, with status {status}{said}")
    try:
        found, failed, foul = json.loads(report)
        found, failed = [str(name) for name in found], {name: str(message) for name, message in failed.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Verdict(False, "made a report that is none")
    missing, reason = set(expected or ()) - set(found), ""
    if failed:
        name, message = next(iter(failed.items()))
        reason = f"{name.split('::')[-1]}: {message[:200].splitlines()[0]}" if message else name
    elif missing:
        reason = f"{len(missing)} of {len(expected)} tests did not run"
    elif status or not found:
        reason = f"pytest ended with status {status}{said or '; expected 0'}"
    fair = bool(found) and not (missing or foul) and status == bool(failed)
    return Verdict(not reason, reason, failed, tuple(found), fair)
