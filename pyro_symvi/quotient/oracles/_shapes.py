"""Finitely many shapes in uniformly random orientation: every law and denoiser in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value
from ...groups import SpecialOrthogonal
from .._context import Context
from .._process import Denoiser, Diffusion
from ._rotation_integral import best_rotation, rotation_integral
from ._terms import Terms, rotating_action, terms


@dataclass(frozen=True, eq=False, repr=False)
class ShapeMixture(Value):
    """The law of x_1 = R z_k: shape k with probability w_k, R uniform on SO(2) or SO(3).

    With F_k = beta x^T C^-1 z_k, where C is the covariance of x_t given x_1, and c(F) the average of exp tr(R^T F):

        p_t(x) = sum_k w_k N(x; 0, C) exp(-beta^2 |z_k|_C^2 / 2) c(F_k),
        E[x_1 | x_t = x] = sum_k p(k | x) z_k E[R | x, k]^T,     E[R | x, k] = grad log c(F_k).

    Rotations are proper: a chiral shape and its mirror image are two shapes. Any interpolant, prior, masses of points
    and masks will do; the action has to be PointCloudAction of SpecialEuclidean(d) or SpecialOrthogonal(d). All is
    computed in float64 and differentiable in x.

    Args:
        shapes: ``[K, N, d]``, d = 2 or 3, units of the data; a diffusion by rigid motions centres them.
        weights: ``[K]``, non-negative; normalised. Equal where left out.

    Raises:
        ValueError: for shapes or weights of another form, or not finite.
    """

    shapes: Tensor
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        shapes = torch.as_tensor(self.shapes)
        if shapes.ndim != 3 or shapes.shape[-1] not in (2, 3) or 0 in shapes.shape:
            raise ValueError(
                f"expected shapes [K, N, d] with d = 2 or 3, got {list(shapes.shape)}, because they are clouds of the "
                "plane or of space; try shapes[None] for a single one"
            )
        if not bool(torch.isfinite(shapes).all()):
            raise ValueError("expected finite shapes, got nan or inf; try to drop those")
        weights = torch.ones(len(shapes)) if self.weights is None else torch.as_tensor(self.weights)
        if weights.shape != shapes.shape[:1]:
            raise ValueError(f"expected weights [{len(shapes)}], one a shape, got {list(weights.shape)}")
        weights = weights.to(shapes.device, torch.float64)
        if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()) or not bool(weights.sum() > 0):
            raise ValueError(f"expected finite weights >= 0 of a positive sum, got {weights.tolist()}")
        object.__setattr__(self, "shapes", shapes.double().clone())
        object.__setattr__(self, "weights", weights / weights.sum())

    def sample(self, n: int, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float64) -> Tensor:
        """Independent draws of x_1, rotated about the origin: ``[n, N, d]``."""
        chosen = torch.multinomial(self.probabilities, n, replacement=True, generator=generator)
        group = SpecialOrthogonal(self.shapes.shape[-1])
        turns = group.sample(n, generator=generator, dtype=torch.float64, device=self.shapes.device)
        return (self.shapes[chosen] @ turns.mT).to(dtype)

    def denoiser(self, diffusion: Diffusion) -> Denoiser:
        """E[x_1 | x_t]. At t = 1 the limit: the nearest point of the nearest orbit."""
        return MixtureDenoiser(self, diffusion)

    def aligned_denoiser(self, diffusion: Diffusion) -> Denoiser:
        """E[A x_1 | x_t], where A turns x_1 to its best fit with x_t: what a network learns from an aligned target.

        The same weights of shapes, each turned by its Kabsch optimum instead of E[R]. It does not shrink where the
        rotation is uncertain, so it is no denoiser of the diffusion and its samples are biased: a baseline.
        Source: Xu et al., GeoDiff, arXiv 2203.02923, section 3.3 (the target).
        """
        return MixtureDenoiser(self, diffusion, aligned=True)

    def posterior(self, diffusion: Diffusion, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        """The probability of each shape given x_t = x: ``[*batch, K]``."""
        joint, _, _ = _joint(self, diffusion, x, t, context)
        return joint.softmax(-1).to(x.dtype)

    def log_density(self, diffusion: Diffusion, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        """Log p_t(x) of the total space, ``[*batch]``, t < 1.

        Against Lebesgue measure of the space on which x lives in the metric of the action: (n - 1) d dimensions for
        the centred clouds of n points under SE(d), n d under SO(d). Its gradient is the score.

        Args:
            diffusion: the path that leads to this law.
            x: ``[*batch, N, d]``; centred first.
            t: ``[*batch]``, or one time for all.
            context: of the clouds.
        """
        joint, _, _ = _joint(self, diffusion, x, t, context)
        return (joint.logsumexp(-1) + _log_normalizer(diffusion, x.double(), t, context)).to(x.dtype)

    @property
    def probabilities(self) -> Tensor:
        """The weights, normalised ``[K]``."""
        return torch.as_tensor(self.weights)


@dataclass(frozen=True, eq=False, repr=False)
class MixtureDenoiser(Value):
    """The exact denoiser of a mixture of shapes, or with ``aligned`` the optimum of an aligned target."""

    mixture: ShapeMixture
    diffusion: Diffusion
    aligned: bool = False

    def __post_init__(self) -> None:
        _check_dimension(self.mixture, self.diffusion)

    def __call__(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        joint, parts, mean = _joint(self.mixture, self.diffusion, x, t, context)
        turns = best_rotation(parts.overlap) if self.aligned else mean
        weighted = joint.softmax(-1)[..., None, None] * turns
        return torch.einsum("...kne,...kde->...nd", parts.shapes, weighted).to(x.dtype)


def _check_dimension(mixture: ShapeMixture, diffusion: Diffusion) -> None:
    d = rotating_action(diffusion).motions.n
    if mixture.shapes.shape[-1] != d:
        raise ValueError(
            f"expected shapes [K, N, {d}] for {diffusion.action!r}, got {list(mixture.shapes.shape)}, because they "
            f"live in the space that the action moves; try PointCloudAction(SpecialEuclidean(...))"
        )


def _joint(
    mixture: ShapeMixture, diffusion: Diffusion, x: Tensor, t: Tensor, context: Context | None
) -> tuple[Tensor, Terms, Tensor]:
    """Log w_k + log p(x | k) up to the normaliser of N(0, C) ``[*batch, K]``, its terms, E[R | x, k]."""
    _check_dimension(mixture, diffusion)
    if x.ndim < 2 or x.shape[-2:] != mixture.shapes.shape[1:]:
        raise ValueError(
            f"expected points [..., {', '.join(map(str, mixture.shapes.shape[1:]))}] as the shapes have, "
            f"got {list(x.shape)}; batch dimensions come first"
        )
    centred = diffusion.centre(x.double(), context)
    parts = terms(diffusion, centred, mixture.shapes.to(x.device), t, context)
    log_c, mean = rotation_integral(parts.natural)
    joint = mixture.probabilities.to(x.device).log() + parts.exponent + log_c
    return joint, parts, mean


def _log_normalizer(diffusion: Diffusion, x: Tensor, t: Tensor, context: Context | None) -> Tensor:
    """Log of the constant of N(0, C) on the space of x: -1/2 log det(2 pi C), ``[*batch]``."""
    points, d = x.shape[-2:]
    free = diffusion.centre(torch.eye(points, dtype=x.dtype, device=x.device).expand(*x.shape[:-1], points), context)
    time = diffusion.column(t, x)
    logs = diffusion.prior.apply(lambda s: (2 * math.pi * diffusion.interpolant.variance(time, s)).log(), free, context)
    return -d * logs.diagonal(dim1=-2, dim2=-1).sum(-1) / 2
