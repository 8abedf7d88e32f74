r"""Many attacks from different random starts, side by side on one machine or a cluster.

The paper (appendix) pools the candidates of many runs with different settings; this pools those of a few runs
that differ in their start alone. What they agree on is in consensus.py.
"""

import contextlib
import functools
import json
import numbers
import os
import signal
import threading
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from .. import attack
from ..io.files import read_npz
from ..io.progress import progress_line
from ..mlp import check
from . import cluster, resume
from .candidates import Reconstruction, load_candidates, save_candidates

LOCK = threading.Lock()


def restarts(
    params, m, runs, *, seed=0, jobs=None, scheduler=None, folder=None, progress=False,
    optimizer="lbfgs", initial=None, dtype="float32", **settings,
):  # fmt: skip
    r"""Reconstruct from `runs` random starts: run r is `attack.reconstruct` with the seed `seed` + r.

    Each run has one BLAS thread, whatever `jobs` and the cluster are, so that they change nothing in the result.
    (Two threads, with other work on the two cores: 86 s where one took 1.9 s. On idle cores: not compared yet.)

    Parameters
    ----------
    params, m, progress, optimizer, initial, dtype, settings : as in `attack.reconstruct`
    runs : int, 1 or more
    seed : int
    jobs : int, processes at a time on this machine; None for one on each core
    scheduler : the address of a Dask scheduler, tcp://host:port, whose workers do the runs instead. They need
        this version of minirecon; a worker that is lost has its runs done again by another
    folder : where each run that is done is written to, run-000.npz, …, as `save_candidates` does. Runs that are
        there already are not done again, and local ones go on from where they were cut short

    Returns
    -------
    Reconstruction with the candidates of all runs (m · runs of them), `run` says which run each came from, and
    no history. Ctrl-C ends it early with those of the runs that are done.

    Raises
    ------
    CheckpointError, ValueError : as in `attack.reconstruct`, for other values of the above, for files in
        `folder` that other attacks have saved, or if no cluster answers at `scheduler`
    OSError : a process was killed, by the system for its memory for instance
    KeyboardInterrupt : Ctrl-C came before any run was done
    """
    for name, value, least in (("runs", runs, 1), ("jobs", 1 if jobs is None else jobs, 1), ("seed", seed, 0)):
        if not isinstance(value, numbers.Integral) or value < least:
            raise ValueError(f"{name} = {value}: expected a whole number, {least} or more")
    if scheduler is not None and jobs is not None:
        raise ValueError(f"jobs = {jobs} with scheduler = {scheduler}: expected one; a cluster has as many as workers")
    if optimizer == "differences":
        raise ValueError("optimizer = 'differences': expected one attack, not runs; it has no random start")
    params, known = check(params), {} if initial is None else {"initial": attack.start_of(initial, params)}
    settings = attack.complete(optimizer, settings, len(params[-1].weight), initial)
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
    identities = [resume.identity(params, m, seed + r, optimizer, dtype, settings, initial) for r in range(runs)]
    done, tasks = {}, []
    for r, identity in enumerate(identities):
        path, state = _paths(folder, r)
        if path and path.exists():
            done[r] = _load(path, identity)
        else:
            options = {"m": m, "seed": seed + r, "optimizer": optimizer, "dtype": dtype, **known, **settings}
            tasks.append((r, {**options, "checkpoint": None if scheduler else state}))
    name, interrupted = progress if isinstance(progress, str) else "attack", False
    results = cluster.runs(_one, params, tasks, scheduler) if scheduler else _local(params, tasks, jobs)
    with progress_line(runs, name, progress) as bar, contextlib.closing(results):
        try:
            _count(bar, len(done), runs)
            for r, rec in results:
                if rec.interrupted:  # Ctrl-C goes to all processes
                    raise KeyboardInterrupt
                done[r] = rec
                if folder:
                    path, state = _paths(folder, r)
                    save_candidates(rec, path, identity=json.dumps(identities[r]))
                    state.unlink(missing_ok=True)
                _count(bar, 1, runs)
        except KeyboardInterrupt:
            interrupted = True
    if not done:
        raise KeyboardInterrupt
    return pool(done)._replace(interrupted=interrupted)


def pool(done):
    r"""One Reconstruction of several, a dict of run -> Reconstruction with (m, d) candidates each."""
    runs = sorted(done)
    parts = zip(*(done[r][:4] for r in runs), strict=True)  # x, lam, y, start
    run = np.repeat(runs, [len(done[r].x) for r in runs])
    return Reconstruction(*map(np.concatenate, parts), run=run, inputs=done[runs[0]].inputs)


def _paths(folder, r):
    return [Path(folder) / f"run-{r:03}{ending}" for ending in (".npz", ".state.npz")] if folder else (None, None)


def _load(path, identity):
    resume.same(path, read_npz(path, "candidates"), identity)
    return load_candidates(path)


def _count(bar, more, runs):
    bar.set_postfix_str(f"{bar.n + more} of {runs} runs done", refresh=False)
    bar.update(more)


def _one(params, number, options):
    r"""A run, in whatever process: its number and its Reconstruction."""
    # SciPy brings a BLAS of its own, which can be limited once it is loaded
    import scipy.linalg  # noqa: F401

    # the number of threads is the process's; and autograd keeps state, too: one run at a time
    with LOCK, threadpool_limits(limits=1):
        return number, attack.reconstruct(params, **options)


@functools.cache  # one thread a process
def _end_with(parent):
    r"""End this process within seconds of its parent, however that ended: nobody waits for its result then."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _in_process(parent, *task):
    _end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the main one ends the others
    return _one(*task)


def _local(params, tasks, jobs):
    import joblib  # imported here: `import minirecon` need not wait for it

    jobs = min(jobs or joblib.cpu_count(), max(len(tasks), 1))
    # unordered, so that each run is written as soon as it is done; weights are copied, for autograd knows no memmap
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", max_nbytes=None)
    one = functools.partial(_in_process, os.getpid()) if jobs > 1 else _one
    results = parallel(joblib.delayed(one)(params, *task) for task in tasks)
    try:
        yield from results
    except BrokenExecutor:
        raise OSError("a process that ran an attack was killed, for its memory perhaps; try fewer --jobs") from None
    finally:
        results.close()
