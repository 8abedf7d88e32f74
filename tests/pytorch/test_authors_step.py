r"""The losses and the SGD of `minirecon` against the authors' step (authors.py)."""

import numpy as np
import pytest
import torch
from authors import authors_loss, tensors
from autograd import value_and_grad

from minirecon import Layer, losses, mlp, reconstruct


def problem(hidden, hidden_biases, seed=0, m=12, d=20):
    rng = np.random.default_rng(seed)
    params = mlp.initialise(rng, d, hidden, first_scale=0.3, hidden_biases=hidden_biases, dtype=np.float64)
    y = np.where(np.arange(m) < m // 2, -1.0, 1.0)
    return params, 1.2 * rng.normal(size=(m, d)), rng.uniform(0, 1, m), y


@pytest.mark.parametrize("hidden", [(30,), (100, 50), (20, 20, 20, 20)])
@pytest.mark.parametrize("hidden_biases", [False, True])
@pytest.mark.parametrize("alpha", [1.0, 19.21, 149.87])
def test_one_evaluation_equals_the_authors(hidden, hidden_biases, alpha):
    r"""Loss and both gradients to 1e-10, float64; λ_min and the range are exceeded by some."""
    params, x, lam, y = problem(hidden, hidden_biases)
    ours, (ours_x, ours_lam) = value_and_grad(lambda unknowns: losses.total_loss(params, *unknowns, y, alpha, 0.4471))(
        (x, lam)
    )
    x_t, lam_t = torch.tensor(x, requires_grad=True), torch.tensor(lam, requires_grad=True)
    theirs = authors_loss(tensors(params), x_t, lam_t, torch.tensor(y), alpha, 0.4471)
    theirs.backward()
    assert losses.weighted_terms(params, x, lam, y, alpha, 0.4471)["lambda"] > 0
    assert losses.range_loss(x) > 0
    assert ours == pytest.approx(theirs.item(), rel=1e-10)
    for mine, other in ((ours_x, x_t.grad.numpy()), (ours_lam, lam_t.grad.numpy())):
        assert np.linalg.norm(mine - other) <= 1e-10 * np.linalg.norm(other)


def test_the_attack_walks_the_authors_path():
    r"""Fifty steps of torch.optim.SGD from the same start."""
    params, *_ = problem((40, 40), False)
    m, options = 10, {"alpha": 19.21, "lam_min": 0.4153, "start_scale": 0.03, "lr_x": 0.02, "lr_lam": 1e-3}
    rec = reconstruct(params, m, seed=4, optimizer="sgd", dtype="float64", iterations=50, **options)
    lam = np.random.default_rng(4)
    lam.standard_normal(rec.x.shape)  # the start, drawn first
    x_t = torch.tensor(rec.start, requires_grad=True)
    lam_t = torch.tensor(lam.uniform(0, 1, m), requires_grad=True)
    theta, y_t = tensors(tuple(Layer(*layer) for layer in params)), torch.tensor(rec.y)
    optimizer = torch.optim.SGD(
        [{"params": [x_t], "lr": options["lr_x"]}, {"params": [lam_t], "lr": options["lr_lam"]}], lr=0.0, momentum=0.9
    )
    for step in range(50):
        optimizer.zero_grad()
        loss = authors_loss(theta, x_t, lam_t, y_t, options["alpha"], options["lam_min"])
        assert sum(terms[step] for terms in rec.history.values()) == pytest.approx(loss.item(), rel=1e-10)
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(rec.x, x_t.detach().numpy(), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(rec.lam, lam_t.detach().numpy(), rtol=1e-8)
    assert not np.allclose(rec.x, rec.start)
