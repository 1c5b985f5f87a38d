"""Sums, products and linear algebra of aten, as rules on scalar expressions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch

from . import functions as f
from .polynomials import Polynomial
from .refusals import Refused
from .tensors import Elements, Symbolic

Rule = Callable[..., Any]


def _dims(dim: Any) -> tuple[int, ...]:
    if dim is None:
        return ()
    return (dim,) if isinstance(dim, int) else tuple(dim)


def _no_cast(kwargs: dict[str, Any]) -> None:
    if kwargs.get("dtype") not in (None, torch.float64):
        raise Refused(f"a reduction in {kwargs['dtype']}, which rounds")


def _sum(e: Elements, op: Any, x: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Symbolic:
    _no_cast(kwargs)
    return e.reduce(e.table.total, x, _dims(dim), keepdim)


def _mean(e: Elements, op: Any, x: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Symbolic:
    _no_cast(kwargs)
    return e.reduce(lambda parts: e.table.scaled(e.table.total(parts), Fraction(1, len(parts))), x, _dims(dim), keepdim)


def _product(e: Elements, parts: list[Polynomial]) -> Polynomial:
    value = e.table.one
    for part in parts:
        value = e.table.multiply(value, part)
    return value


def _prod(e: Elements, op: Any, x: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Symbolic:
    _no_cast(kwargs)
    return e.reduce(lambda parts: _product(e, parts), x, _dims(dim), keepdim)


def _logsumexp(e: Elements, op: Any, x: Any, dim: Any, keepdim: bool = False) -> Symbolic:
    return e.reduce(lambda parts: _log_total(e, parts), x, _dims(dim), keepdim)


def _log_total(e: Elements, parts: list[Polynomial]) -> Polynomial:
    kept = [part for part in parts if part.special != "-inf"]
    return f.log(e.table, e.table.total(f.exp(e.table, part) for part in kept))


def _log_softmax(e: Elements, op: Any, x: Any, dim: int, half_to_float: bool = False) -> Symbolic:
    total = e.reduce(lambda parts: _log_total(e, parts), x, (dim,), True)
    return e.binary(e.table.subtract, x, total)


def _softmax(e: Elements, op: Any, x: Any, dim: int, half_to_float: bool = False) -> Symbolic:
    exponentials = e.unary(lambda p: f.exp(e.table, p), x)
    total = e.reduce(e.table.total, exponentials, (dim,), True)
    return e.binary(e.table.multiply, exponentials, e.unary(e.table.inverse, total))


def _cumulate(e: Elements, x: Any, dim: int, rule: Callable[[Polynomial, Polynomial], Polynomial]) -> Symbolic:
    ids = e.lift(x)
    if ids.dim() == 0:
        return Symbolic(ids)
    moved = ids.movedim(dim, 0)
    out = [moved[0]] if len(moved) else []
    for row in moved[1:]:
        out.append(e.binary(rule, Symbolic(out[-1]), Symbolic(row)).ids)
    return Symbolic(torch.stack(out).movedim(0, dim)) if out else Symbolic(ids)


def _cumsum(e: Elements, op: Any, x: Any, dim: int, **kwargs: Any) -> Symbolic:
    _no_cast(kwargs)
    return _cumulate(e, x, dim, e.table.add)


def _cumprod(e: Elements, op: Any, x: Any, dim: int, **kwargs: Any) -> Symbolic:
    _no_cast(kwargs)
    return _cumulate(e, x, dim, e.table.multiply)


# -- products of matrices ------------------------------------------------------------------------------------------


def _inner(e: Elements, left: list[Polynomial], right: list[Polynomial]) -> Polynomial:
    parts: list[tuple[int | Fraction, Polynomial]] = []
    for p, q in zip(left, right, strict=True):
        if p.special or q.special:
            raise Refused("a matrix product with entries that are inf or nan")
        c, d = p.constant, q.constant
        if c is not None:
            parts.append((c, q))
        elif d is not None:
            parts.append((d, p))
        else:
            parts.append((1, e.table.multiply(p, q)))
    return e.table.combination(parts)


def _matrix_product(e: Elements, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Numbers of ``a[n, k] b[k, m]``."""
    rows = [e.polynomials(row) for row in a]
    columns = [e.polynomials(column) for column in b.mT]
    out = [e.add(_inner(e, row, column)) for row in rows for column in columns]
    return torch.tensor(out, dtype=torch.int64).reshape(a.shape[0], b.shape[1])


def _mm(e: Elements, op: Any, a: Any, b: Any) -> Symbolic:
    return Symbolic(_matrix_product(e, e.lift(a), e.lift(b)))


def _rows(e: Elements, a: torch.Tensor, coordinates: list[Polynomial]) -> Symbolic | None:
    """``a @ z`` for numbers ``a[n, k]`` and k single terms with coefficient 1; None where it is anything else."""
    single = all(len(q.terms) == 1 and q.denominator == 1 and 1 in q.terms.values() for q in coordinates)
    monomials = [next(iter(q.terms)) for q in coordinates] if single else []
    if not monomials or len(set(monomials)) < len(monomials) or not bool(torch.isfinite(a).all()):
        return None
    e.table.spend(a.numel())
    out = []
    for row in a.tolist():
        ratios = [x.as_integer_ratio() for x in row]
        common = max(d for _, d in ratios)  # powers of two
        terms = {m: n * (common // d) for m, (n, d) in zip(monomials, ratios, strict=True) if n}
        out.append(e.add(e.table.plain(terms, common)))
    return Symbolic(torch.tensor(out, dtype=torch.int64))


def _mv(e: Elements, op: Any, a: Any, x: Any) -> Symbolic:
    if isinstance(a, torch.Tensor) and a.dtype == torch.float64 and isinstance(x, Symbolic):
        known = _rows(e, a, e.polynomials(x.ids))
        if known is not None:
            return known
    return Symbolic(_matrix_product(e, e.lift(a), e.lift(x)[:, None])[:, 0])


def _dot(e: Elements, op: Any, x: Any, y: Any) -> Symbolic:
    return Symbolic(_matrix_product(e, e.lift(x)[None], e.lift(y)[:, None])[0, 0])


def _bmm(e: Elements, op: Any, a: Any, b: Any) -> Symbolic:
    pairs = zip(e.lift(a), e.lift(b), strict=True)
    return Symbolic(torch.stack([_matrix_product(e, x, y) for x, y in pairs]))


def _plain(beta: Any, alpha: Any) -> None:
    if beta != 1 or alpha != 1:
        raise Refused("a matrix product with factors alpha or beta")


def _addmm(e: Elements, op: Any, c: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Symbolic:
    _plain(beta, alpha)
    return e.binary(e.table.add, c, _mm(e, op, a, b))


def _addmv(e: Elements, op: Any, c: Any, a: Any, x: Any, beta: Any = 1, alpha: Any = 1) -> Symbolic:
    _plain(beta, alpha)
    return e.binary(e.table.add, c, _mv(e, op, a, x))


def _baddbmm(e: Elements, op: Any, c: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Symbolic:
    _plain(beta, alpha)
    return e.binary(e.table.add, c, _bmm(e, op, a, b))


def _solve_triangular(
    e: Elements, op: Any, a: Any, b: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Symbolic:
    """Forward substitution; only the triangle that torch reads is read."""
    matrix, right = e.lift(a), e.lift(b)
    if matrix.dim() < 2 or not left:
        raise Refused("a triangular solve from the right")
    shape = torch.broadcast_shapes(matrix.shape[:-2], right.shape[:-2])
    matrix = matrix.expand(*shape, *matrix.shape[-2:]).reshape(-1, *matrix.shape[-2:])
    right = right.expand(*shape, *right.shape[-2:])
    flat = right.reshape(-1, *right.shape[-2:])
    out = torch.stack([_substitute(e, m, r, upper, unitriangular) for m, r in zip(matrix, flat, strict=True)])
    return Symbolic(out.reshape(right.shape))


def _substitute(e: Elements, matrix: torch.Tensor, right: torch.Tensor, upper: bool, unit: bool) -> torch.Tensor:
    n = len(matrix)
    entries = [e.polynomials(row) for row in matrix]
    out = torch.zeros_like(right)
    diagonal = [e.table.one if unit else e.table.inverse(entries[i][i]) for i in range(n)]
    for column in range(right.shape[1]):
        wanted = e.polynomials(right[:, column])
        solved: dict[int, Polynomial] = {}
        for i in reversed(range(n)) if upper else range(n):
            known = list(solved)
            rest = _inner(e, [entries[i][j] for j in known], [solved[j] for j in known])
            solved[i] = e.table.multiply(diagonal[i], e.table.subtract(wanted[i], rest))
            out[i, column] = e.add(solved[i])
    return out


RULES: dict[str, Rule] = {
    "sum.default": _sum,
    "sum.dim_IntList": _sum,
    "mean.default": _mean,
    "mean.dim": _mean,
    "prod.default": _prod,
    "prod.dim_int": _prod,
    "cumsum.default": _cumsum,
    "cumprod.default": _cumprod,
    "logsumexp.default": _logsumexp,
    "_log_softmax.default": _log_softmax,
    "_softmax.default": _softmax,
    "mm.default": _mm,
    "mv.default": _mv,
    "dot.default": _dot,
    "bmm.default": _bmm,
    "addmm.default": _addmm,
    "addmv.default": _addmv,
    "baddbmm.default": _baddbmm,
    "linalg_solve_triangular.default": _solve_triangular,
}
