r"""Tests that the handout lacks and `course grade` has: the handout's own with other arguments, and what no test of
the handout tries: several outputs, and other scalars and targets than the paper's.

A name such as test_1_2_… says the task. Parameters are passed by name, as a variant may change their order.
"""

import inspect

import numpy as np
import pytest
import test_tasks
from strategies import flatten, slow_gradient, slow_parameter_loss, unflatten
from test_tasks import agree, cases, each, jacobian

from minirecon import Layer, kkt, losses, mlp
from minirecon.attack import sgd

SEED = 2206


@pytest.mark.parametrize("name", [name for name in vars(test_tasks) if name.startswith("test_")])
def test_again(name):
    r"""The handout's test, with arguments that nobody has seen, and larger ones."""
    test = getattr(test_tasks, name)
    test(**{"seed": SEED, "number": 20, "most": 7} if inspect.signature(test).parameters else {})


def several(draw):
    r"""A problem with three outputs: params, x, coeff (m, 3), and for each output the network that has it alone."""
    _, params, x, _, _ = draw.problem()
    *hidden, last = params
    weight = draw.not_zero(3, last.weight.shape[1])
    alone = [(*hidden, Layer(row[None], None)) for row in weight]
    return (*hidden, Layer(weight, None)), x, draw.not_zero(len(x), 3), alone


def slow_weighted_gradient(params, x, coeff):
    r"""Sample by sample: Σₖ cₖΦₖ is one output, whose last weights are Σₖ cₖ times their rows."""
    total, (*hidden, last) = 0, params
    for xi, c in zip(x, coeff, strict=True):
        one = unflatten(
            slow_gradient((*hidden, Layer((c @ last.weight)[None], None)), xi), (*hidden, Layer(last.weight[:1]))
        )
        outer = np.array([[ck * a for a in one[-1].weight[0]] for ck in c])
        total = total + flatten((*one[:-1], Layer(outer)))
    return unflatten(total, params)


@cases
def test_1_2_several_outputs(draw):
    params, x, _, alone = several(draw)
    passes = [mlp.Pass(*each(one, x)) for one in alone]
    phi = np.column_stack([one.phi for one in passes])
    expected = {"phi": phi, "inputs": passes[0].inputs, "z": [*passes[0].z[:-1], phi], "gates": passes[0].gates}

    def forward(params, x):
        return mlp.forward(params, x)._asdict()

    agree(forward, params, x, expected=expected)


@cases
def test_1_3_several_outputs(draw):
    r"""By way of the biases: the gradient by them is the sum of the signals."""
    params, x, coeff, alone = several(draw)
    hidden = [Layer(w, np.zeros(len(w)) if b is None else b) for w, b in params[:-1]]
    params, gates = (*hidden, params[-1]), mlp.Pass(*each(alone[0], x)).gates

    def sums_of_signals(params, gates, coeff):
        return [d.sum(axis=0) for d in mlp.backward(params=params, gates=gates, coeff=coeff)]

    gates = mlp.Pass(*each((*hidden, Layer(params[-1].weight[:1])), x)).gates
    found = slow_weighted_gradient(params, x, coeff)
    agree(sums_of_signals, params, gates, coeff, expected=[*(layer.bias for layer in found[:-1]), coeff.sum(axis=0)])


@cases
def test_1_4_several_outputs(draw):
    params, x, coeff, alone = several(draw)
    net = mlp.Pass(*each(alone[0], x))

    def weighted_gradient(params, net, coeff):
        return mlp.weighted_gradient(params=params, net=net, coeff=coeff)

    agree(weighted_gradient, params, net, coeff, expected=slow_weighted_gradient(params, x, coeff))


def doubled(phi, y):
    r"""A scalar other than yΦ: 2yΦ."""
    return 2 * y * phi[:, 0], 2 * y[:, None]


@cases
def test_2_1_another_scalar(draw):
    _, params, x, _, y = draw.problem()

    def margins(params, x, y, scalar):
        return kkt.margins(params=params, x=x, y=y, scalar=scalar)

    agree(margins, params, x, y, doubled, expected=2 * y * mlp.Pass(*each(params, x)).phi[:, 0])


@cases
def test_2_3_another_scalar(draw):
    _, params, x, _, y = draw.problem()

    def tangent_kernel(params, x, y, scalar):
        return kkt.tangent_kernel(params=params, x=x, y=y, scalar=scalar)

    rows = 2 * y[:, None] * jacobian(params, x)[0]
    agree(tangent_kernel, params, x, y, doubled, expected=rows @ rows.T)


@cases
def test_2_4_another_scalar(draw):
    _, params, x, _, y = draw.problem()
    rows, theta = jacobian(params, x)
    rows = 2 * y[:, None] * rows

    def dual(params, x, y, scalar):
        return kkt.dual(params=params, x=x, y=y, scalar=scalar)

    agree(dual, params, x, y, doubled, expected=(rows @ rows.T, rows @ theta))


@cases
def test_2_5_another_scalar(draw):
    r"""What is explained is the same: λ is half of what it was."""
    _, params, x, _, y = draw.problem()
    rows = y[:, None] * jacobian(params, x)[0]

    def explained_by_multipliers(params, x, y, scalar):
        return 2 * kkt.multipliers(params=params, x=x, y=y, scalar=scalar) @ rows

    expected = kkt.multipliers(params=params, x=x, y=y) @ rows
    agree(explained_by_multipliers, params, x, y, doubled, expected=expected, rtol=1e-5, atol=1e-5)


@cases
def test_3_2_another_scalar(draw):
    _, params, x, lam, y = draw.problem()

    def parameter_loss(params, x, lam, y, scalar):
        return losses.parameter_loss(params=params, x=x, lam=lam, y=y, scalar=scalar)

    agree(parameter_loss, params, x, lam, y, doubled, expected=slow_parameter_loss(params, x, 2 * lam, y))


@cases
def test_3_2_another_target(draw):
    _, params, x, lam, y = draw.problem()
    target = unflatten(draw.whole(*flatten(params).shape), params)
    misfit = flatten(target) - (lam * y) @ jacobian(params, x)[0] / len(y)

    def parameter_loss(params, x, lam, y, target):
        return losses.parameter_loss(params=params, x=x, lam=lam, y=y, target=target)

    agree(parameter_loss, params, x, lam, y, target, expected=misfit @ misfit)


@cases
def test_3_3_another_scalar_and_target(draw):
    _, params, x, lam, y = draw.problem()
    target = unflatten(draw.not_zero(*flatten(params).shape), params)
    misfit = flatten(target) - 2 * (lam * y) @ jacobian(params, x)[0] / len(y)
    parts = [float(np.sum(flatten([layer]) ** 2)) for layer in unflatten(misfit, params)]
    size = float(np.sum(flatten(target) ** 2))

    def residual(params, x, lam, y, scalar, target):
        return losses.residual(params=params, x=x, lam=lam, y=y, scalar=scalar, target=target)

    expected = {"total": sum(parts), "relative": sum(parts) / size, "per_layer": parts, "zero_lambda": size}
    agree(residual, params, x, lam, y, doubled, target, expected=expected, atol=1e-9)


@cases
def test_3_6_another_scalar(draw):
    r"""Of the second output, which is then all that counts."""
    phi = draw.not_zero(draw.count(), 2)
    y = draw.rng.choice([-1.0, 1.0], len(phi))

    def margin_loss(phi, y, scalar):
        return losses.margin_loss(phi, y, scalar)

    def second(phi, y):
        return y * phi[:, 1], None

    agree(margin_loss, phi, y, second, expected=losses.margin_loss(phi[:, 1:], y))


@cases
def test_4_1_three_unknowns(draw):
    r"""Without momentum all rules are one: u ← u − lr ∇."""
    unknowns, rates = [draw.not_zero(2), draw.not_zero(3, 1), draw.not_zero(1)], [0.5, 0.25, 0.125]

    def steps_of_sgd(unknowns, rates, count):
        steps = sgd.sgd(
            gradient=lambda *u: [2 * each for each in u],
            unknowns=unknowns,
            velocities=[np.zeros_like(u) for u in unknowns],
            rates=rates,
            momentum=0.0,
        )
        return [list(next(steps)[0]) for _ in range(count)]

    expected = [[(1 - 2 * r) ** k * u for u, r in zip(unknowns, rates, strict=True)] for k in (1, 2, 3)]
    agree(steps_of_sgd, unknowns, rates, 3, expected=expected)
