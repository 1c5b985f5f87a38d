"""What certificates of directions rest on: a posteriori theorems on the sphere, which speak of the target alone."""

from __future__ import annotations

from .theorem import FITTED, INVARIANCE, PROPER, SUPPORT, Theorem

NATURAL = "von Mises-Fisher target"
NONZERO = "mean not zero"
LENGTH = "length of the mean"
WHOLE = "whole sphere seen"

HALF_TURN = Theorem(
    name="a-posteriori half-turn",
    statistic="direction",
    premises=(INVARIANCE, PROPER, NONZERO, FITTED),
    statement=(
        "If p is integrable and unchanged by orthogonal maps that fix no direction but a and -a (the half-turn "
        "x -> 2 (a.x) a - x is enough), then E x is a multiple of a; if E a.x > 0, the mean direction is a."
    ),
    proof="x and gx have the same law, so g E x = E x for all g: E x lies in the fixed space, the line of a.",
    reference="equivariance of the mean; Mardia & Jupp, Directional Statistics (2000), section 9.3, for zonal laws",
    keys=("mardia2000",),
)

VON_MISES_FISHER = Theorem(
    name="von Mises-Fisher target",
    statistic="direction",
    premises=(NATURAL, FITTED),
    statement=(
        "If log p is b.x up to a constant on the sphere, the target is the von Mises-Fisher law of direction b/|b| and "
        "concentration |b|."
    ),
    proof="The density is that law's; a uniform or conjugate prior and von Mises-Fisher data add their vectors to b.",
    reference="Mardia & Jupp (2000), sections 9.3 and 10.3",
    keys=("mardia2000",),
)

MEAN_BY_QUADRATURE = Theorem(
    name="mean by quadrature",
    statistic="direction",
    premises=(WHOLE, NONZERO, FITTED),
    statement="The circle and the sphere of R^3 are small enough for E x to be computed; its direction is E x/|E x|.",
    proof="Adaptive quadrature of p and p x over the whole space; its error is what the last division changed.",
    reference="Gauss-Legendre product rules",
)

ANGLE_BOUND = Theorem(
    name="angle bound",
    statistic="direction",
    premises=(SUPPORT, NONZERO),
    statement=(
        "For any unit vector a, with r(x) = log p(gx) - log p(x) for the half-turn g about a, tau^2 = E tanh^2(r/2), "
        "lambda the largest eigenvalue of E x_perp x_perp^T and rho = E a.x > 0: the angle between E x and a is at "
        "most atan(tau sqrt(lambda) / rho)."
    ),
    proof=(
        "u.x is odd under g for u across a, so E u.x = -E[(u.x) tanh(r/2)]; Cauchy-Schwarz gives |E x_perp| <= tau "
        "sqrt(lambda), and the tangent of the angle is |E x_perp| / rho."
    ),
    reference="stated and proved here; the orbit average is Rao-Blackwellisation",
)

NO_DIRECTION = Theorem(
    name="no mean direction",
    statistic="direction",
    premises=(INVARIANCE,),
    statement=(
        "If p is unchanged by maps that fix no direction (x -> -x, or half-turns about two axes), E x = 0: there is no "
        "mean direction, whatever a guide returns."
    ),
    proof="E x lies in the fixed space of the maps, which is {0}.",
    reference="equivariance of the mean",
)

ZONAL_AXIS = Theorem(
    name="zonal axis",
    statistic="axis",
    premises=(INVARIANCE, PROPER, FITTED),
    statement=(
        "If p is unchanged by all rotations about a, in three dimensions or more, and p is not uniform, the line of a "
        "is the only such axis, and that of E x where E x is not zero."
    ),
    proof=(
        "The rotations about an axis are a maximal connected closed subgroup of SO(n), n >= 3: with those about "
        "another axis they generate SO(n), and p would be uniform."
    ),
    reference="Mardia & Jupp (2000), section 9.3",
    keys=("mardia2000",),
)

RESULTANT = Theorem(
    name="resultant length",
    statistic="concentration",
    premises=(LENGTH, FITTED),
    statement=(
        "The law of the family whose mean has the length |E x| is the moment-matching one; for a von Mises-Fisher "
        "guide it is the optimum of forward KL, and of no other divergence in general."
    ),
    proof="In an exponential family with statistic x the cross-entropy A(eta) - eta.E x has gradient E_q x - E x.",
    reference="Mardia & Jupp (2000), section 10.3",
    keys=("mardia2000",),
)

THEOREMS: tuple[Theorem, ...] = (
    HALF_TURN,
    VON_MISES_FISHER,
    MEAN_BY_QUADRATURE,
    ANGLE_BOUND,
    NO_DIRECTION,
    ZONAL_AXIS,
    RESULTANT,
)
"""The a posteriori theorems on spheres."""
