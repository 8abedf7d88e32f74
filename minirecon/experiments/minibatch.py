r"""Training as people do it: PyTorch's initial weights, mini-batches, SGD, Adam or AdamW. Not the paper's.

All weights are one vector θ here. A rule takes θ, the gradient g of the loss without decay, two vectors that it keeps
from step to step (zeros at first) and the number of the step, from 1; it returns θ and the two vectors.
"""

from itertools import pairwise

import numpy as np

from .. import mlp

BATCH = 32
MOMENTUM, BETA1, BETA2, TINY = 0.9, 0.9, 0.999, 1e-8  # μ of SGD; Adam's three, PyTorch's defaults


def sgd(theta, g, kept, step, lr, decay):
    r"""v ← μv + g + decay θ,  θ ← θ − lr v.

    Source: torch.optim.SGD(momentum=0.9, weight_decay=decay). The decay is the gradient of ½ decay ‖θ‖².
    """
    velocity = MOMENTUM * kept[0] + g + decay * theta
    return theta - lr * velocity, (velocity, kept[1])


def adam(theta, g, kept, step, lr, decay):
    r"""With h = g + decay θ:  m ← β₁m + (1 − β₁)h,  v ← β₂v + (1 − β₂)h²,  θ ← θ − lr m̂ / (√v̂ + ε),

    m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ), all entry by entry.

    Source: Kingma and Ba 2015, arXiv 1412.6980, algorithm 1; with the decay in the gradient, torch.optim.Adam.
    """
    h = g + decay * theta
    m = BETA1 * kept[0] + (1 - BETA1) * h
    v = BETA2 * kept[1] + (1 - BETA2) * h**2
    root = np.sqrt(v / (1 - BETA2**step)) + TINY
    return theta - lr / (1 - BETA1**step) * m / root, (m, v)


def adamw(theta, g, kept, step, lr, decay):
    r"""θ ← (1 − lr decay) θ, and then a step of Adam without decay: the decay is not in m and v.

    Source: Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2; torch.optim.AdamW, with lr at decay.
    """
    return adam((1 - lr * decay) * theta, g, kept, step, lr, 0.0)


RULES = {"sgd": sgd, "adam": adam, "adamw": adamw}


def usual(rng, d, hidden, first_scale=None, dtype=np.float32):
    r"""Initial weights of torch.nn.Linear: U(−1/√fan_in, 1/√fan_in), biases in all layers; params with one output.

    first_scale : layer 1, weight and bias, is first_scale · N(0, 1) instead, as in `mlp.initialise`
    """
    params = []
    for fan_in, fan_out in pairwise([d, *hidden, 1]):
        layer = [rng.uniform(-1, 1, shape) / fan_in**0.5 for shape in ((fan_out, fan_in), fan_out)]
        if first_scale is not None and not params:
            layer = [first_scale * rng.standard_normal(each.shape) for each in layer]
        params.append(mlp.Layer(*layer))
    return mlp.cast(params, dtype)


def epochs(params, x, y, rng, rule, lr, decay=0.0, batch=BATCH):
    r"""Minimise the logistic loss over batches in a new order each epoch: after each, params and what the rule keeps.

    params : tuple of Layer with biases in all layers;  x (n, d);  y (n,), −1 and +1;  rule : of `RULES`
    Without end. The last batch of an epoch is what is left, and counts like the others, as in PyTorch's DataLoader.
    """
    theta, step = flat(params), 0
    kept = np.zeros_like(theta), np.zeros_like(theta)
    while True:
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch):
            taken, step = order[start : start + batch], step + 1
            net = mlp.forward(params, x[taken])
            _, slope = mlp.minus_logistic_loss(net.phi, y[taken])
            g = -flat(mlp.weighted_gradient(params, net, slope / net.phi.dtype.type(len(taken))))
            theta, kept = RULES[rule](theta, g, kept, step, lr, decay)
            params = like(params, theta)
        yield params, kept


def flat(params):
    r"""All weights and biases one after the other: (parameters,)."""
    return np.concatenate([p.ravel() for layer in params for p in layer])


def like(params, theta):
    r"""The entries of the vector theta in the form of `params`."""
    ends = np.cumsum([p.size for layer in params for p in layer])
    parts = iter(np.split(theta, ends[:-1]))
    return tuple(mlp.Layer(*(next(parts).reshape(p.shape) for p in layer)) for layer in params)
