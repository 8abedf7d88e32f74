r"""Coursework: a task's tests, run in a process of their own. No part of the paper.

`examine` starts the subprocess with this very file as `python -c`, in a folder that holds the package and the tests,
and says on standard input what to run: neither its arguments nor its folder tell a student's function where the
result will be written. So this file imports nothing of the package. What counts is what pytest has written and the
status it ends with. **This is no sandbox for hostile code**: a function runs with the rights of whoever calls this.
"""

import contextlib
import gc
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

MEMORY = 4 * 2**30  # bytes of address space
LONGEST = 4000  # characters of what a test says
GUARDED = ("builtins", "math", "numpy", "autograd", "scipy", "_pytest", "pytest", "hypothesis")
OURS = ("minirecon", "strategies", "conftest", "test_")


class Verdict(NamedTuple):
    r"""Of one task's tests: whether all passed, the reason if not, and what each test said that failed (a dict)."""

    passed: bool
    reason: str = ""
    failed: dict = {}  # noqa: RUF012, never changed
    tests: frozenset = frozenset()


def examine(folder, tests, seconds, profile="minirecon", expected=None, running=None):
    r"""Run pytest on some tests of a folder in a subprocess, and judge what it leaves behind.

    Parameters
    ----------
    folder : Path, which holds minirecon/ and tests/
    tests : the tests' names as pytest takes them
    seconds : float, time limit; the subprocess and all that it started are killed then
    profile : str, of hypothesis, in the tests' conftest.py: "grading" does not look for the simplest failing example
    expected : set of names that have to pass; None: whatever there is
    running : set that holds the subprocess while it runs, so that another thread can end it

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError : no pytest or hypothesis here, or Windows
    """
    if os.name != "posix" or not all(map(importlib.util.find_spec, ("pytest", "hypothesis"))):
        raise ValueError("expected Linux or macOS, and pytest and hypothesis: pip install pytest hypothesis")
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LD_LIBRARY_PATH")}
    program = Path(__file__).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as private, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        environment = {**kept, **one, "HOME": scratch, "TMPDIR": scratch, "PYTHONDONTWRITEBYTECODE": "1"}
        environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONUTF8": "1", "MINIRECON_TESTS": profile}
        xml = Path(private, "junit.xml")
        order = {"seconds": int(seconds) + 1, "memory": MEMORY, "xml": str(xml), "tests": list(tests)}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.PIPE}
        command = [sys.executable, "-c", program]
        process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, **quiet)
        try:
            if running is not None:
                running.add(process)
            process.communicate(json.dumps(order).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            return Verdict(False, f"took longer than {seconds:g} s")
        finally:
            left = end(process)
            if running is not None:
                running.discard(process)
        if left:
            return Verdict(False, "left a process running")
        return _judge(xml, process.returncode, expected)


def end(process):
    r"""End a subprocess and its group; whether anything of the group was left after the subprocess itself had ended."""
    ended = process.poll() is not None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return ended
    process.wait()
    return False


def _judge(xml, status, expected):
    try:
        cases = ElementTree.parse(xml).getroot().iter("testcase")
        found = {f"{case.get('classname')}::{case.get('name')}": list(case) for case in cases}
        failed = {name: _message(parts) for name, parts in found.items() if parts}
    except (OSError, ElementTree.ParseError):
        return Verdict(False, f"ended before the tests did, with status {status}; expected a report from pytest")
    reason = ""
    if failed:
        name, message = next(iter(failed.items()))
        reason = f"{name.split('::')[-1]}: {message.splitlines()[0][:200]}"
    elif missing := (expected or set()) - found.keys():
        reason = f"{len(missing)} of {len(expected)} tests did not run"
    elif status or not found:
        reason = f"pytest ended with status {status}; expected 0"
    return Verdict(not reason, reason, failed, frozenset(found))


def _message(parts):
    r"""What <failure>, <error> or <skipped> says, less hypothesis's notes: our tests give the arguments themselves."""
    said = [line[4:] for line in (parts[0].text or "").splitlines() if line.startswith("E   ")]
    said = "\n".join(said) or parts[0].get("message") or parts[0].tag
    said = re.split(r"\n(?:Failing test case|Falsifying example)", said)[0]
    return ("skipped: " if parts[0].tag == "skipped" else "") + said[:LONGEST]


def main():
    r"""Read an order (JSON) from standard input: limit this process, run pytest, exit with its status."""
    order = json.load(sys.stdin)
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)  # a debugger left in a solution finds the end of its input
    _limit(order["seconds"], order["memory"])
    gc.disable()
    for module in ("autograd", "hypothesis", "numpy.testing", "scipy"):
        importlib.import_module(module)  # before the package: the guard takes them as they are now
    import pytest
    import tqdm

    tqdm.tqdm.monitor_interval = 0  # no thread of its own
    gc.freeze()  # pytest collects garbage again and again: not among the modules, which takes a quarter of all time
    gc.enable()

    class Guard:
        r"""Fails a test after which something is no longer what it was: numpy.testing, autograd, the tests."""

        def pytest_sessionstart(self):
            self.before, self.threads = _bindings(), set(threading.enumerate())

        def pytest_collection_finish(self):
            self.before = {**_bindings(), **self.before}  # what the package and the tests have brought along

        @pytest.hookimpl(trylast=True)  # after the tests' own patches have been undone
        def pytest_runtest_teardown(self):
            now = _bindings()
            for name, (value, code) in self.before.items():
                if name not in now or now[name][0] is not value or now[name][1] is not code:
                    raise RuntimeError(f"{'.'.join(name)} was replaced")
            for module, name in now.keys() - self.before.keys():
                if module == "builtins" or module.startswith("test_"):
                    raise RuntimeError(f"{module}.{name} was added")
            if left := set(threading.enumerate()) - self.threads:
                raise RuntimeError(f"left a thread running: {left.pop().name}")

    options = ["-q", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={order['xml']}"]
    sys.exit(pytest.main([*options, *order["tests"]], plugins=[Guard()]))


def _limit(seconds, memory):
    r"""Processor time, memory and size of files, for this process and its children."""
    import resource

    limits = {"CPU": seconds, "AS": memory, "FSIZE": 2**26, "CORE": 0}
    for name, limit in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS has no limit of memory
            resource.setrlimit(kind, (limit, limit))


def _bindings():
    r"""The functions, classes and methods that tests rely on: a dict (module, name): (object, its code)."""
    found = {}
    for module in list(sys.modules):
        if not module.startswith((*GUARDED, *OURS)):
            continue
        for name, value in list(vars(sys.modules[module]).items()):
            if not callable(value) or name.startswith("__"):
                continue
            found[module, name] = value, getattr(value, "__code__", None)
            if isinstance(value, type) and value.__module__ == module:
                for method, function in list(vars(value).items()):
                    if callable(function):
                        found[f"{module}.{name}", method] = function, getattr(function, "__code__", None)
    return found


if __name__ == "__main__":  # the subprocess
    main()
