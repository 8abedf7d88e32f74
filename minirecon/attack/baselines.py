r"""What the attack has to beat (paper, section 5): model inversion, and the rows of the first layer as they are.

Neither knows of the KKT conditions. Model inversion asks for inputs on which the network is most certain, which need
look like no sample; a row of W¹ is a sum of all samples that once turned its unit on. Both see the weights alone.
"""

import autograd.numpy as np
import numpy as onp  # the plain one, where nothing is differentiated

from .. import losses, mlp
from ..io import minimise
from ..io.progress import progress_line
from ..mlp import cast, check
from .candidates import Reconstruction

CONTRAST = 0.25  # standard deviation of an image less the mean image, about


def inversion_loss(params, x, y):
    r"""−(mean of Φ(x) over y = +1 − mean of Φ(x) over y = −1) + range loss, the loss of model inversion; a scalar.

    Parameters
    ----------
    params : tuple of Layer with one output;  x : (m, d), candidates;  y : (m,), labels, −1 and +1

    Source: Fredrikson, Jha and Ristenpart 2015 for the idea; the authors' code, where it is called naive, for the form.
    """
    certainty, _ = mlp.margin(mlp.forward(params, x).phi, y)  # (m,)
    return losses.range_loss(x) - np.sum(certainty / onp.where(y > 0, onp.sum(y > 0), onp.sum(y < 0)))


def invert(params, m, *, seed=0, iterations=300, start_scale=0.1, progress=False):
    r"""Model inversion: m candidates, half of each label, that minimise `inversion_loss`, by SciPy's L-BFGS.

    Parameters
    ----------
    params : tuple of Layer with one output
    m : int, number of candidates
    seed : int or numpy.random.Generator
    iterations : int
    start_scale : x starts at start_scale · N(0, 1)
    progress : show a progress line on standard error

    Returns
    -------
    Reconstruction, λ = 1, for this method has none. Ctrl-C returns the latest candidates.

    Raises
    ------
    CheckpointError : weights that are no network with one output
    ValueError : m below 2
    """
    if m < 2:
        raise ValueError(f"m = {m}: expected at least 2 candidates, one of each label")
    params = cast(check(params, outputs=1), float)
    rng = onp.random.default_rng(seed)
    start = start_scale * rng.standard_normal((m, params[0].weight.shape[1]))
    y = onp.where(onp.arange(m) < m // 2, -1.0, 1.0)
    evaluate = minimise.differentiate(lambda x: {"loss": inversion_loss(params, x, y)})
    begin, options = {"point": minimise.pack([start])}, {"maxfun": 20 * iterations, "gtol": 1e-9, "maxls": 20}
    with progress_line(iterations, "inversion", progress) as bar, minimise.Descent(bar, begin) as descent:
        minimise.lbfgs(evaluate, [start], descent, iterations, **options)
    (x,) = minimise.unpack(descent.state["point"], [start])
    return Reconstruction(x, onp.ones(m), y, start, interrupted=descent.interrupted)


def first_layer(params):
    r"""The rows of W¹ (out, d) as candidates: a Reconstruction with the sign of Φ at each as its label, and λ = 1.

    Each is scaled to a standard deviation of 0.25, that of images less the mean image, for the size of a weight says
    nothing of a sample's.

    Source: arXiv 2206.07758, section 5 and appendix, the first-layer weights beside the reconstructions.
    """
    rows = params[0].weight.astype(float)
    spread = rows.std(axis=1, keepdims=True)
    x = onp.divide(CONTRAST * rows, spread, out=onp.zeros_like(rows), where=spread > 0)
    y = onp.where(mlp.forward(cast(params, float), x).phi[:, 0] > 0, 1.0, -1.0)
    return Reconstruction(x, onp.ones(len(x)), y)
