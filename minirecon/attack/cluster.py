r"""The runs of many attacks on a Dask cluster. No part of the paper."""

import socket
import struct
import time

PATIENCE = 10  # seconds to wait for a cluster
LONGEST = 2**16  # bytes of a greeting; Dask's has some 200


def runs(one, params, tasks, scheduler):
    r"""Yield what `one(params, *task)` returns for each of the tasks, as workers of the cluster are done with them.

    Raises ValueError, within PATIENCE seconds, if no Dask scheduler answers; OSError if a task kills several workers.
    """
    try:
        import dask
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise ValueError(f'scheduler = {scheduler}: needs a library: pip install "minirecon[cluster]"') from None
    try:
        _greeting(scheduler)
        client = Client(scheduler, timeout=PATIENCE)
    except (OSError, ValueError, OverflowError) as error:
        raise ValueError(
            f"scheduler = {scheduler}: no Dask scheduler answers there ({type(error).__name__}); expected tcp://host:port"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except OSError:
            raise ValueError(f"scheduler = {scheduler}: has no workers after {PATIENCE} s; start some") from None
        # Weights go with each task: where they lay on a worker alone, they would be lost with it.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            futures = [client.submit(one, params, *task, pure=False) for task in tasks]
        try:
            for _, result in as_completed(futures, with_results=True):
                yield result
        except KilledWorker:  # by default after a run has cost four workers
            raise OSError("several workers of the cluster were killed by one run, for their memory perhaps") from None


def _greeting(scheduler):
    r"""Read what a scheduler says first, whatever is at its port: Dask's own client may wait for ever, or break.

    A message is the number of bytes that follow, little-endian; in the first one they tell versions and compression.
    Raises OSError or ValueError for anything else, after PATIENCE seconds at most.
    """
    host, _, port = scheduler.removeprefix("tcp://").rpartition(":")
    end = time.monotonic() + PATIENCE
    with socket.create_connection((host.strip("[]"), int(port)), PATIENCE) as connection:

        def read(count):
            part = b""
            while len(part) < count:
                connection.settimeout(max(end - time.monotonic(), 0.001))
                more = connection.recv(count - len(part))
                if not more:
                    raise ConnectionError
                part += more
            return part

        (size,) = struct.unpack("<Q", read(8))
        if size > LONGEST or b"pickle-protocol" not in read(size):
            raise ValueError
