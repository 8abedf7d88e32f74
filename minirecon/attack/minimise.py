r"""The frame of every descent: its history, Ctrl-C, saving, threads, and SciPy's L-BFGS. No part of the paper.

What is minimised is a function of the unknowns, arrays, that returns the terms of a loss as a dict.
"""

import numpy as np
from autograd import value_and_grad
from autograd.tracer import getval
from threadpoolctl import ThreadpoolController

from ..io.progress import History


class Descent:
    r"""How far a descent is: `state`, a dict of arrays and numbers that a file can hold, and `history`.

    Used in a `with`: Ctrl-C ends the block, `interrupted` says so, and what has been reached stays.

    Parameters
    ----------
    bar : the progress line, moved once an iteration
    state : dict, where to begin
    file : resume.State, from which the descent goes on if there is something in it, and to which `save` writes
    """

    def __init__(self, bar, state, file=None):
        self.history, self.file, self.interrupted = History(bar), file, False
        self.state = file.load(self.history, state) if file else state

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        self.interrupted = error is KeyboardInterrupt
        return self.interrupted

    @property
    def steps(self):
        r"""Iterations made."""
        return len(self.history.rows)

    def save(self):
        r"""Write the state: a descent that is cut short goes on from there, bit for bit."""
        if self.file:
            self.file.save(self.history, **self.state)


def differentiate(terms):
    r"""The function that returns, of some unknowns, the sum of the terms, each term (floats), and the gradients."""
    each = {}

    def total(unknowns):
        parts = terms(*unknowns)
        each.update({name: float(getval(part)) for name, part in parts.items()})
        return sum(parts.values())

    value_and_gradients = value_and_grad(total)

    def evaluate(*unknowns):
        value, gradients = value_and_gradients(unknowns)
        return value, dict(each), gradients

    return evaluate


def pack(unknowns):
    r"""Arrays in one vector of float64, the inverse of `unpack`."""
    return np.concatenate([np.ravel(each) for each in unknowns], dtype=float)


def unpack(point, like):
    r"""The arrays in a vector, in shape and type those of `like`."""
    parts = np.split(point, np.cumsum([each.size for each in like])[:-1])
    return [part.reshape(each.shape).astype(each.dtype) for part, each in zip(parts, like, strict=True)]


def lbfgs(terms, like, descent, iterations, threads=None, **options):
    r"""One search of SciPy's L-BFGS from `descent.state["point"]`, which it moves, for at most so many iterations.

    It only goes down, so the latest point is the best.

    Parameters
    ----------
    terms : function of the unknowns, a dict of the terms of the loss
    like : arrays of the shapes and types of the unknowns
    descent : Descent
    threads : of BLAS within the loss; None: all
    options : SciPy's, for L-BFGS-B
    """
    from scipy.optimize import minimize  # imported here: `import minirecon` need not wait for SciPy

    differentiated = differentiate(terms)
    # SciPy's L-BFGS works on short vectors with a BLAS of its own. Its threads gain nothing there, and while
    # they wait they take the cores from NumPy's: one thread outside the loss is three times as fast.
    blas = ThreadpoolController()
    threads = threads or max((library["num_threads"] for library in blas.info()), default=1)
    latest = {}

    def evaluate(point):
        with blas.limit(limits=threads):
            value, each, gradients = differentiated(*unpack(point, like))
        latest.update(each)
        return float(value), pack(gradients)  # L-BFGS works in float64

    def callback(point):
        descent.state["point"] = np.array(point)
        descent.history.add(latest)

    options = {"maxiter": iterations, "ftol": 0, "gtol": 0, "maxls": 40, **options}
    with blas.limit(limits=1):
        minimize(evaluate, descent.state["point"], (), "L-BFGS-B", True, callback=callback, options=options)
