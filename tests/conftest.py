import os

import pytest
from hypothesis import settings

from minirecon import mlp

settings.register_profile(
    "minirecon", deadline=None, derandomize=True, print_blob=True, report_multiple_bugs=False
)  # one failure at a time, whose message pytest then prints
settings.load_profile("minirecon")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    r"""One process a core, each with one BLAS thread, where pytest-xdist is there and nothing else is asked for.

    Not with --cov: pytest-cov has decided by now that there is one process. `-n 2` says it earlier.
    """
    if config.pluginmanager.hasplugin("xdist") and not hasattr(config, "workerinput"):
        for name in ("OPENBLAS", "OMP", "MKL"):
            os.environ.setdefault(f"{name}_NUM_THREADS", "1")
        if config.option.numprocesses is None and not (
            config.option.usepdb or getattr(config.option, "cov_source", None)
        ):
            config.option.numprocesses = os.cpu_count()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    r"""Every test goes to whichever process is free, but the coursework's to one: it grades a class for all of them."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::")[0]
            return file if file.endswith("test_course.py") else nodeid

    return Scheduler(config, log)


@pytest.fixture
def interrupt(monkeypatch):
    r"""`calls = interrupt(number)`: Ctrl-C at that forward pass. `calls` collects the passes."""
    forward = mlp.forward

    def at(number):
        calls = []

        def counted(*args):
            calls.append(args)
            if len(calls) == number:
                raise KeyboardInterrupt
            return forward(*args)

        monkeypatch.setattr(mlp, "forward", counted)
        return calls

    return at
