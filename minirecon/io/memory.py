r"""Memory for arrays that come and go by the hundred; no part of the paper. (What it is worth: docs/speed.md.)"""

import contextlib
import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # their numbers in glibc's malloc.h
MMAP_LARGEST = 2**25  # bytes; where glibc's own rule ends, once an array of that size has been freed


@contextlib.contextmanager
def kept():
    r"""While this lasts, freed arrays stay with the process for the next ones (glibc trims what is free above 512 MB).

    Otherwise glibc gives many of them back to the system at once, and each new array of 4 MB costs up to a thousand
    page faults, more than its arithmetic. Changes nothing on systems with another C library. Afterwards glibc's
    thresholds stay where its own rule would take them once an array of 32 MB has been freed.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt"):
        yield
        return
    libc.mallopt(M_MMAP_THRESHOLD, MMAP_LARGEST)
    libc.mallopt(M_TRIM_THRESHOLD, 2**29)
    try:
        yield
    finally:
        libc.mallopt(M_TRIM_THRESHOLD, 2 * MMAP_LARGEST)  # by the same rule of glibc's
        libc.malloc_trim(0)
