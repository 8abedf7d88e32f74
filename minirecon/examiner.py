r"""Coursework: the program inside the subprocess that runs a task's tests. No part of the paper.

`grading` starts it with its source as `python -c`, in a folder that holds the package with a student's function in
it, and tells it on standard input what to run. So it imports nothing of the package, and neither its arguments nor
the folder tell a student's function where the result will be written.
"""

import json
import os
import sys
import threading

GUARDED = ("builtins", "math", "numpy", "autograd", "scipy", "_pytest", "pytest", "hypothesis", "minirecon", "strategies",
           "conftest", "test_")  # fmt: skip

def main():
    r"""Read an order (JSON) from standard input: limit this process, run pytest, exit with its status."""
    order = json.load(sys.stdin)
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)  # a debugger left in a solution finds the end of its input
    _limit(order["seconds"], order["memory"])
    import autograd  # before the package: the guard takes them as they are now
    import hypothesis
    import numpy.testing
    import pytest
    import tqdm

    tqdm.tqdm.monitor_interval = 0  # no thread of its own

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

    assert autograd and hypothesis and numpy.testing  # imported for their own sake
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
        try:
            resource.setrlimit(kind, (limit, limit))
        except (ValueError, OSError):  # macOS has no limit of memory
            pass


def _bindings():
    r"""The functions, classes and methods that tests rely on: a dict (module, name): (object, its code)."""
    found = {}
    for module in list(sys.modules):
        if not module.startswith(GUARDED):
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


if __name__ == "__main__":
    main()
