"""Elementwise operations and comparisons of aten, as rules on scalar expressions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch

from . import functions as f
from .expressions import real
from .polynomials import ONE, Polynomial
from .refusals import Refused
from .tensors import Elements, Symbolic

Rule = Callable[..., Any]
_SATURATION = "the saturation of sigmoid by clamp (beyond about +-36) is read as sigmoid itself"
_TANH_SATURATION = "the saturation of tanh by clamp (beyond about +-18) is read as tanh itself"
_THRESHOLD = "softplus above its threshold is read as log(1 + e^x)"


def _scalar(value: Any) -> Fraction:
    if isinstance(value, (bool, int)):
        return Fraction(int(value))
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return Fraction(value)
    raise Refused(f"the number {value!r} as an argument")


def _unary(rule: Callable[..., Polynomial]) -> Rule:
    def apply(e: Elements, op: Any, x: Any) -> Symbolic:
        return e.unary(lambda p: rule(e.table, p), x)

    return apply


def _add(e: Elements, op: Any, x: Any, y: Any, alpha: Any = 1) -> Symbolic:
    a = _scalar(alpha)
    return e.binary(lambda p, q: e.table.combination([(1, p), (a, q)]), x, y)


def _sub(e: Elements, op: Any, x: Any, y: Any, alpha: Any = 1) -> Symbolic:
    a = -_scalar(alpha)
    return e.binary(lambda p, q: e.table.combination([(1, p), (a, q)]), x, y)


def _rsub(e: Elements, op: Any, x: Any, y: Any, alpha: Any = 1) -> Symbolic:
    return _sub(e, op, y, x, alpha)


def _mul(e: Elements, op: Any, x: Any, y: Any) -> Symbolic:
    return e.binary(e.table.multiply, x, y)


def _div(e: Elements, op: Any, x: Any, y: Any) -> Symbolic:
    inverses = e.unary(e.table.inverse, y)
    return e.binary(e.table.multiply, x, inverses)


def _power(e: Elements, op: Any, x: Any, y: Any) -> Symbolic:
    return e.binary(lambda p, q: _power_of(e, p, q), x, y)


def _power_of(e: Elements, p: Polynomial, q: Polynomial) -> Polynomial:
    real(p, q)
    exponent = q.constant
    if exponent is not None:
        return f.real_power(e.table, p, exponent)
    return f.exp(e.table, e.table.multiply(q, f.log(e.table, p)))


def _square(e: Elements, op: Any, x: Any) -> Symbolic:
    return e.unary(lambda p: e.table.multiply(p, p), x)


def _log1p(e: Elements, op: Any, x: Any) -> Symbolic:
    return e.unary(lambda p: f.log(e.table, e.table.add(e.table.one, p)), x)


def _expm1(e: Elements, op: Any, x: Any) -> Symbolic:
    return e.unary(lambda p: e.table.subtract(f.exp(e.table, p), e.table.one), x)


def _softplus(e: Elements, op: Any, x: Any, beta: Any = 1, threshold: Any = 20) -> Symbolic:
    b = _scalar(beta)
    if b <= 0:
        raise Refused("softplus with beta <= 0")
    if _scalar(threshold) < 20:
        raise Refused("softplus with a threshold below 20, which is not close to log(1 + e^x)")
    e.table.idealisations[_THRESHOLD] = None
    t = e.table
    return e.unary(lambda p: t.scaled(f.softplus(t, t.scaled(p, b)), 1 / b), x)


def _log_sigmoid(e: Elements, op: Any, x: Any) -> Any:
    out = e.unary(lambda p: e.table.scaled(f.softplus(e.table, e.table.scaled(p, -1)), -1), x)
    return [out, None] if "forward" in str(op) else out


def _odd(kind: str) -> Rule:
    return _unary(lambda t, p: f.odd(t, kind, p))


def _root(r: Fraction) -> Rule:
    return _unary(lambda t, p: f.real_power(t, p, r))


def _maximum(e: Elements, op: Any, x: Any, y: Any) -> Symbolic:
    return e.binary(lambda p, q: f.maximum(e.table, p, q), x, y)


def _minimum(e: Elements, op: Any, x: Any, y: Any) -> Symbolic:
    return e.binary(lambda p, q: f.minimum(e.table, p, q), x, y)


def _clamp(e: Elements, op: Any, x: Any, low: Any = None, high: Any = None) -> Symbolic:
    if all(v is None or isinstance(v, (int, float)) for v in (low, high)) and low is not None and high is not None:
        ids, table = e.lift(x), e.table
        if 0 <= low <= 2.0**-52 and 1 - 2.0**-51 <= high <= 1:
            if all(_inside_unit(table, p) for p in set(e.polynomials(ids))):
                table.idealisations[_SATURATION] = None
                return Symbolic(ids)
        if -1 <= low <= -1 + 2.0**-51 and 1 - 2.0**-51 <= high <= 1:
            if all(_is_tanh(table, p) for p in set(e.polynomials(ids))):
                table.idealisations[_TANH_SATURATION] = None
                return Symbolic(ids)
    out = x if low is None else _maximum(e, op, x, low)
    return out if high is None else _minimum(e, op, out, high)


def _inside_unit(table: Any, p: Polynomial) -> bool:
    """Whether p lies in (0, 1) because it is c prod sigmoid(q)^k, 0 < c <= 1, or 1 - sigmoid(q)."""
    single = p.single()
    if single is not None:
        monomial, c = single
        powers = table.monomials[monomial]
        return 0 < c <= 1 and bool(powers) and all(table.atoms[a].kind == "sigmoid" and k > 0 for a, k in powers)
    if len(p.terms) == 2 and p.coefficient(ONE) == 1:
        (other,) = (m for m in p.terms if m != ONE)
        powers = table.monomials[other]
        inside = len(powers) == 1 and powers[0][1] == 1 and table.atoms[powers[0][0]].kind == "sigmoid"
        return inside and p.coefficient(other) == -1
    return False


def _is_tanh(table: Any, p: Polynomial) -> bool:
    """Whether p lies in (-1, 1) because it is c tanh(q), |c| <= 1."""
    single = p.single()
    if single is None:
        return False
    powers = table.monomials[single[0]]
    return len(powers) == 1 and powers[0][1] == 1 and table.atoms[powers[0][0]].kind == "tanh" and abs(single[1]) <= 1


def _clamp_min(e: Elements, op: Any, x: Any, low: Any) -> Symbolic:
    return _maximum(e, op, x, low)


def _clamp_max(e: Elements, op: Any, x: Any, high: Any) -> Symbolic:
    return _minimum(e, op, x, high)


def _xlogy(e: Elements, op: Any, x: Any, y: Any) -> Symbolic:
    def rule(p: Polynomial, q: Polynomial) -> Polynomial:
        if p.constant == 0:
            return e.table.zero
        return e.table.multiply(p, f.log(e.table, q))

    return e.binary(rule, x, y)


def _logaddexp(e: Elements, op: Any, x: Any, y: Any) -> Symbolic:
    t = e.table
    return e.binary(lambda p, q: t.add(p, f.softplus(t, t.subtract(q, p))), x, y)


def _addcmul(e: Elements, op: Any, x: Any, a: Any, b: Any, value: Any = 1) -> Symbolic:
    return _add(e, op, x, _mul(e, op, a, b), value)


def _addcdiv(e: Elements, op: Any, x: Any, a: Any, b: Any, value: Any = 1) -> Symbolic:
    return _add(e, op, x, _div(e, op, a, b), value)


# -- comparisons and choices ---------------------------------------------------------------------------------------


def _compare(kind: str, swap: bool = False, negate: bool = False) -> Rule:
    def apply(e: Elements, op: Any, x: Any, y: Any) -> Any:
        def rule(p: Polynomial, q: Polynomial) -> Polynomial:
            first, second = (q, p) if swap else (p, q)
            value = f.above(e.table, kind, e.table.subtract(first, second))
            return e.table.subtract(e.table.one, value) if negate else value

        return e.decided(e.binary(rule, x, y))

    return apply


def _not(e: Elements, op: Any, x: Any) -> Any:
    if not x.boolean:
        raise Refused(f"{op} of numbers that depend on the unknowns")
    return e.decided(e.unary(lambda p: e.table.subtract(e.table.one, p), x))


def _indicator(x: Any) -> bool:
    return (isinstance(x, Symbolic) and x.boolean) or (isinstance(x, torch.Tensor) and x.dtype == torch.bool)


def _and(e: Elements, op: Any, x: Any, y: Any) -> Any:
    if not (_indicator(x) and _indicator(y)):
        raise Refused(f"{op} of numbers that depend on the unknowns")
    return e.decided(e.binary(e.table.multiply, x, y))


def _or(e: Elements, op: Any, x: Any, y: Any) -> Any:
    if not (_indicator(x) and _indicator(y)):
        raise Refused(f"{op} of numbers that depend on the unknowns")
    t = e.table
    return e.decided(e.binary(lambda p, q: t.combination([(1, p), (1, q), (-1, t.multiply(p, q))]), x, y))


def _where(e: Elements, op: Any, condition: Any, x: Any, y: Any) -> Symbolic:
    if not _indicator(condition):
        raise Refused("where with a condition that is not boolean")
    c, a, b = torch.broadcast_tensors(e.lift(condition), e.lift(x), e.lift(y))
    memo: dict[tuple[int, int, int], int] = {}
    out = []
    for triple in zip(c.reshape(-1).tolist(), a.reshape(-1).tolist(), b.reshape(-1).tolist(), strict=True):
        if triple not in memo:
            chosen = e.items[triple[0]].constant
            if chosen is not None:
                memo[triple] = triple[1] if chosen else triple[2]
            else:
                memo[triple] = e.add(f.where(e.table, *(e.items[i] for i in triple)))
        out.append(memo[triple])
    return Symbolic(torch.tensor(out, dtype=torch.int64).reshape(a.shape))


def _masked_fill(e: Elements, op: Any, x: Any, mask: Any, value: Any) -> Symbolic:
    return _where(e, op, mask, value, x)


RULES: dict[str, Rule] = {
    "add.Tensor": _add,
    "add.Scalar": _add,
    "sub.Tensor": _sub,
    "sub.Scalar": _sub,
    "rsub.Scalar": _rsub,
    "rsub.Tensor": _rsub,
    "mul.Tensor": _mul,
    "mul.Scalar": _mul,
    "div.Tensor": _div,
    "div.Scalar": _div,
    "neg.default": _unary(lambda t, p: t.scaled(p, -1)),
    "reciprocal.default": _unary(lambda t, p: t.inverse(p)),
    "pow.Tensor_Scalar": _power,
    "pow.Tensor_Tensor": _power,
    "pow.Scalar": _power,
    "square.default": _square,
    "exp.default": _unary(f.exp),
    "expm1.default": _expm1,
    "log.default": _unary(f.log),
    "log1p.default": _log1p,
    "sqrt.default": _root(Fraction(1, 2)),
    "rsqrt.default": _root(Fraction(-1, 2)),
    "abs.default": _unary(f.absolute),
    "sigmoid.default": _unary(f.sigmoid),
    "softplus.default": _softplus,
    "log_sigmoid.default": _log_sigmoid,
    "log_sigmoid_forward.default": _log_sigmoid,
    "tanh.default": _odd("tanh"),
    "erf.default": _odd("erf"),
    "erfc.default": _unary(lambda t, p: t.subtract(t.one, f.odd(t, "erf", p))),
    "special_log_ndtr.default": _unary(f.log_ndtr),
    "sin.default": _odd("sin"),
    "atan.default": _odd("atan"),
    "cos.default": _unary(f.cosine),
    "lgamma.default": _unary(f.log_gamma),
    "relu.default": _unary(f.relu),
    "maximum.default": _maximum,
    "minimum.default": _minimum,
    "clamp.default": _clamp,
    "clamp_min.default": _clamp_min,
    "clamp_max.default": _clamp_max,
    "xlogy.Tensor": _xlogy,
    "xlogy.Scalar_Self": _xlogy,
    "xlogy.Scalar_Other": _xlogy,
    "logaddexp.default": _logaddexp,
    "addcmul.default": _addcmul,
    "addcdiv.default": _addcdiv,
    "gt.Scalar": _compare("gt0"),
    "gt.Tensor": _compare("gt0"),
    "ge.Scalar": _compare("ge0"),
    "ge.Tensor": _compare("ge0"),
    "lt.Scalar": _compare("gt0", swap=True),
    "lt.Tensor": _compare("gt0", swap=True),
    "le.Scalar": _compare("ge0", swap=True),
    "le.Tensor": _compare("ge0", swap=True),
    "eq.Scalar": _compare("eq0"),
    "eq.Tensor": _compare("eq0"),
    "ne.Scalar": _compare("eq0", negate=True),
    "ne.Tensor": _compare("eq0", negate=True),
    "logical_not.default": _not,
    "bitwise_not.default": _not,
    "logical_and.default": _and,
    "bitwise_and.Tensor": _and,
    "logical_or.default": _or,
    "bitwise_or.Tensor": _or,
    "where.self": _where,
    "where.ScalarSelf": _where,
    "where.ScalarOther": _where,
    "masked_fill.Scalar": _masked_fill,
    "masked_fill.Tensor": _masked_fill,
}
