"""The mean of data over one orbit given x_t, in closed form."""

from __future__ import annotations

from torch import Tensor

from ...special import bessel_ratio
from .._context import Context
from .._process import Diffusion
from ._rotation_integral import rotation_integral
from ._terms import rotating_action, terms


def orbit_mean(diffusion: Diffusion, x: Tensor, x1: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
    """E[g x_1 | x_t = x] over g in the group, as if the orbit of x_1 were all the data: ``[*batch, N, d]``.

    The limit of the orbit-averaged (Rao-Blackwell) target for infinitely many rotations: z E[R]^T with E[R] the mean
    of the matrix Fisher law of F = beta x^T C^-1 z. Its mean over x_1 given x_t is E[x_1 | x_t].

    Args:
        diffusion: by rotations or rigid motions of clouds, d = 2 or 3.
        x: the noisy clouds ``[*batch, N, d]``.
        x1: the data they came from ``[*batch, N, d]``; any point of the orbit gives the same.
        t: ``[*batch]``, or one time for all.
        context: of the clouds.

    Source: Tong et al., Orbit Diffusion, arXiv 2502.09890, section 3.
    """
    rotating_action(diffusion)
    centred = diffusion.centre(x.double(), context)
    parts = terms(diffusion, centred, x1.double()[..., None, :, :], t, context)
    _, mean = rotation_integral(parts.natural)
    return (parts.shapes @ mean.mT)[..., 0, :, :].to(x.dtype)


def langevin(kappa: Tensor) -> Tensor:
    """The Langevin function coth(kappa) - 1/kappa, kappa >= 0: E[R] of a single bond in space, elementwise.

    A bond of length l, seen as a bond y in noise of variance c on each centred coordinate of an end, is denoised to
    l L(beta l |y| / (2 c)) y / |y|.

    >>> import torch
    >>> langevin(torch.tensor([0.0, 3.0, 1e6]))
    tensor([0.0000, 0.6716, 1.0000])
    """
    return bessel_ratio(3, kappa)
