import resource
import sys

import numpy as np
import pytest

from minirecon import memory


def page_faults():
    r"""How many new pages three evaluations' worth of arrays of 4 MB cost, the first aside."""
    for round_ in range(4):
        if round_ == 1:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        arrays = [np.ones(1_000_000, np.float32) for _ in range(20)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident():
    r"""Bytes of memory in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_freed_arrays_stay_while_it_lasts_and_go_afterwards(monkeypatch):
    with memory.kept():
        assert page_faults() < 1000
        before = resident()
    assert resident() < before - 50e6
    assert page_faults() > 10_000
    with pytest.raises(KeyError), memory.kept():
        raise KeyError
    assert page_faults() > 10_000
    monkeypatch.setattr(sys, "platform", "another system")
    with memory.kept():
        assert page_faults() > 10_000
