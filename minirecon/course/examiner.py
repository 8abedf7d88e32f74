r"""Coursework: a task's tests, run in a process of their own. No part of the paper.

An `Examiner` keeps one process (`proctor`), which forks a child for each order: so pytest, SciPy and the like are
imported once for a whole class. Neither holds anything of the package, or of another child's. What counts is the
status that pytest ends with, and a report that comes through a pipe with a secret that this child alone was told.
**This is no sandbox for hostile code**: a function runs with the rights of whoever calls this.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

PATIENCE = 60  # seconds for the process to start, and to end what a child has left


class Verdict(NamedTuple):
    r"""Of one task's tests: whether all passed, the reason if not, and what each test said that failed (a dict)."""

    passed: bool
    reason: str = ""
    failed: dict = {}  # noqa: RUF012, never changed
    tests: frozenset = frozenset()


class Examiner:
    r"""Runs tests, one order at a time: `with Examiner() as examine: examine(folder, tests, seconds)`."""

    process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        r"""End the process, and the child that it watches."""
        if process := self.process:
            self.process = None
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            process.kill()
            process.communicate()

    def __call__(self, folder, tests, seconds, profile="minirecon", expected=None):
        r"""Run pytest on some tests of a folder, and judge what comes of it.

        Parameters
        ----------
        folder : Path, which holds minirecon/ and tests/
        tests : the tests' names as pytest takes them
        seconds : float, time limit; the child and all that it started are killed then
        profile : str, of hypothesis, in the tests' conftest.py: "grading" does not look for the simplest example
        expected : set of names that have to pass; None: whatever there is

        Returns
        -------
        Verdict

        Raises
        ------
        ValueError : no pytest or hypothesis here, or Windows
        """
        if not self.process:
            self._start()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            own = {"HOME": scratch, "TMPDIR": scratch, "MINIRECON_TESTS": profile}
            order = {"folder": str(folder), "tests": list(tests), "seconds": seconds, "environment": own}
            order["secret"] = os.urandom(16).hex()
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps(order), file=self.process.stdin, flush=True)
            answer = self._line(seconds + PATIENCE)
        if not answer.endswith("\n"):
            self.__exit__()
            return Verdict(False, "ended the process that watches over it")
        return _judge(*json.loads(answer), order, expected)

    def _start(self):
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LD_LIBRARY_PATH")}
        one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        more = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [sys.executable, "-c", Path(__file__).with_name("proctor.py").read_text(encoding="utf-8")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        self.process = subprocess.Popen(command, env={**kept, **one, **more}, start_new_session=True, **pipes)
        if not self._line(PATIENCE):
            self.__exit__()
            raise ValueError("expected Linux or macOS, and pytest and hypothesis: pip install pytest hypothesis")

    def _line(self, seconds):
        r"""A line that the process writes; less than a line if it ends or takes too long."""
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            return self.process.stdout.readline()
        finally:
            timer.cancel()


def _judge(status, left, report, order, expected):
    secret, _, report = report.partition("\n")
    if status is None:
        return Verdict(False, f"took longer than {order['seconds']:g} s")
    if left:
        return Verdict(False, "left a process running")
    if secret != order["secret"]:
        return Verdict(False, f"ended before the tests did, with status {status}; expected a report from pytest")
    found, failed = json.loads(report)
    reason = ""
    if failed:
        name, message = next(iter(failed.items()))
        reason = f"{name.split('::')[-1]}: {message.splitlines()[0][:200]}"
    elif missing := (expected or set()) - set(found):
        reason = f"{len(missing)} of {len(expected)} tests did not run"
    elif status or not found:
        reason = f"pytest ended with status {status}; expected 0"
    return Verdict(not reason, reason, failed, frozenset(found))
