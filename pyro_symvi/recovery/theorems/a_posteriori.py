"""A posteriori theorems: they speak of the target at the fitted point.

They use neither the divergence that was minimised, nor uniqueness, nor that an optimiser succeeded; `certify` rests on
them alone.
"""

from __future__ import annotations

from .theorem import FITTED, INVARIANCE, MOMENTS, SUPPORT, Theorem

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
    keys=("marks2026",),
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
    keys=("margossian2025",),
)

INVARIANT_MOMENTS = Theorem(
    name="a-posteriori invariance",
    statistic="any",
    premises=(INVARIANCE, MOMENTS),
    statement=(
        "If p is unchanged by z -> c + A_g (z - c) for every g, then E z - c lies in the fixed subspace of the A_g, "
        "and "
        "Cov(z) in that of S -> A_g S A_g^T; both where they exist."
    ),
    proof="Both moments are equivariant: E gz = g E z, Cov(gz) = A_g Cov(z) A_g^T, and gz has the law of z.",
    reference="equivariance of moments; the two spaces are computed by LinearAction",
)

THEOREMS: tuple[Theorem, ...] = (REFLECTION_MEAN, ELLIPTICAL_CORRELATION, INVARIANT_MOMENTS)
"""The a posteriori theorems."""

__all__ = [
    "ELLIPTICAL_CORRELATION",
    "FITTED",
    "INVARIANCE",
    "INVARIANT_MOMENTS",
    "MOMENTS",
    "REFLECTION_MEAN",
    "SUPPORT",
    "THEOREMS",
    "Theorem",
]
