r"""Decay of a concave log density in every direction, with an exact certificate: integrable, with all moments.

Let f be concave and finite on R^n, with recession function :math:`r(v) = \lim_t f(z + t v)/t`. If r(v) < 0 for all
v != 0 then :math:`f(z) \le a - b\|z\|` with b > 0: the density is integrable and has all moments. Recession functions
add, and those of the pieces are infima of linear functions g v over

=================================== ================================ ==========================================
piece                               r(v)                             g
=================================== ================================ ==========================================
l z                                 l v                              l
-z M z, -(a z)^{2k}                 0 if Mv = 0, else -inf           y M, y free
-c softplus(a z + b)                -c max(a v, 0)                   -s a, 0 <= s <= c
-c \|a z + b\|                      -c \|a v\|                       -s a, -c <= s <= c
-c exp(a z + b)                     0 if a v <= 0, else -inf         -s a, s >= 0
c log Phi(a z + b)                  0 if a v >= 0, else -inf         s a, s >= 0
-c log sum_i exp(a_i z + b_i)       -c max_i a_i v                   -sum_i s_i a_i, s_i >= 0, sum_i s_i = c
=================================== ================================ ==========================================

so that r(v) = inf over a polyhedron D of g v, and r(v) < 0 for all v != 0 exactly if 0 lies in the interior of D: if
some multipliers s strictly inside their ranges give g = 0, their vectors spanning R^n. For a flat-prior logistic
regression this is the condition of no (quasi-)separation. Multipliers are found by a linear programme in floating
point, or by Newton's method on a function whose minimum has them; only the check in rational arithmetic counts.

References: Rockafellar (1970), *Convex Analysis*, Theorems 8.5, 8.7, 9.3; Albert & Anderson (1984), "On the existence
of maximum likelihood estimates in logistic regression models", for separation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from typing import Any

import numpy as np
from scipy import special

from . import exact, signs
from .curvature import Curvature, Shape
from .exact import Vector
from .expressions import Atom
from .gradients import Gradient, Span, gradient
from .polynomials import ONE, Polynomial
from .quadratic_signs import quadratic_sign

_ZERO, _ONE = Fraction(0), Fraction(1)
_MOST_ROWS = 40_000
_LARGEST = 3_000
"""Rows of the largest linear programme."""
_FEW, _STEPS = 500, 40
Array = Any


@dataclass
class Slopes:
    """The polyhedron D of a concave expression: ``linear + sum_k s_k rows[k]``.

    Attributes:
        linear: The slope of the affine part.
        rows: Vectors.
        low: Lowest multiplier of each row; None if unbounded.
        high: Highest one.
        groups: Rows whose multipliers, non-negative, add up to at most a number.
    """

    linear: Vector
    rows: list[Vector] = field(default_factory=list)
    low: list[Fraction | None] = field(default_factory=list)
    high: list[Fraction | None] = field(default_factory=list)
    groups: list[tuple[range, Fraction]] = field(default_factory=list)

    def add(self, row: Vector, low: Fraction | None, high: Fraction | None) -> None:
        """One row with the range of its multiplier."""
        if any(row):
            self.rows.append(row)
            self.low.append(low)
            self.high.append(high)


class Decay(IntEnum):
    """What was shown of a concave expression at infinity."""

    UNKNOWN = 0
    BOUNDED = 1
    """It is bounded above."""
    FALLS = 2
    """It falls in every direction, at least linearly."""


def decay(curvature: Curvature, p: Polynomial) -> Decay:
    """What is shown of p, concave in the block and free of all else: 0 inside D, or inside D relative to its span.

    Any point of D bounds p above by a linear function (each piece is below its lines of these slopes): 0 by a constant.
    """
    found = slopes(curvature, p)
    return Decay.UNKNOWN if found is None else _position_of_zero(found)


def falls_in_every_direction(curvature: Curvature, p: Polynomial) -> bool:
    """Whether p, concave in the block and free of all else, was shown to fall without bound in every direction."""
    return decay(curvature, p) is Decay.FALLS


def slopes(curvature: Curvature, p: Polynomial) -> Slopes | None:
    """The polyhedron D of p, or of an upper bound of p's recession function; None where p was not shown concave."""
    table = curvature.table
    if table.depends(p) & ~curvature.mask or curvature.of(p) not in (Shape.CONCAVE, Shape.AFFINE):
        return None
    n = len(curvature.block)
    found = Slopes([_ZERO] * n)
    for monomial in p.terms:
        if table.monomial_depends(monomial) and curvature.is_linear(monomial):
            slope = gradient(
                table, Polynomial({monomial: p.terms[monomial]}, p.denominator, signs.ANY), curvature.block
            )
            if slope is None or not slope.is_rational:
                return None  # an irrational slope
            found.linear = [x + y for x, y in zip(found.linear, slope.row, strict=True)]
    pieces = curvature.split(p)
    for factor, hessian in pieces.quadratics.items():
        if table.monomial_sign(factor) in (signs.POSITIVE, signs.NEGATIVE):
            for row in hessian:
                found.add(row, None, None)
    for (atom, power), weight in pieces.functions.items():
        if not _Piece(curvature, table.atoms[atom], power, weight).add_to(found):
            return None
    return found if len(found.rows) <= _MOST_ROWS else None


class _Piece:
    """One concave term ``weight f(u)^power``."""

    def __init__(self, curvature: Curvature, atom: Atom, power: int, weight: dict[int, Fraction]) -> None:
        self.curvature, self.table = curvature, curvature.table
        self.atom, self.power = atom, power
        sign = quadratic_sign(self.table, curvature.weighted(weight))
        self.strict = sign in (signs.POSITIVE, signs.NEGATIVE)
        self.bounded_above = is_bounded_above(sign, atom, power)
        self.size = abs(weight[ONE]) if set(weight) == {ONE} else None  # None: irrational

    def add_to(self, found: Slopes) -> bool:
        """Add the piece to D; False if nothing is known of it.

        A piece that is bounded above may be left out: its recession function is at most zero.
        """
        kind = self.atom.kind
        if kind == "log":
            return self._logarithm(found)
        if not self.bounded_above:
            return False
        if not self.strict:
            return True
        if kind == "z":
            found.add([Fraction(int(j == self.atom.number)) for j in self.curvature.block], None, None)
            return True
        slope = self._slope(self.atom.arguments[0])
        if slope is None:
            return True
        if kind == "exp":
            found.add([-x for x in slope.row], _ZERO, None)
        elif kind in ("log_ndtr", "log_half_erfc"):
            found.add(slope.row, _ZERO, None)
        elif kind == "softplus" and self._is_exact(slope):
            found.add([-x for x in slope.row], _ZERO, self.size)
        elif kind == "abs" and self.power > 1:
            found.add(slope.row, None, None)
        elif kind == "abs" and self._is_exact(slope):
            found.add(slope.row, -(self.size or _ZERO), self.size)
        return True

    def _is_exact(self, slope: Gradient) -> bool:
        return self.size is not None and slope.is_rational

    def _slope(self, u: Polynomial) -> Gradient | None:
        """Up to a positive factor."""
        found = gradient(self.table, u, self.curvature.block)
        if found is None or self.table.monomial_sign(found.factor) != signs.POSITIVE:
            return None
        return found

    def _logarithm(self, found: Slopes) -> bool:
        """-c log of a positive sum of exponentials of affine expressions; c log(1 - tanh(u)^2), at most 0."""
        p = self.atom.arguments[0]
        inner = self.curvature.squared_hyperbolic_secant(p)
        if inner is not None:
            slope = self._slope(inner)
            if slope is not None and self._is_exact(slope):
                found.add(slope.row, -2 * (self.size or _ZERO), 2 * (self.size or _ZERO))
            return True
        if self.size is None or not self.curvature.is_sum_of_exponentials(p):
            return False
        exponents = []
        for monomial in p.terms:
            inside = [a for a, _ in self.table.monomials[monomial] if self.table.atoms[a].depends]
            argument = self.table.atoms[inside[0]].arguments[0] if inside else self.table.zero
            slope = gradient(self.table, argument, self.curvature.block)
            if slope is None or not slope.is_rational:
                return False
            exponents.append(slope.row)
        first, *others = exponents
        found.linear = [x - self.size * y for x, y in zip(found.linear, first, strict=True)]
        start = len(found.rows)
        for row in others:
            found.add([x - y for x, y in zip(first, row, strict=True)], _ZERO, None)
        found.groups.append((range(start, len(found.rows)), self.size))
        return True


def is_bounded_above(weight: int, atom: Atom, power: int) -> bool:
    """Whether a number of sign ``weight`` times ``atom^power`` is bounded above, by its sign alone.

    log Gamma is at least -0.13 on the positive numbers, which does for its sign.
    """
    sign = signs.NON_NEGATIVE if atom.kind == "lgamma" and power == 1 else signs.power(atom.sign, power)
    return not signs.PRODUCT[weight][sign] & signs.POSITIVE


# -- the certificate -----------------------------------------------------------------------------------------------


def _position_of_zero(found: Slopes) -> Decay:
    """Where 0 was shown to lie in D: exact, with multipliers proposed in floating point."""
    if not found.rows:
        return Decay.UNKNOWN
    few = len(found.rows) <= _FEW  # a linear programme is then quick, and final
    for propose in (_by_linear_programme,) if few else (_by_newton, _by_linear_programme):
        proposed = propose(found)
        if proposed is not None:
            shown = _verified(found, proposed)
            if shown:
                return shown
    return Decay.UNKNOWN


def _by_newton(found: Slopes) -> list[Fraction] | None:
    r"""Multipliers :math:`s_k = \psi_k'(a_k z)` at a minimum of :math:`\ell z + \sum_k \psi_k(a_k z)`; not trusted.

    Each :math:`\psi_k'` increases from the lowest multiplier to the highest: a minimum exists exactly if 0 is inside D.
    """
    rows, linear, sizes = _arrays(found)
    if found.groups or not (np.isfinite(rows).all() and np.isfinite(linear).all()):
        return None
    rows = rows / sizes[:, None]
    free = np.array([low is None for low in found.low])
    ray = np.array([low is not None and high is None for low, high in zip(found.low, found.high, strict=True)])
    low = np.array([0.0 if x is None else float(x) for x in found.low]) * sizes
    width = np.array([1.0 if x is None else float(x) for x in found.high]) * sizes - low

    def at(z: Array) -> tuple[float, Array, Array]:
        t = rows @ z
        e, share = np.exp(np.minimum(t, 500.0)), special.expit(t)
        value = np.where(free, t * t / 2, np.where(ray, e, low * t + width * np.logaddexp(0, t)))
        s = np.where(free, t, np.where(ray, e, low + width * share))
        return float(linear @ z + value.sum()), s, np.where(free, 1.0, np.where(ray, e, width * share * (1 - share)))

    with np.errstate(all="ignore"):
        return _newton(at, rows, linear, sizes)


def _newton(
    at: Callable[[Array], tuple[float, Array, Array]], rows: Array, linear: Array, sizes: Array
) -> list[Fraction] | None:
    """Damped Newton steps to where ``linear + sum_k s_k rows[k]`` vanishes."""
    z = np.zeros(len(linear))
    value, s, bend = at(z)
    scale = 1e-300 + np.abs(linear) + np.abs(rows).T @ np.abs(s)
    for _ in range(_STEPS):
        slope = linear + rows.T @ s
        if (np.abs(slope) <= 1e-9 * scale).all():
            return [Fraction(float(x)) for x in s / sizes]
        curvature = rows.T @ (bend[:, None] * rows)
        if not np.isfinite(curvature).all():
            return None
        step = np.linalg.lstsq(curvature, -slope, rcond=None)[0]
        length, tried = 1.0, at(z + step)
        while not tried[0] < value + 1e-4 * length * float(slope @ step) and length > 1e-3:
            length /= 2
            tried = at(z + length * step)
        z, (value, s, bend) = z + length * step, tried
    return None


def _arrays(found: Slopes) -> tuple[Array, Array, Array]:
    """Rows, linear part and lengths of the rows in floating point."""
    rows = np.array([[float(x) for x in row] for row in found.rows])
    return rows, np.array([float(x) for x in found.linear]), np.linalg.norm(rows, axis=1)


def _by_linear_programme(found: Slopes) -> list[Fraction] | None:
    """Multipliers as far inside their ranges as a linear programme can place them, in floating point; not trusted."""
    from scipy import optimize, sparse  # takes a while to load

    rows, linear, sizes = _arrays(found)
    if len(rows) > _LARGEST or not (np.isfinite(rows).all() and np.isfinite(linear).all()):
        return None
    across = np.maximum(np.abs(rows).max(axis=0), 1e-300)
    equations = sparse.hstack([sparse.csc_matrix((rows / sizes[:, None] / across).T), np.zeros((len(linear), 1))])
    inequalities: list[tuple[dict[int, float], float]] = []
    m = len(rows)
    for k, (low, high) in enumerate(zip(found.low, found.high, strict=True)):
        width = float(high - low) / 2 * sizes[k] if low is not None and high is not None else 1.0
        if low is not None:
            inequalities.append(({k: -1.0, m: width}, -float(low) * sizes[k]))
        if high is not None:
            inequalities.append(({k: 1.0, m: width}, float(high) * sizes[k]))
    for group, total in found.groups:
        if len(group):
            inequalities.append(({**{k: 1.0 / sizes[k] for k in group}, m: float(total) / 2}, float(total)))
    entries = [(i, k, x) for i, (row, _) in enumerate(inequalities) for k, x in row.items()]
    places = [[e[0] for e in entries], [e[1] for e in entries]]
    left = sparse.csc_matrix(([e[2] for e in entries], places), shape=(len(inequalities), m + 1))
    goal = np.zeros(m + 1)
    goal[m] = -1
    solution = optimize.linprog(
        goal,
        A_ub=left if inequalities else None,
        b_ub=[bound for _, bound in inequalities] or None,
        A_eq=equations.tocsc(),
        b_eq=-linear / across,
        bounds=[(None, None)] * m + [(0, 1)],
        method="highs",
    )
    if solution.x is None or solution.x[m] <= 0:
        return None
    return [Fraction(float(x)) for x in solution.x[:m] / sizes]


def _verified(found: Slopes, proposed: list[Fraction]) -> Decay:
    """Correct the multipliers of independent rows so that the sum is exactly zero; then check every range.

    With all multipliers strictly inside, a neighbourhood of 0 in the span of the rows lies in D.
    """
    n = len(found.linear)
    basis = _basis(found, proposed)
    total = list(found.linear)
    for s, row in zip(proposed, found.rows, strict=True):
        if s:
            total = [x + s * y for x, y in zip(total, row, strict=True)]
    columns = [[found.rows[k][i] for k in basis] for i in range(n)]
    change = exact.solve(columns, [-x for x in total])
    if change is None or exact.multiply_vector(columns, change) != [-x for x in total]:
        return Decay.UNKNOWN
    multipliers = list(proposed)
    for k, x in zip(basis, change, strict=True):
        multipliers[k] += x
    inside = all(
        (low is None or s > low) and (high is None or s < high)
        for s, low, high in zip(multipliers, found.low, found.high, strict=True)
    )
    if not inside or any(sum(multipliers[k] for k in group) >= total for group, total in found.groups):
        return Decay.UNKNOWN
    return Decay.FALLS if len(basis) == n else Decay.BOUNDED


def _basis(found: Slopes, proposed: Sequence[Fraction]) -> list[int]:
    """Indices of independent rows (exactly), as many as there are, those with most room first."""
    room = np.array(
        [
            min(float(s - low) if low is not None else 1.0, float(high - s) if high is not None else 1.0)
            for s, low, high in zip(proposed, found.low, found.high, strict=True)
        ]
    )
    rows = np.array([[float(x) for x in row] for row in found.rows])
    order = np.argsort(-room * np.linalg.norm(rows, axis=1), kind="stable")
    span, chosen = Span(len(found.linear)), []
    for k in order:
        if span.add(found.rows[k]):
            chosen.append(int(k))
            if span.is_full:
                break
    return chosen
