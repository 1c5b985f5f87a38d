"""Values and exact directional derivatives of a canonical expression, in extended precision, at a few points.

Used to check the lowering against torch, never as an argument for a claim.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from .expressions import Atom, Expressions
from .polynomials import Polynomial

Array = Any
Dual = tuple[Array, Array]
"""Values ``[n]`` and derivatives along one direction ``[n]``."""
_WIDE = np.longdouble


def _ratio(numerator: int, denominator: int) -> Any:
    """A fraction in extended precision: quotient and remainder, each rounded once."""
    shift = max(0, 200 - abs(numerator).bit_length() + denominator.bit_length())
    whole = (abs(numerator) << shift) // denominator
    excess = max(0, whole.bit_length() - 100)
    whole, shift = whole >> excess, shift - excess
    value = np.ldexp(_WIDE(whole >> 50), 50) + _WIDE(whole & ((1 << 50) - 1))
    value = np.ldexp(value, -shift)
    return -value if numerator < 0 else value


class Evaluator:
    """Evaluate polynomials of one table at ``z[n, d]`` along ``direction[n, d]``; atoms are shared."""

    def __init__(self, table: Expressions, z: Array, direction: Array) -> None:
        self.table = table
        self.z, self.direction = np.asarray(z, dtype=_WIDE), np.asarray(direction, dtype=_WIDE)
        self.zero = np.zeros(len(self.z), dtype=_WIDE)
        self._atoms: dict[int, Dual] = {}
        self._monomials: dict[int, Dual] = {}

    def __call__(self, p: Polynomial) -> tuple[Array, Array, Array]:
        """Values, derivatives, and the sum of the sizes of the terms (what cancels among them)."""
        value, slope, size = self.zero.copy(), self.zero.copy(), self.zero.copy()
        for monomial, numerator in p.terms.items():
            c = _ratio(numerator, p.denominator)
            v, s = self._monomial(monomial)
            value, slope, size = value + c * v, slope + c * s, size + abs(c * v)
        return value, slope, size

    def _monomial(self, monomial: int) -> Dual:
        found = self._monomials.get(monomial)
        if found is None:
            value, slope = self.zero + 1, self.zero
            for atom, exponent in self.table.monomials[monomial]:
                v, s = self._atom(atom)
                base = v**exponent
                slope = slope * base + value * exponent * v ** (exponent - 1) * s
                value = value * base
            found = self._monomials[monomial] = value, slope
        return found

    def _atom(self, number: int) -> Dual:
        found = self._atoms.get(number)
        if found is None:
            atom = self.table.atoms[number]
            if atom.kind == "z":
                j = int(atom.number)
                found = self.z[:, j], self.direction[:, j]
            else:
                found = _apply(atom, [self(a)[:2] for a in atom.arguments])
            self._atoms[number] = found
        return found


def _apply(atom: Atom, arguments: list[Dual]) -> Dual:
    (v, s) = arguments[0]
    kind = atom.kind
    if kind == "where":
        chosen = v != 0
        return np.where(chosen, arguments[1][0], arguments[2][0]), np.where(chosen, arguments[1][1], arguments[2][1])
    if kind in ("gt0", "ge0", "eq0"):
        outcome = {"gt0": v > 0, "ge0": v >= 0, "eq0": v == 0}[kind]
        return outcome.astype(_WIDE), 0 * s
    if kind == "pow":
        r = _ratio(atom.number.numerator, atom.number.denominator)
        return v**r, r * v ** (r - 1) * s
    value, derivative = _FUNCTIONS[kind](v)
    return value, derivative * s


def _double(function: Any) -> Any:
    return lambda v: np.asarray(function(np.asarray(v, dtype=np.float64)), dtype=_WIDE)


def _softplus(v: Array) -> Dual:
    return np.logaddexp(_WIDE(0), v), 1 / (1 + np.exp(-v))


def _sigmoid(v: Array) -> Dual:
    value = 1 / (1 + np.exp(-v))
    return value, value * (1 - value)


def _log_cdf(v: Array, root: float) -> Dual:
    """Log Phi(root v) and its derivative."""
    t = np.asarray(v * _WIDE(root), dtype=np.float64)
    value = special.log_ndtr(t)
    return value.astype(_WIDE), _WIDE(root) * np.exp(-t * t / 2 - value - np.log(2 * np.pi) / 2)


_erf, _gammaln, _digamma = _double(special.erf), _double(special.gammaln), _double(special.digamma)

_FUNCTIONS: dict[str, Any] = {
    "exp": lambda v: (np.exp(v), np.exp(v)),
    "log": lambda v: (np.log(v), 1 / v),
    "inv": lambda v: (1 / v, -1 / v**2),
    "softplus": _softplus,
    "sigmoid": _sigmoid,
    "abs": lambda v: (abs(v), np.sign(v)),
    "tanh": lambda v: (np.tanh(v), 1 - np.tanh(v) ** 2),
    "erf": lambda v: (_erf(v), 2 / np.sqrt(_WIDE(np.pi)) * np.exp(-v * v)),
    "sin": lambda v: (np.sin(v), np.cos(v)),
    "cos": lambda v: (np.cos(v), -np.sin(v)),
    "atan": lambda v: (np.arctan(v), 1 / (1 + v * v)),
    "log_ndtr": lambda v: _log_cdf(v, 1.0),
    "log_half_erfc": lambda v: _log_cdf(v, 2.0**0.5),
    "lgamma": lambda v: (_gammaln(v), _digamma(v)),
}
