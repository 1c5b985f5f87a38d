"""Bounds where a symmetry holds approximately. `recovery.bounds` computes them; these are the statements."""

from __future__ import annotations

from .theorem import CURVED, INVARIANCE, MOMENTS, SUPPORT, UNIQUE, Theorem

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

RESIDUAL_BOUND = Theorem(
    name="mean under a bounded residual",
    statistic="mean",
    premises=(INVARIANCE, MOMENTS),
    statement=(
        "If |r| <= e almost everywhere under P, r the residual of the reflection about c, then "
        "|E_P z - c| <= (exp(e) - 1)/2 E_P|z - c|. Draws do not show that premise: a mass of 1e-12 at 1e12 moves the "
        "mean by one, and no draw sees it."
    ),
    proof="2 (E z - c) = E[(z - c)(1 - p(2c - z)/p(z))], and |1 - exp(r)| <= exp(e) - 1.",
    reference="elementary",
)

TOTAL_VARIATION_BOUND = Theorem(
    name="total variation under a bounded residual",
    statistic="any",
    premises=(INVARIANCE,),
    statement=(
        "If |r_g| <= e outside a set of P-mass eta, TV(P, g#P) <= (1 - exp(-e)) + eta for every bijection g; for an "
        "involution also (exp(e) - 1)/2 + eta. With eta = 0 the second holds for every g."
    ),
    proof=(
        "TV is the integral of (p - p o g)_+, at most (1 - exp(-e)) p where |r| <= e and p elsewhere. For an "
        "involution "
        "both halves of the variation are equal in mass on {z, gz}."
    ),
    reference="elementary; a cyclic shift with weights exp(-e j): the second form fails for eta > 0 in general",
)

LOCATION_BOUND = Theorem(
    name="location of the reverse-KL optimum under approximate evenness",
    statistic="location",
    premises=(CURVED, UNIQUE),
    statement=(
        "Reverse KL, the scale frozen at its optimum, an even base: with pbar the geometric mean of p and its "
        "reflection "
        "about c and J_pbar strongly convex in the location with modulus m on the segment [c, nu*], "
        "|nu* - c| <= |grad_nu E_q r| / (2 m). It bounds the fitted location, not E_P z."
    ),
    proof="0 = grad J_pbar(nu*) + grad E_q[r]/2, and |grad J_pbar(nu*)| >= m |nu* - c| as c minimises J_pbar.",
    reference="derived here; nearly attained on examples",
)

CONDITIONAL_GAUSSIAN = Theorem(
    name="conditional Gaussian quadrature",
    statistic="mean",
    premises=("Gaussian given one", "definite", MOMENTS, "quadrature"),
    statement=(
        "If, given one coordinate y, the others are Gaussian with precision L(y) and centre c(y), then E z_J = E c(y) "
        "under the marginal of y, proportional to exp(h(y) + c' L c / 2) / sqrt(det L): one-dimensional integrals, "
        "computed by two rules. The bound is the fitted value's distance from the result, plus the rules' difference."
    ),
    proof="The tower property; the Gaussian integral over z_J given y in closed form.",
    reference="elementary; Trefethen & Weideman (2014), SIAM Review 56, for the trapezoidal rule",
    keys=("trefethen2014",),
)

LOCALISED_BOUND = Theorem(
    name="localised curvature B3",
    statistic="mean",
    premises=("regression", "curvature", "unit"),
    statement=(
        "For a log-concave regression whose Hessian is at least m, and third derivative at most K, on a ball about the "
        "fitted value, with g the length of the gradient there: the error of a mean is at most "
        "sqrt(E (g + K x^2/2)^2)/m plus the mass outside, x a radius of known law. No draws."
    ),
    proof=(
        "Bakry-Emery and Otto-Villani inequalities on the ball; likelihood-ratio domination of the radius along each "
        "ray; the slope outside the ball by convexity."
    ),
    reference="Bakry & Emery (1985); Otto & Villani (2000), J. Funct. Anal. 173; the localisation is proved here",
    keys=("bakry1985", "otto2000"),
)

THEOREMS: tuple[Theorem, ...] = (
    REFLECTION_BOUND,
    RESIDUAL_BOUND,
    TOTAL_VARIATION_BOUND,
    LOCATION_BOUND,
    CONDITIONAL_GAUSSIAN,
    LOCALISED_BOUND,
)
"""The bounds."""
