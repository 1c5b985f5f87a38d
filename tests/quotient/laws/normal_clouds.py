"""Exact denoisers of normal clouds."""

import math

import torch
from torch import Tensor

from pyro_symvi.quotient import Context, Diffusion, GaussianPrior

DIFFUSION = Diffusion(prior=GaussianPrior(1.3))


class NormalDenoiser(torch.nn.Module):
    """E[x_1 | x_t] for data N(0, scale^2) on centred clouds: beta s^2 / (C + beta^2 s^2) x_t."""

    def __init__(self, scale: float, diffusion: Diffusion = DIFFUSION) -> None:
        super().__init__()
        self.log_scale = torch.nn.Parameter(torch.tensor(scale, dtype=torch.float64).log())
        self.diffusion = diffusion

    def forward(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        path, variance = self.diffusion.interpolant, (2 * self.log_scale).exp()
        time = self.diffusion.column(t, x)
        noise = path.variance(time, x.new_tensor(self.diffusion.prior.scale**2))
        beta = path.beta(time)
        return beta * variance / (noise + beta**2 * variance) * x


def fixed(scale: float, diffusion: Diffusion = DIFFUSION) -> NormalDenoiser:
    """One that asks for no gradients."""
    return NormalDenoiser(scale, diffusion).requires_grad_(False)


def normal_log_density(x: Tensor, scale: Tensor | float) -> Tensor:
    """On the (N - 1) d dimensional centred subspace."""
    dimension = (x.shape[-2] - 1) * x.shape[-1]
    variance = torch.as_tensor(scale, dtype=x.dtype) ** 2
    return -x.square().sum((-2, -1)) / (2 * variance) - dimension / 2 * torch.log(2 * math.pi * variance)


def clouds(*batch: int, points: int = 4, d: int = 3, seed: int = 0) -> Tensor:
    x = torch.randn(*batch, points, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x - x.mean(-2, keepdim=True)
