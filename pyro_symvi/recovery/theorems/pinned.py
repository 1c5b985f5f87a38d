"""A-posteriori theorems on statistics other than means and correlations: what an invariant law pins of them."""

from __future__ import annotations

from .a_posteriori import FITTED, INVARIANCE, Theorem

PROPER = "properness"

REFLECTION_MEDIAN = Theorem(
    name="reflection median",
    statistic="median",
    premises=(INVARIANCE, PROPER, FITTED),
    statement=(
        "If p is unchanged by z_J -> 2 c_J - z_J and integrable, then c_j is a median of z_j for j in J, and tau(c_j) "
        "one of tau(z_j) for every strictly monotone tau. It is the only median if z_j has positive density near c_j. "
        "No moment is needed."
    ),
    proof=(
        "z_j - c_j and c_j - z_j have the same law, so P(z_j <= c_j) = P(z_j >= c_j) >= 1/2. A strictly monotone tau "
        "keeps or exchanges the two events."
    ),
    reference="equivariance of quantiles under monotone maps",
)

PINNED: tuple[Theorem, ...] = (REFLECTION_MEDIAN,)
"""Those of this file."""
