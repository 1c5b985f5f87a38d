"""The theorems a certificate may rest on: one frozen record each.

All of them are *a posteriori*: they speak of the target at the fitted point, and use neither the divergence that was
minimised, nor uniqueness, nor that an optimiser succeeded. Adding a theorem is adding a record.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..groups import LinearAction

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
        "If p is unchanged by z_J -> 2 c_J - z_J (the other coordinates staying), and E|z_j| is finite for j in J, then "
        "E z_j = c_j; and every covariance between J and the rest is zero if second moments exist."
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


def pinned_mean(action: LinearAction) -> torch.Tensor:
    """Coordinates ``[dim]`` (bool) whose mean an invariant law must have at the centre, computed from the action.

    Those with no component in the fixed subspace of the linear parts.
    """
    basis = action.fixed_subspace()
    return basis.abs().amax(-1) < 1e-9 if basis.shape[-1] else torch.ones(basis.shape[0], dtype=torch.bool)


def pinned_shape(action: LinearAction) -> bool:
    """Whether invariance leaves one free number in the scatter of the moved coordinates: correlations are pinned."""
    moved = torch.nonzero(pinned_mean(action)).flatten()
    blocks = action.symmetric_square_fixed_subspace()[:, moved][:, :, moved].flatten(1)
    return int(torch.linalg.matrix_rank(blocks, rtol=1e-8)) == 1 if len(blocks) else False
