r"""The frame of every descent: its history, Ctrl-C, saving, threads, and SciPy's L-BFGS. No part of the paper.

What is minimised is a function of the unknowns, arrays, that returns the terms of a loss as a dict.
"""

import numpy as np
from autograd import value_and_grad
from autograd.tracer import getval
from threadpoolctl import ThreadpoolController

from ..mlp import each
from .progress import History


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
    latest = {}

    def total(unknowns):
        parts = terms(*unknowns)
        latest.update({name: float(getval(part)) for name, part in parts.items()})
        return sum(parts.values())

    value_and_gradients = value_and_grad(total)

    def evaluate(*unknowns):
        value, gradients = value_and_gradients(unknowns)
        return value, dict(latest), gradients

    return evaluate


def pack(unknowns):
    r"""Arrays in one vector of float64, the inverse of `unpack`."""
    return np.concatenate([np.ravel(each) for each in unknowns], dtype=float)


def unpack(point, like):
    r"""The arrays in a vector, in shape and type those of `like`."""
    parts = np.split(point, np.cumsum([each.size for each in like])[:-1])
    return [part.reshape(each.shape).astype(each.dtype) for part, each in zip(parts, like, strict=True)]


def lbfgs(evaluate, like, descent, iterations, threads=None, moved=None, **options):
    r"""One search of SciPy's L-BFGS from `descent.state["point"]`, which it moves, for at most so many iterations.

    It only goes down, so the latest point is the best.

    Parameters
    ----------
    evaluate : function of the unknowns that returns the loss, a dict of its terms and the gradients: `differentiate`
    like : arrays of the shapes and types of the unknowns
    descent : Descent
    threads : of BLAS within the loss; None: all
    moved : function that is called with the unknowns after each iteration; None: nothing is
    options : SciPy's, for L-BFGS-B
    """
    from scipy.optimize import minimize  # imported here: `import minirecon` need not wait for SciPy

    # SciPy's L-BFGS works on short vectors with a BLAS of its own. Its threads gain nothing there, and while
    # they wait they take the cores from NumPy's: one thread outside the loss is three times as fast.
    blas = ThreadpoolController()
    threads = threads or max((library["num_threads"] for library in blas.info()), default=1)
    latest = {}

    def at(point):
        with blas.limit(limits=threads):
            value, terms, gradients = evaluate(*unpack(point, like))
        latest.update(terms)
        return float(value), pack(gradients)  # L-BFGS works in float64

    def callback(point):
        descent.state["point"] = np.array(point)
        descent.history.add(latest)
        if moved:
            moved(*unpack(point, like))

    options = {"maxiter": iterations, "ftol": 0, "gtol": 0, "maxls": 40, **options}
    with blas.limit(limits=1):
        minimize(at, descent.state["point"], (), "L-BFGS-B", True, callback=callback, options=options)


def over_weights(evaluate, params, bar, steps, moved):
    r"""L-BFGS over the weights of a network, from `params`: whether Ctrl-C ended it.

    Parameters
    ----------
    evaluate : function of params that returns a loss and its gradient, in the form of params
    bar : the progress line;  steps : int, at most so many
    moved : function that is called with the params after each step
    """

    def layers(arrays):
        places = iter(arrays)
        return each(lambda _: next(places), params)

    def arrays(params):
        return [p for layer in params for p in layer if p is not None]

    def at(*point):
        loss, gradient = evaluate(layers(point))
        return loss, {"loss": float(loss)}, arrays(gradient)

    like, before = arrays(params), -1
    with Descent(bar, {"point": pack(like)}) as descent:
        while before < descent.steps < steps:  # a search that a kink has ended begins anew
            before = descent.steps
            lbfgs(at, like, descent, steps - before, None, lambda *point: moved(layers(point)), maxfun=20 * steps)
    return descent.interrupted
