import subprocess
import sys

# In a process of its own: what malloc does depends on all that ran before.
PROGRAM = """
import resource, sys
import numpy as np
from minirecon.io import memory

def page_faults():  # how many new pages three evaluations' worth of arrays of 4 MB cost, the first aside
    for round_ in range(4):
        if round_ == 1:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        arrays = [np.ones(1_000_000, np.float32) for _ in range(20)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

with memory.kept():
    within, before = page_faults(), resident()
released, after = before - resident(), page_faults()
try:
    with memory.kept():
        raise KeyError
except KeyError:
    after_error = page_faults()
sys.platform = "another system"
with memory.kept():
    elsewhere = page_faults()
print(within, released, after, after_error, elsewhere)
"""


def test_freed_arrays_stay_while_it_lasts_and_go_afterwards():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    within, released, *afterwards = map(int, done.stdout.split())
    assert within < 1000
    assert released > 50e6
    assert min(afterwards) > 10_000
    assert len(afterwards) == 3
