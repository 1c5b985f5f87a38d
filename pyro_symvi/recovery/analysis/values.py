"""Values of a canonical expression at many points in double precision: a fast filter in front of exact checks.

Nothing is proved here: what clearly differs is not worth an exact comparison, and everything else gets one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from .expressions import Expressions
from .polynomials import Polynomial

Array = Any
_APART = 1e-6


class Values:
    """Evaluates one polynomial, its atoms grouped by depth and kind so that each group is one array operation.

    Args:
        table: Where it lives.
        p: The polynomial.
    """

    def __init__(self, table: Expressions, p: Polynomial) -> None:
        self.table = table
        numbers = sorted(_reachable(table, p))
        self._place = {number: i for i, number in enumerate(numbers)}
        depth: dict[int, int] = {}
        steps: dict[tuple[int, str, Any], list[int]] = {}
        for number in numbers:
            atom = table.atoms[number]
            inside = [a for q in atom.arguments for m in q.terms for a, _ in table.monomials[m]]
            depth[number] = 1 + max((depth[a] for a in inside), default=-1)
            extra = number if atom.kind == "where" else atom.number if atom.kind == "pow" else None
            steps.setdefault((depth[number], atom.kind, extra), []).append(number)
        self._steps: list[tuple[str, Array, Any, float | None]] = []
        for (_, kind, _), members in sorted(steps.items(), key=lambda item: item[0][0]):
            rows = np.array([self._place[a] for a in members])
            atoms = [table.atoms[a] for a in members]
            if kind == "z":
                self._steps.append((kind, rows, [int(a.number) for a in atoms], None))
            else:
                sums = [
                    _Sums(table, self._place, [a.arguments[k] for a in atoms]) for k in range(len(atoms[0].arguments))
                ]
                self._steps.append((kind, rows, sums, float(atoms[0].number) if kind == "pow" else None))
        self._last = _Sums(table, self._place, [p])

    def __call__(self, z: Array) -> tuple[Array, Array]:
        """Values ``[n]`` at ``z[n, d]``, and the sums of the sizes of the terms."""
        values = np.ones((len(self._place), len(z)))
        with np.errstate(all="ignore"):
            for kind, rows, what, number in self._steps:
                if kind == "z":
                    values[rows] = z.T[what]
                else:
                    values[rows] = _apply(kind, [sums(values)[0] for sums in what], number)
            (value,), (size,) = self._last(values)
        return value, size


class _Sums:
    """Several polynomials as one sparse matrix on their monomials."""

    def __init__(self, table: Expressions, place: dict[int, int], polynomials: list[Polynomial]) -> None:
        from scipy import sparse

        monomials: dict[int, int] = {}
        rows, columns, data = [], [], []
        for i, p in enumerate(polynomials):
            for monomial, numerator in p.terms.items():
                rows.append(i)
                columns.append(monomials.setdefault(monomial, len(monomials)))
                data.append(_float(numerator, p.denominator))
        self.matrix = sparse.csr_matrix((data, (rows, columns)), shape=(len(polynomials), len(monomials)))
        self.sizes = abs(self.matrix)
        self.count = len(monomials)
        factors: dict[int, list[tuple[int, int, int]]] = {}
        for monomial, i in monomials.items():
            for k, (atom, power) in enumerate(table.monomials[monomial]):
                factors.setdefault(k, []).append((i, place[atom], power))
        self.factors = [np.array(f) for f in factors.values()]

    def __call__(self, values: Array) -> tuple[Array, Array]:
        products = np.ones((self.count, values.shape[1]))
        for f in self.factors:
            products[f[:, 0]] *= values[f[:, 1]] ** f[:, 2].astype(float)[:, None]
        return self.matrix @ products, self.sizes @ abs(products)


def _float(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator
    except OverflowError:
        return float("nan")


def _reachable(table: Expressions, p: Polynomial) -> set[int]:
    seen: set[int] = set()
    stack = [a for m in p.terms for a, _ in table.monomials[m]]
    while stack:
        number = stack.pop()
        if number not in seen:
            seen.add(number)
            stack += [a for q in table.atoms[number].arguments for m in q.terms for a, _ in table.monomials[m]]
    return seen


def _apply(kind: str, arguments: list[Array], number: float | None) -> Array:
    v = arguments[0]
    if kind == "where":
        return np.where(v != 0, arguments[1], arguments[2])
    if kind == "pow":
        return v**number
    function = _FUNCTIONS.get(kind)
    return np.full_like(v, np.nan) if function is None else function(v)


_FUNCTIONS: dict[str, Any] = {
    "exp": np.exp,
    "log": np.log,
    "inv": lambda v: 1 / v,
    "softplus": lambda v: np.logaddexp(0, v),
    "sigmoid": special.expit,
    "abs": abs,
    "tanh": np.tanh,
    "erf": special.erf,
    "sin": np.sin,
    "cos": np.cos,
    "atan": np.arctan,
    "lgamma": special.gammaln,
    "log_ndtr": special.log_ndtr,
    "log_half_erfc": lambda v: special.log_ndtr(v * np.sqrt(2)),
    "gt0": lambda v: (v > 0) * 1.0,
    "ge0": lambda v: (v >= 0) * 1.0,
    "eq0": lambda v: (v == 0) * 1.0,
}


def clearly_differs(table: Expressions, p: Polynomial, images: dict[int, Polynomial], points: int = 3) -> bool:
    """Whether p changes visibly at a few points under z_j -> images[j]: then it is not invariant.

    False says nothing. An answer True only leaves a proof out.
    """
    dim = max((bits.bit_length() for bits in (table.depends(p), *(1 << j for j in images))), default=1)
    dim = max([dim, *(table.depends(q).bit_length() for q in images.values())])
    z = np.random.default_rng(8).normal(size=(points, dim)) * 0.7
    moved = z.copy()
    for j, image in images.items():
        moved[:, j] = Values(table, image)(z)[0]
    evaluate = table.kept(("values", p.key), lambda: Values(table, p))
    value, size = evaluate(np.concatenate([z, moved]))
    finite = np.isfinite(value)
    if bool((finite[:points] & ~finite[points:]).any()):
        return True  # an invariance exchanges the terms, so it would meet no larger ones
    with np.errstate(invalid="ignore"):
        gap, scale = abs(value[:points] - value[points:]), 1 + size[:points] + size[points:]
    return bool((gap > _APART * scale).any())
