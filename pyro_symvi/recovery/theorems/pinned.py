"""A-posteriori theorems on statistics other than means and correlations: what an invariant law pins of them."""

from __future__ import annotations

from .a_posteriori import FITTED, INVARIANCE, MOMENTS, SUPPORT, Theorem

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

ELLIPTICAL_SCATTER = Theorem(
    name="elliptical shape",
    statistic="scatter",
    premises=(INVARIANCE, PROPER, FITTED),
    statement=(
        "If p is unchanged by z_J -> c_J + R g R^{-1} (z_J - c_J) for every g in O(|J|), M = R R^T, and integrable, "
        "then z_J is elliptical about c_J given the rest, with shape M up to a factor. Where second moments exist, "
        "Cov(z_J) is a multiple of M; the shape is defined without them."
    ),
    proof="An O(|J|)-invariant density is a function of (z_J - c)^T M^{-1} (z_J - c) and the rest alone.",
    reference="definition of elliptical laws; Tyler (1987) for shape without moments",
    keys=("tyler1987",),
)

GAUSSIAN_COVARIANCE = Theorem(
    name="Gaussian block of constant precision",
    statistic="covariance",
    premises=(INVARIANCE, MOMENTS, FITTED),
    statement=(
        "If log p = -(z_J - c)^T A (z_J - c) / 2 + h(rest) with constant c and positive definite A, and p is "
        "integrable, then z_J is normal and independent of the rest, with covariance A^{-1}."
    ),
    proof="The density factors into that of N(c, A^{-1}) and a function of the rest.",
    reference="elementary",
)

REFLECTION_COVARIANCE = Theorem(
    name="reflection covariance",
    statistic="covariance",
    premises=(INVARIANCE, MOMENTS, FITTED),
    statement=(
        "If p is unchanged by z_J -> 2 c_J - z_J (the other coordinates staying) and second moments exist, then "
        "Cov(z_j, z_k) = 0 for j in J and k outside."
    ),
    proof="Cov(z_J, z_K) = Cov(2 c_J - z_J, z_K) = -Cov(z_J, z_K).",
    reference="the a-posteriori reflection theorem",
)

WEIGHTED_COVARIANCE = Theorem(
    name="weighted covariance",
    statistic="covariance",
    premises=(MOMENTS, SUPPORT),
    statement=(
        "The fitted covariance differs from the target's by at most its distance from a self-normalised importance "
        "sampling estimate plus three of its standard errors, if the draws represent the target."
    ),
    proof="Central limit theorem for self-normalised weights with finite variance.",
    reference="Owen (2013), Monte Carlo theory, methods and examples, chapter 9",
    keys=("owen2013",),
)

PERMUTATION_MEAN = Theorem(
    name="permutation contrast",
    statistic="contrast",
    premises=(INVARIANCE, MOMENTS, FITTED),
    statement=(
        "If p is unchanged by a group of permutations of coordinates and first moments exist, E z is constant on every "
        "orbit: E a.z = 0 for every a that sums to zero over each orbit. With centres c_j of reflections added, "
        "E a.z = sum a_j c_j over the coordinates they pin."
    ),
    proof="E z = P E z for every permutation matrix P of the group.",
    reference="equivariance of the mean",
)

CONDITIONAL_REFLECTION = Theorem(
    name="conditional reflection",
    statistic="slope",
    premises=(INVARIANCE, MOMENTS, FITTED),
    statement=(
        "If p is unchanged by z_J -> 2 (a + B y) - z_J, y being other coordinates, which stay, and E|z_J| is finite, "
        "then E(z_J | all other coordinates) = a + B y: the regression of z_J on the rest is linear, with slope B "
        "(zero on coordinates outside y) and intercept a."
    ),
    proof=(
        "The map keeps the rest and its Jacobian is -1 to the |J|, so the conditional law of z_J is symmetric about "
        "a + B y, which is its mean where it has one (for almost every y, by Fubini)."
    ),
    reference="conditional affine reflections; stated and proved here",
)

PINNED: tuple[Theorem, ...] = (
    REFLECTION_MEDIAN,
    ELLIPTICAL_SCATTER,
    GAUSSIAN_COVARIANCE,
    REFLECTION_COVARIANCE,
    WEIGHTED_COVARIANCE,
    PERMUTATION_MEAN,
    CONDITIONAL_REFLECTION,
)
"""Those of this file."""
