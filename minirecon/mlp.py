r"""The network of the paper (section 3): a ReLU multilayer perceptron and its backpropagation.

    a⁰ = x,   zˡ = Wˡ aˡ⁻¹ + bˡ,   aˡ = max(zˡ, 0),   Φ(θ; x) = Wᴸ aᴸ⁻¹

With a bias in the first layer only, Φ is homogeneous of degree L in θ = (W¹, b¹, W², …, Wᴸ):
Φ(cθ; x) = cᴸ Φ(θ; x) for c > 0. That is what Theorem 3.1 needs.

Everything is written with `autograd.numpy`, so that the losses built on it can be differentiated with
respect to the pixels x: the gradient of a gradient.
"""

from itertools import pairwise
from typing import NamedTuple

import autograd.numpy as np
import numpy as onp  # the plain one, inside the primitives
from autograd.extend import defvjp, primitive
from autograd.tracer import getval


class Layer(NamedTuple):
    r"""One linear layer, z = W a + b: `weight` (out, in) and `bias` (out,), or None for no bias."""

    weight: onp.ndarray
    bias: onp.ndarray | None = None


class CheckpointError(ValueError):
    r"""Weights, or a file of them, that can't be used; the message names it and the reason."""


def initialise(rng, d, hidden=(1000, 1000), *, outputs=1, first_scale=1e-4, hidden_biases=False, dtype=np.float32):
    r"""Draw the paper's initial weights for a network d – hidden – outputs.

    Layer 1, weight and bias: `first_scale` · N(0, 1). The others: U(−1/√fan_in, 1/√fan_in), PyTorch's
    default. The small first layer is what makes the attack work: the rows of W¹ end up almost in the
    span of the training data.

    Parameters
    ----------
    rng : numpy.random.Generator
    d : int, number of inputs
    hidden : sequence of int, widths of the hidden layers
    outputs : int, 1 for two classes, K for K of them
    first_scale : float, standard deviation in layer 1
    hidden_biases : bool. False: a bias in layer 1 only (homogeneous). True: in all hidden layers.
    dtype : numpy float type of the weights

    Returns
    -------
    tuple of Layer, the parameters θ

    Raises
    ------
    ValueError : a width below 1, no hidden layer, or a scale that is not positive

    Source: arXiv 2206.07758, section 5 and appendix; the authors' CreateModel.py.
    """
    widths = [d, *hidden, outputs]
    if len(widths) < 3 or min(widths) < 1:
        there = f"hidden = {tuple(hidden)} with {d} inputs and {outputs} outputs"
        raise ValueError(f"{there}: expected one or more widths of at least 1")
    if not first_scale > 0:
        raise ValueError(f"first_scale = {first_scale}: expected a positive number")
    params = []
    for number, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
        has_bias = number == 1 or (hidden_biases and number < len(widths) - 1)
        if number == 1:
            weight = first_scale * rng.standard_normal((fan_out, fan_in))
            bias = first_scale * rng.standard_normal(fan_out)
        else:
            weight = rng.uniform(-1, 1, (fan_out, fan_in)) / fan_in**0.5
            bias = rng.uniform(-1, 1, fan_out) / fan_in**0.5 if has_bias else None
        params.append(Layer(weight.astype(dtype), bias.astype(dtype) if has_bias else None))
    return tuple(params)


def homogeneity_degree(params):
    r"""Return L if Φ(cθ; x) = cᴸ Φ(θ; x) for all c > 0, else None.

    A bias in layer l is multiplied by cᴸ⁻ˡ⁺¹ on its way to the output, the weights by cᴸ; only in layer
    l = 1 are the two powers the same.
    """
    return len(params) if all(layer.bias is None for layer in params[1:]) else None


def square_norm(layers):
    r"""‖θ‖² of some layers, weights and biases together: a float."""
    return sum(float(np.vdot(p, p)) for layer in layers for p in layer if p is not None)


def each(function, *params):
    r"""`function` of the arrays that stand at one place in several params of one form; a bias None stays None."""
    return tuple(
        Layer(*(None if place[0] is None else function(*place) for place in zip(*layers, strict=True)))
        for layers in zip(*params, strict=True)
    )


def subtract(params, others):
    r"""θ − θ′, in the form of `params`."""
    return each(lambda p, q: p - q, params, others)


def gate(z, alpha=None):
    r"""Derivative of the (modified) ReLU: 1[z > 0] for `alpha` None, else σ(αz).

    Of z's shape and type: float32 stays float32.

    σ(αz) is itself differentiated: ∇_θ Φ contains the gates, and the derivative of the step 1[z > 0] is
    zero almost everywhere, so that x would never learn which units should be on.

    Source: arXiv 2206.07758, appendix, "modified ReLU".
    """
    return (z > 0).astype(z.dtype) if alpha is None else sigmoid(z, alpha)


@primitive
def sigmoid(z, alpha):
    r"""σ(αz) = 1 / (1 + e⁻ᵅᶻ), as ½ (1 + tanh ½αz), so that nothing overflows."""
    s = z * (0.5 * alpha)
    onp.tanh(s, out=s)
    s += 1
    s *= 0.5
    return s


def _sigmoid_vjp(s, z, alpha):  # σ' = α σ (1 − σ)
    return lambda g: onp.multiply(slope := s - s * s, alpha * g, out=slope)


defvjp(sigmoid, _sigmoid_vjp, argnums=(0,))


@primitive
def relu(z, s):
    r"""max(z, 0), with s = `gate(z, alpha)` as its derivative with respect to z."""
    return onp.maximum(z, 0)


defvjp(relu, lambda ans, z, s: lambda g: g * s, None)  # None: no derivative with respect to s


class Pass(NamedTuple):
    r"""What a forward pass of n samples leaves for the backward pass.

    phi : (n, K), the outputs Φ(θ; xᵢ), the z of the last layer; K = 1 in the paper
    inputs : list over layers of (n, in), the input aˡ⁻¹ of layer l
    z : list over layers of (n, out), zˡ
    gates : list over hidden layers of (n, out), the derivative of aˡ with respect to zˡ
    """

    phi: onp.ndarray
    inputs: list
    z: list
    gates: list


def forward(params, x, alpha=None):
    r"""Forward pass: a `Pass`.

    Parameters
    ----------
    params : tuple of Layer
    x : (n, d), samples
    alpha : sharpness of the modified ReLU's gates, None for the plain ReLU; the values Φ are the same
    """
    a, inputs, z, gates = x, [], [], []
    for number, (weight, bias) in enumerate(params, start=1):
        inputs.append(a)
        product = np.dot(a, weight.T)  # (n, in) x (in, out) -> (n, out)
        z.append(product if bias is None else product + bias)
        if number < len(params):
            gates.append(gate(z[-1], alpha))
            a = relu(z[-1], gates[-1])
    return Pass(z[-1], inputs, z, gates)


def backward(params, gates, coeff):
    r"""Backward pass: the signals dˡ of Σᵢ ⟨cᵢ, Φ(θ; xᵢ)⟩, a list over layers of (n, out).

    The gradient of a weight matrix is an outer product, one term a sample:

        ∂⟨cᵢ, Φ(xᵢ)⟩/∂Wˡ = dᵢˡ (aᵢˡ⁻¹)ᵀ,    ∂⟨cᵢ, Φ(xᵢ)⟩/∂bˡ = dᵢˡ
        dᵢᴸ = cᵢ,    dᵢˡ = (Wˡ⁺¹)ᵀ dᵢˡ⁺¹ ∘ gateᵢˡ

    `gates` come from `forward`; `coeff` (n, K) are the c, one for each output: λᵢyᵢ/m in the parameter loss.
    """
    d = coeff  # (n, K), the signal of the last layer
    signals = [d]
    for layer, s in zip(params[:0:-1], gates[::-1], strict=True):
        d = np.dot(d, layer.weight) * s  # (n, out) x (out, in) -> (n, in)
        signals.append(d)
    return signals[::-1]


def weighted_gradient(params, net, coeff):
    r"""Σᵢ ∇_θ ⟨cᵢ, Φ(θ; xᵢ)⟩, layer by layer in the form of `params`; `net` from `forward`, `coeff` (n, K)."""
    signals = backward(params, net.gates, coeff)
    return tuple(
        Layer(np.dot(d.T, a), None if layer.bias is None else np.sum(d, axis=0))  # (out, n) x (n, in)
        for layer, a, d in zip(params, net.inputs, signals, strict=True)
    )


# The scalar of a sample whose gradients explain the weights, θ − θ₀ = Σᵢ cᵢ ∇_θ s(Φ(θ; xᵢ), yᵢ), and its slope in Φ:
# phi (n, K), y (n,)  ->  s (n,), ∂s/∂Φ (n, K). The chain rule makes cᵢ ∂s/∂Φ the `coeff` of `weighted_gradient`.


def margin(phi, y):
    r"""yΦ, for one output and classes y = −1, +1: the paper's (section 3). For several outputs, `soft_margin`."""
    if phi.shape[1] > 1:
        return soft_margin(phi, y)
    return y * phi[:, 0], y[:, None]


def soft_margin(phi, y):
    r"""Φ_y − log Σ_{j ≠ y} exp Φⱼ, for classes y = 0 … K − 1; slope e_y − p, p the softmax of the others.

    The cross-entropy is its logistic loss, −log p_y = log(1 + e⁻ˢ), so that with it all of the paper holds for several
    classes: each rival j has its own multiplier λᵢpᵢⱼ. Derived for this project.
    """
    own = onp.eye(phi.shape[1], dtype=phi.dtype)[y]  # (n, K)
    others = np.where(own > 0, -onp.inf, phi)
    largest = onp.max(getval(others), axis=1, keepdims=True)
    e = np.exp(others - largest)
    total = np.sum(e, axis=1, keepdims=True)
    return np.sum(own * phi, axis=1) - (largest + np.log(total))[:, 0], own - e / total


def margin_of_classes(phi, y):
    r"""Φ_y − max over j ≠ y of Φⱼ, for classes y = 0 … K − 1: `soft_margin` where one rival rules.

    Source: Buzaglo et al. 2023, arXiv 2307.01827.
    """
    own = onp.eye(phi.shape[1], dtype=phi.dtype)[y]  # (n, K)
    rival = onp.argmax(onp.where(own > 0, -onp.inf, getval(phi)), axis=1)
    slope = own - onp.eye(phi.shape[1], dtype=phi.dtype)[rival]
    return np.sum(slope * phi, axis=1), slope


def output(phi, y):
    r"""Φ itself, for one output and targets that are not known: the sign is that of the coefficient."""
    return phi[:, 0], onp.ones_like(getval(phi))


def minus_logistic_loss(phi, y):
    r"""−log(1 + e⁻ˢ) of the `margin` s; slope σ(−s) ∂s/∂Φ. With weight decay the coefficient is 1/(n · decay).

    For one output that is −log(1 + exp(−yΦ)), for several log p_y of the softmax: minus the cross-entropy.
    """
    s, slope = margin(phi, y)
    return -np.logaddexp(0, -s), np.exp(-np.logaddexp(0, s))[:, None] * slope


def minus_square_loss(phi, y):
    r"""−(Φ − y)², for one output and any targets y; slope 2 (y − Φ)."""
    return -((phi[:, 0] - y) ** 2), 2 * (y[:, None] - phi)


def labels(y, outputs):
    r"""Labels (n,) as a network with so many outputs takes them: −1, +1 for one, 0 … K − 1 for K.

    Two classes are −1 and +1 in a `Dataset`, and 0 and 1 for a network with two outputs.

    Raises
    ------
    ValueError : labels that don't fit the outputs
    """
    found = onp.unique(y)
    two = onp.isin(found, (-1, 1)).all()
    if outputs == 1 and two:
        return y
    if outputs == 2 and two:
        return (y > 0).astype(int)
    if outputs == 1 or not onp.isin(found, onp.arange(outputs)).all():
        expected = "−1 and +1 for one output" if outputs == 1 else f"0 to {outputs - 1} for {outputs} outputs"
        there = ", ".join(f"{label:g}" for label in found[:3]) + ", …" * (len(found) > 3)
        raise ValueError(f"labels {there}; expected {expected}, data in as many classes")
    return onp.asarray(y, int)


def cast(params, dtype):
    r"""The same parameters in another float type."""
    return each(lambda p: p.astype(dtype), params)


def check(params, name="params", outputs=None):
    r"""Return `params` as a tuple of Layers if it is a network: float arrays, finite, shapes that chain,
    and, if that is given, so many `outputs`.

    Raises
    ------
    CheckpointError : naming `name`, the layer, and what was expected
    """
    params = tuple(Layer(*layer) for layer in params)
    if len(params) < 2:
        raise CheckpointError(f"{name}: {len(params)} layer(s); expected at least 2, one of them hidden")
    for number, (weight, bias) in enumerate(params, start=1):
        where = f"{name}: layer {number}"
        if onp.ndim(weight) != 2 or 0 in onp.shape(weight):
            raise CheckpointError(f"{where}: weight has shape {onp.shape(weight)}; expected (out, in)")
        if bias is not None and onp.shape(bias) != weight.shape[:1]:
            raise CheckpointError(f"{where}: bias has shape {onp.shape(bias)}; expected {weight.shape[:1]}")
        if number > 1 and weight.shape[1] != params[number - 2].weight.shape[0]:
            below = params[number - 2].weight.shape[0]
            raise CheckpointError(
                f"{where}: takes {weight.shape[1]} inputs; expected {below}, the outputs of layer {number - 1}"
            )
        for array in (weight, bias):
            if array is None:
                continue
            if not onp.issubdtype(array.dtype, onp.floating):
                raise CheckpointError(f"{where}: holds {array.dtype}; expected floating-point numbers")
            if not onp.isfinite(array).all():
                raise CheckpointError(f"{where}: holds NaN or infinity; expected finite numbers")
    if outputs is not None and len(params[-1].weight) != outputs:
        raise CheckpointError(f"{name}: {len(params[-1].weight)} outputs; expected {outputs}")
    return params
