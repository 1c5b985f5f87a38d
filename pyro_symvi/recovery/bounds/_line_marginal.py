r"""The exact marginal of one coordinate when all others are Gaussian given it.

With J the others and y the one, :math:`\log p = -\tfrac12 z_J^\top\Lambda(y)z_J + b(y)^\top z_J + h(y)` gives

.. math:: \log m(y) = h(y) + \tfrac12 b(y)^\top\Lambda(y)^{-1}b(y) - \tfrac12\log\det\Lambda(y),\qquad
    E[z_J\mid y] = \Lambda(y)^{-1}b(y),\quad \mathrm{Cov}[z_J\mid y] = \Lambda(y)^{-1}.

The coefficients are exact rationals (`analysis.gaussian_block`), moved to a nearby centre before they are rounded once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from ..analysis import exact
from ..analysis.expressions import Expressions
from ..analysis.gaussian_block import Factor, grouped
from ..analysis.numerics import Evaluator, _ratio
from ..analysis.polynomials import Polynomial
from ..analysis.refusals import Refused

Array = Any
_WIDE = np.longdouble
_EPS = float(np.finfo(_WIDE).eps)
_ELEMENTS = 2**17
_NOISE = 0.05
"""Where log m is known only to more nats than this, it is not used."""


@dataclass(frozen=True)
class OnLine:
    """Values at nodes ``y[n]``.

    Attributes:
        log_marginal: ``[n]``; minus infinity where it could not be computed.
        mean: Conditional means less the centre, ``[n, k]``.
        covariance: ``[n, k, k]``.
        definite: Where the precision had a Cholesky factor and log m is known well enough, ``[n]``.
    """

    log_marginal: Array
    mean: Array
    covariance: Array
    definite: Array


class LineMarginal:
    """The marginal of coordinate ``nuisance`` of a density whose exact expression is ``p``.

    Raises:
        Refused: log p is not quadratic in the others, or its terms in y are not of the kinds `Features` knows.
    """

    def __init__(self, table: Expressions, p: Polynomial, nuisance: int, dim: int) -> None:
        self.table, self.nuisance, self.dim = table, nuisance, dim
        self.block = tuple(j for j in range(dim) if j != nuisance)
        self.factors = list(grouped(table, p, self.block).values())
        self.features = Features(table, nuisance, self.factors)
        self.center: tuple[Fraction, ...] = (Fraction(0),) * len(self.block)
        self._wide = self._rounded(self.factors)

    def recenter(self, y: float) -> None:
        """Expand about the conditional mean at y (rounded), exactly: nothing large is left to cancel there."""
        found = self(np.array([y]))
        if bool(found.definite[0]):
            moved = [c + Fraction(float(m)) for c, m in zip(self.center, found.mean[0], strict=True)]
            self.center = tuple(moved)
            self._wide = self._rounded([_about(f, moved) for f in self.factors])

    def __call__(self, y: Array) -> OnLine:
        """Evaluate at nodes ``y[n]``, in extended precision where the platform has it."""
        with np.errstate(all="ignore"):
            return _integrated(*self._coefficients(y))

    def scan(self, y: Array) -> Array:
        """Log m alone at many nodes, minus infinity where it could not be computed, ``[n]``."""
        size = max(1, _ELEMENTS // max(1, len(self.block) ** 2))
        with np.errstate(all="ignore"):
            parts = [_factored(*self._coefficients(part))[0] for part in np.split(y, range(size, len(y), size))]
        return np.concatenate(parts)

    def _coefficients(self, y: Array) -> tuple[Array, Array, Array, Array]:
        """Precision ``[n, k, k]``, vector ``[n, k]``, height and the sum of the sizes of its terms ``[n]``."""
        n, k = len(y), len(self.block)
        z = np.zeros((n, self.dim), dtype=_WIDE)
        z[:, self.nuisance] = y
        evaluate = Evaluator(self.table, z, np.zeros_like(z))
        precision, vector = np.zeros((n, k, k), dtype=_WIDE), np.zeros((n, k), dtype=_WIDE)
        height, size = np.zeros(n, dtype=_WIDE), np.zeros(n, dtype=_WIDE)
        for monomial, matrix, linear, constant in self._wide:
            r = evaluate(Polynomial({monomial: 1}, 1, self.table.monomial_sign(monomial)))[0]
            precision += r[:, None, None] * matrix
            vector += r[:, None] * linear
            height += r * constant
            size += abs(r * constant)
        return precision, vector, height, size

    def _rounded(self, factors: list[Factor]) -> list[tuple[int, Array, Array, Array]]:
        k = len(self.block)
        return [
            (f.monomial, _wide(f.matrix).reshape(k, k), _wide([f.vector]).reshape(k), _wide([[f.constant]])[0, 0])
            for f in factors
        ]


def _factored(precision: Array, vector: Array, height: Array, size: Array) -> tuple[Array, Array, Array, Array]:
    """Log m, the scales of the diagonal, the Cholesky factor L of the scaled precision, L^-1 of the scaled vector."""
    k = vector.shape[1]
    unit = np.sqrt(np.einsum("nii->ni", precision))
    scaled = precision / (unit[:, :, None] * unit[:, None, :])
    low, white = np.zeros_like(scaled), np.zeros_like(vector)
    for j in range(k):
        column = scaled[:, j:, j] - np.einsum("nik,nk->ni", low[:, j:, :j], low[:, j, :j])
        low[:, j:, j] = column / np.sqrt(column[:, :1])
        white[:, j] = (vector[:, j] / unit[:, j] - (low[:, j, :j] * white[:, :j]).sum(-1)) / low[:, j, j]
    quadratic = np.square(white).sum(-1) / 2
    pivots = np.einsum("nii->ni", low)
    log_m = height + quadratic - (np.log(pivots) + np.log(unit)).sum(-1)
    condition = (1 + k) / np.square(pivots).min(-1, initial=1.0)
    noise = 16 * _EPS * ((size + quadratic) * (1 + k) + condition * (1 + quadratic))
    known = np.isfinite(log_m) & (noise < _NOISE)
    return np.where(known, log_m, -np.inf), unit, low, white


def _integrated(precision: Array, vector: Array, height: Array, size: Array) -> OnLine:
    """Integrate the block out, by Cholesky factors of the precisions scaled to unit diagonal."""
    log_m, unit, low, white = _factored(precision, vector, height, size)
    k = vector.shape[1]
    inverse = np.zeros_like(low)
    for i in range(k):
        inverse[:, i, :i] = -np.einsum("nj,njk->nk", low[:, i, :i], inverse[:, :i, :i]) / low[:, i, i, None]
        inverse[:, i, i] = 1 / low[:, i, i]
    covariance = np.einsum("nki,nkj->nij", inverse, inverse) / (unit[:, :, None] * unit[:, None, :])
    mean = np.einsum("nki,nk->ni", inverse, white) / unit
    definite = np.isfinite(log_m) & np.isfinite(mean).all(-1)
    return OnLine(np.where(definite, log_m, -np.inf), mean, covariance, definite)


def _about(f: Factor, c: list[Fraction]) -> Factor:
    """The same function of ``z - c``."""
    moved = exact.multiply_vector(f.matrix, c)
    constant = f.constant + sum((x * (b - m / 2) for x, b, m in zip(c, f.vector, moved, strict=True)), Fraction(0))
    return Factor(f.monomial, f.matrix, [b - m for b, m in zip(f.vector, moved, strict=True)], constant)


def _wide(rows: Any) -> Array:
    return np.array([[_ratio(x.numerator, x.denominator) for x in row] for row in rows], dtype=_WIDE)


class Features:
    r"""Where, and how fast, terms in y can change: what a scan of the line must cover.

    Known are :math:`y`, :math:`y^2`, :math:`e^{ay}`, and softplus, sigmoid and tanh of :math:`ay + b`; logarithms,
    reciprocals and powers of sums :math:`\sum_k c_k e^{a_k y}` with positive coefficients; and their products. Each
    changes over a length :math:`1/|a|`, and no farther out than terms of different slopes are equal, :math:`|\log
    (c_k/c_l)|/|a_k-a_l|`. Gaussians of one width in a logarithm are a quadratic and such a sum, so their modes
    lie within reach; Gaussians of *different* widths are refused: they can hide a mode anywhere.

    Attributes:
        steepest: The largest \|a\|.
        reach: How far from zero terms may still be equal.

    Raises:
        Refused: Another kind of term.
    """

    def __init__(self, table: Expressions, nuisance: int, factors: list[Factor]) -> None:
        self.table, self._own = table, table.coordinate_atom(nuisance)
        self._slopes: set[Fraction] = {Fraction(0)}
        self._logs: list[float] = [0.0]
        for f in factors:
            self._monomial(f.monomial)
            for number in _numbers(f):
                self._coefficient(number)
        slopes = sorted(self._slopes)
        gaps = [float(b - a) for a, b in pairwise(slopes)]
        self.steepest = float(max(abs(a) for a in slopes)) or 1.0
        self.reach = 2 * (max(self._logs) - min(self._logs)) / min(gaps, default=1.0)

    def _coefficient(self, c: Fraction) -> None:
        if c:
            self._logs.append(float(np.log(abs(_ratio(c.numerator, c.denominator)))))

    def _monomial(self, monomial: int) -> Fraction | None:
        """Check one; its slope where it is a product of exponentials, else None."""
        slope: Fraction | None = Fraction(0)
        for number, power in self.table.monomials[monomial]:
            atom = self.table.atoms[number]
            if number == self._own:
                if not 1 <= power <= 2:
                    raise Refused(f"the power {power} of {self.table.atom_text(number)} is not of a kind that is known")
                slope = None
            elif atom.kind == "exp":
                slope = None if slope is None else slope + power * self._affine(atom.arguments[0])
            elif atom.kind in ("softplus", "sigmoid", "tanh"):
                self._affine(atom.arguments[0])
                slope = None
            elif atom.kind in ("log", "inv", "pow"):
                self._sum_of_exponentials(atom.arguments[0], number)
                slope = None
            else:
                raise Refused(f"{self.table.atom_text(number)} is not of a kind whose features are known")
        if slope is not None:
            self._slopes.add(slope)
        return slope

    def _affine(self, p: Polynomial) -> Fraction:
        own = self.table.monomial(((self._own, 1),))
        for monomial in p.terms:
            if monomial != own and self.table.monomial_depends(monomial):
                raise Refused(f"a function of {self.table.text(p)}, which is not affine, may have features anywhere")
        a = p.coefficient(own)
        self._slopes.add(a)
        constants = [abs(p.coefficient(m)) for m in p.terms if m != own]
        self._logs += [float(sum(constants, Fraction(0))), -float(sum(constants, Fraction(0)))]
        return a

    def _sum_of_exponentials(self, p: Polynomial, number: int) -> None:
        for monomial, numerator in p.terms.items():
            if numerator < 0 or self._monomial(monomial) is None:
                raise Refused(f"{self.table.atom_text(number)} is not of a kind whose features are known")
            self._coefficient(p.coefficient(monomial))


def _numbers(f: Factor) -> Iterator[Fraction]:
    yield f.constant
    yield from f.vector
    for row in f.matrix:
        yield from row
