r"""Coursework: the process that `examiner` starts, as `python -c`. It imports nothing of the package."""

import contextlib
import ctypes
import gc
import json
import os
import re
import select
import signal
import sys
import threading
import time
import traceback
from operator import is_not
from pathlib import Path

MEMORY = 4 * 2**30  # bytes of address space
LONGEST = 4000  # characters of what a test says
LARGEST = 2**21  # bytes of a report
# Of other packages, what the tasks and their tests import. The guard knows it before any child does.
FIRST = ("autograd", "hypothesis.extra.numpy", "numpy.testing", "pytest", "scipy.ndimage", "scipy.optimize", "tqdm")
GUARDED = ("builtins", "math", "numpy", "autograd", "scipy", "_pytest", "pytest", "hypothesis", "json")
OURS = ("minirecon", "strategies", "conftest", "test_")


def main():
    r"""Import; then read orders (JSON, a line each) from standard input, and answer each with a line."""
    sys.path[:] = json.loads(sys.stdin.readline())
    gc.disable()
    for module in FIRST:
        __import__(module)
    sys.modules["tqdm"].tqdm.monitor_interval = 0  # no thread of its own
    gc.freeze()  # pytest collects garbage again and again: not among the modules
    gc.enable()
    _prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: who leaves the group is still found
    before = list(_bindings(GUARDED))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    print(json.dumps(sys.path), flush=True)
    for line in sys.stdin:
        print(json.dumps(_watch(json.loads(line), before)), flush=True)


def _watch(order, before):
    r"""One order, in a child: its secret, the child's status (None: it had to be ended), whether it left a process,
    and what it said on standard error, with the report at the end.
    """
    status, report, latest = None, b"", time.monotonic() + order["seconds"]
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _sit(order, before, writing)
    os.close(writing)
    with open(reading, "rb", buffering=0) as pipe:
        os.set_blocking(reading, False)
        try:
            while status is None and time.monotonic() < latest:
                select.select([pipe], [], [], 0.05)
                ended, code = os.waitpid(child, os.WNOHANG)
                status = os.waitstatus_to_exitcode(code) if ended else None
                report = (report + (pipe.read(LARGEST) or b""))[-LARGEST:]
        finally:
            left = _end(child)
    return order["secret"], status, left, report.decode(errors="replace")


def _end(child):
    r"""End what is left of a child and of all that it started; whether there was anything."""
    for number in range(10**6):  # the examiner's patience ends before
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # the dead
                pass
        left = []
        with contextlib.suppress(OSError):  # macOS has no such file
            left = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
            left.append(child)
        if not left:
            return number > 0
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.001)


def _sit(order, before, report):
    r"""The child: limits itself, runs pytest, reports and ends with pytest's status."""
    status, write, leave = 1, os.write, os._exit  # as they are before anybody has replaced them
    try:
        os.setsid()
        _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nobody ends it otherwise, if it ends who watches
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)  # a debugger left in a solution finds the end of its input
        for number, file in enumerate((null, null, report)):
            os.dup2(file, number)
        os.closerange(3, 64)
        os.environ.update(order["environment"], PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        os.chdir(order["folder"])
        sys.path.insert(0, order["folder"])
        _limit(int(order["seconds"]) + 1)
        sys.modules["__main__"] = type(sys)("__main__")  # no way by name to what stands here
        import pytest

        guard = _guard(before)
        options = ["-q", "--tb=short", "-pno:cacheprovider", "-pno:legacypath"]  # which replaces methods of pytest
        status = pytest.main([*options, *order["tests"]], plugins=[guard])
        write(2, (order["secret"] + json.dumps([guard.tests, guard.failed, guard.foul])).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        leave(status)


def _prctl(option, value):
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _limit(seconds):
    r"""Processor time, memory and size of files, for this process and its children."""
    import resource

    for name, limit in {"CPU": seconds, "AS": MEMORY, "FSIZE": 2**26, "CORE": 0}.items():
        with contextlib.suppress(ValueError, OSError):  # it is lower already; and macOS has none of memory
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))


def _guard(before):
    r"""A plugin of pytest: notes what tests say, and fails one after which something is no longer what it was."""
    import pytest

    class Guard:
        def __init__(self):
            self.tests, self.failed, self.foul, self.threads = [], {}, False, set(threading.enumerate())

        def pytest_collection_finish(self):
            self.before = [*before, *_bindings(OURS)]
            names = [name for name in sys.modules if name.startswith(("builtins", "test_"))]
            self.open = [(name, vars(sys.modules[name]), set(vars(sys.modules[name]))) for name in names]

        @pytest.hookimpl(trylast=True)  # after the tests' own patches have been undone
        def pytest_runtest_teardown(self):
            for where, names, name, value, function, code in self.before:
                if names.get(name) is not value or (code and any(map(is_not, _code(function), code))):
                    raise RuntimeError(f"{where}.{name} was replaced")
            for where, names, known in self.open:
                if added := names.keys() - known:
                    raise RuntimeError(f"{where}.{added.pop()} was added")
            if left := set(threading.enumerate()) - self.threads:
                raise RuntimeError(f"left a thread running: {left.pop().name}")

        def pytest_runtest_logreport(self, report):
            if report.when == "teardown":
                self.tests.append(report.nodeid)
                self.foul = self.foul or not report.passed  # what tests rely on was replaced, or a thread left
            self.pytest_collectreport(report)

        def pytest_collectreport(self, report):
            if not report.passed:
                self.failed.setdefault(report.nodeid, _message(report))

    return Guard()


def _message(report):
    r"""What a test says, less hypothesis's notes: our tests give the arguments themselves."""
    if report.skipped:
        return f"skipped: {report.longrepr[-1].removeprefix('Skipped: ')}"[:LONGEST]
    said = "\n".join(line[4:] for line in report.longreprtext.splitlines() if line.startswith("E   "))
    return re.split(r"\n(?:Failing test case|Falsifying example)", said or report.longreprtext)[0][:LONGEST] or "failed"


def _bindings(modules):
    r"""What tests rely on: where it is, its names, its name, the object, the function behind it and its code."""
    for module in [name for name in sys.modules if name.startswith(modules)]:
        owners = [(module, vars(sys.modules[module]))]
        for where, names in owners:
            for name, value in list(names.items()):
                if callable(value) and not (name.startswith("__") and where == module):
                    inner = getattr(value, "_implementation", value)  # of NumPy's, which hand on a call
                    for function in (value,) if inner is value else (value, inner):
                        code = _code(function) if hasattr(function, "__code__") else None
                        yield where, names, name, value, function, code
                    if where == module and isinstance(value, type) and value.__module__ == module:
                        owners.append((f"{module}.{name}", vars(value)))


def _code(function):
    return function.__code__, function.__defaults__, function.__kwdefaults__


if __name__ == "__main__":
    main()
