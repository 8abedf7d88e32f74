r"""The authors' step, written anew in PyTorch from the paper; the tests and the benchmark compare with it.

    loss = ‖θ − (1/m) Σ lᵢ yᵢ ∇Φ(xᵢ)‖² + 5 Σ max(λ_min − lᵢ, 0)² + Σ max(|x| − 1, 0)²

with ∇Φ by automatic differentiation through a ReLU whose derivative is σ(αz), and again through that.
"""

import torch


class ModifiedReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, alpha):
        ctx.save_for_backward(z)
        ctx.alpha = alpha
        return torch.relu(z)

    @staticmethod
    def backward(ctx, upstream):
        (z,) = ctx.saved_tensors
        return upstream * torch.sigmoid(ctx.alpha * z), None


def tensors(params):
    return [
        (torch.tensor(weight, requires_grad=True), None if bias is None else torch.tensor(bias, requires_grad=True))
        for weight, bias in params
    ]


def authors_loss(theta, x, lam, y, alpha, lam_min):
    a = x
    for number, (weight, bias) in enumerate(theta):
        z = torch.nn.functional.linear(a, weight, bias)
        a = ModifiedReLU.apply(z, alpha) if number < len(theta) - 1 else z
    flat = [p for layer in theta for p in layer if p is not None]
    gradient = torch.autograd.grad((lam * y * a[:, 0]).mean(), flat, create_graph=True)
    stationary = sum((p.detach() - g).pow(2).sum() for p, g in zip(flat, gradient, strict=True))
    lambda_part = 5 * torch.relu(lam_min - lam).pow(2).sum()
    prior = torch.relu(x - 1).pow(2).sum() + torch.relu(-1 - x).pow(2).sum()
    return stationary + lambda_part + prior
