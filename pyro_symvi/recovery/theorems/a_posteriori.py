"""The theorems a certificate may rest on: one frozen record each.

All of them are *a posteriori*: they speak of the target at the fitted point, and use neither the divergence that was
minimised, nor uniqueness, nor that an optimiser succeeded. Adding a theorem is adding a record.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from ...groups import AffineAction, EllipticalRotation

INVARIANCE = "invariance"
MOMENTS = "moments"
FITTED = "fitted value"
SUPPORT = "tails seen"


@dataclass(frozen=True)
class Theorem:
    """A recovery theorem.

    Attributes:
        name: How reports refer to it.
        statistic: ``"mean"`` or ``"correlation"``.
        premises: Names of what must hold.
        statement: The claim.
        proof: Its proof in a few lines.
        reference: Where it is from.
    """

    name: str
    statistic: str
    premises: tuple[str, ...]
    statement: str
    proof: str
    reference: str


REFLECTION_MEAN = Theorem(
    name="a-posteriori reflection",
    statistic="mean",
    premises=(INVARIANCE, MOMENTS, FITTED),
    statement=(
        "If p is unchanged by z_J -> 2 c_J - z_J (the other coordinates staying), and E|z_j| is finite for j in J, "
        "then E z_j = c_j; and every covariance between J and the rest is zero if second moments exist."
    ),
    proof=(
        "z and its image have the same law, so E z_J = 2 c_J - E z_J; and Cov(z_J, z_K) = -Cov(z_J, z_K) for K outside "
        "J. The fixed space of the reflection's linear part is what is left free: nothing in J."
    ),
    reference="equivariance of the mean; Marks, Paccagnan & van der Wilk (2026), arXiv:2604.18310, for the setting",
)

ELLIPTICAL_CORRELATION = Theorem(
    name="a-posteriori ellipticity",
    statistic="correlation",
    premises=(INVARIANCE, MOMENTS, FITTED),
    statement=(
        "If p is unchanged by z_J -> c_J + R g R^{-1} (z_J - c_J) for every g in O(|J|), M = R R^T, and second moments "
        "exist, then Cov(z_J) is a multiple of M: the correlation matrix of J is that of M."
    ),
    proof=(
        "S = Cov(z_J) satisfies A S A^T = S for all A = R g R^{-1}, so R^{-1} S R^{-T} commutes with O(|J|) and is a "
        "multiple of the identity (the group is irreducible)."
    ),
    reference="Margossian & Saul (2025), arXiv:2410.11067, for location-scale guides; Schur's lemma for the rest",
)

REFLECTION_BOUND = Theorem(
    name="reflection bound B0",
    statistic="mean",
    premises=(MOMENTS, SUPPORT),
    statement=(
        "For any c, with r(z) = log p(2c - z) - log p(z) (J reflected) and tau^2 = E_p tanh^2(r/2): "
        "|E_p z_j - c_j| <= sd_p(z_j) tau / sqrt(1 - tau^2) for j in J. No symmetry is assumed; equality is possible."
    ),
    proof=(
        "h = z_j - c_j is odd under the reflection; conditioning on the orbit {z, 2c - z} gives E h = -E[h tanh(r/2)]. "
        "Cauchy-Schwarz: (E h)^2 <= tau^2 E h^2 = tau^2 (Var h + (E h)^2)."
    ),
    reference="stated and proved here; the orbit average is Rao-Blackwellisation",
)

THEOREMS: tuple[Theorem, ...] = (REFLECTION_MEAN, ELLIPTICAL_CORRELATION, REFLECTION_BOUND)
"""Every theorem in use."""


def pinned_mean(action: AffineAction) -> torch.Tensor:
    """Coordinates ``[dim]`` (bool) whose mean an invariant law must have at the centre, computed from the action.

    Those with no component in the fixed subspace of the linear parts. That does not depend on centre or shape (a shape
    conjugates the linear parts within the moved coordinates), so it is computed once for each kind and set.
    """
    if action.dim is None:
        raise ValueError(f"expected a bound action, got {action!r}, because its space is unknown; try .bind(dim, ...)")
    return _pinned_mean(type(action), tuple(action.resolve_coordinates(action.dim).tolist()), action.dim)


def pinned_shape(action: AffineAction) -> bool:
    """Whether invariance leaves one free number in the scatter of the moved coordinates: correlations are pinned.

    Computed from the symmetric square of the action on its moved coordinates; for rotations of more than six, on six,
    since O(n) leaves one quadratic form fixed for every n.
    """
    size = len(action.coordinates) if action.coordinates is not None else action.dim or 0
    return _pinned_shape(type(action), size)


@lru_cache(maxsize=256)
def _pinned_mean(kind: type[AffineAction], coordinates: tuple[int, ...], dim: int) -> torch.Tensor:
    basis = _standard(kind, coordinates, dim).fixed_subspace()
    return basis.abs().amax(-1) < 1e-9 if basis.shape[-1] else torch.ones(dim, dtype=torch.bool)


@lru_cache(maxsize=64)
def _pinned_shape(kind: type[AffineAction], size: int) -> bool:
    size = min(size, 6) if kind is EllipticalRotation else size
    if size < 1:
        return False
    return len(_standard(kind, tuple(range(size)), size).symmetric_square_fixed_subspace()) == 1


def _standard(kind: type[AffineAction], coordinates: tuple[int, ...], dim: int) -> AffineAction:
    """The action about the origin with the identity as shape."""
    return kind(coordinates=coordinates).bind(
        dim, center=torch.zeros(dim, dtype=torch.float64), shape=torch.eye(len(coordinates), dtype=torch.float64)
    )
