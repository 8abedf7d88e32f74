r"""Training in mini-batches against PyTorch's: twenty steps of each optimiser, and the initial weights."""

import numpy as np
import pytest
import torch

from minirecon.experiments import minibatch

OPTIMISERS = {
    "sgd": lambda theta, **options: torch.optim.SGD(theta, momentum=0.9, **options),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def module(params):
    r"""A torch.nn.Sequential in float64 with these weights."""
    layers = []
    for weight, bias in params:
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(weight))
            linear.bias.copy_(torch.tensor(bias))
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("rule", minibatch.RULES)
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_twenty_steps_are_those_of_pytorch(rule, decay):
    rng = np.random.default_rng(0)
    params = minibatch.usual(rng, 10, (20, 15), dtype=float)
    x, y = rng.normal(size=(13, 10)), np.where(rng.normal(size=13) > 0, 1.0, -1.0)
    training = minibatch.epochs(params, x, y, np.random.default_rng(1), rule, 0.02, decay, batch=4)
    net, order = module(params), np.random.default_rng(1)
    optimiser = OPTIMISERS[rule](net.parameters(), lr=0.02, weight_decay=decay)
    for _ in range(5):  # epochs, of four steps each, the last of one sample
        ours, _ = next(training)
        for taken in np.split(order.permutation(13), [4, 8, 12]):
            optimiser.zero_grad()
            margin = torch.tensor(y[taken]) * net(torch.tensor(x[taken]))[:, 0]
            torch.nn.functional.softplus(-margin).mean().backward()
            optimiser.step()
        theirs = np.concatenate([p.detach().numpy().ravel() for p in net.parameters()])
        np.testing.assert_allclose(minibatch.flat(ours), theirs, rtol=1e-9, atol=1e-12)
    assert np.linalg.norm(theirs - minibatch.flat(params)) > 0.01


def test_initial_weights_are_spread_as_those_of_a_linear_layer():
    params = minibatch.usual(np.random.default_rng(0), 784, (500, 500))
    for layer in params[:2]:
        theirs = torch.nn.Linear(*layer.weight.shape[::-1])
        for ours, other in zip(layer, (theirs.weight, theirs.bias), strict=True):
            assert ours.std() == pytest.approx(other.std().item(), rel=0.1)
            assert np.abs(ours).max() == pytest.approx(other.abs().max().item(), rel=0.02)
