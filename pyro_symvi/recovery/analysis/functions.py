r"""The elementary functions on canonical expressions, each with its rewrites, written once.

Rewrites are identities of real numbers where their obligations hold: laws of exp and log, log sigma(q) = -softplus(-q),
log(e^p + e^q) = p + softplus(q - p), softplus(-q) = softplus(q) - q, relu(q) = (q + |q|)/2, odd and even functions with
the sign of their argument fixed. They make parity and curvature questions of syntax.
"""

from __future__ import annotations

import math
from fractions import Fraction

from . import signs
from .expressions import Expressions, real
from .polynomials import ONE, Polynomial
from .quadratic_signs import quadratic_sign
from .refusals import Refused

_HALF = Fraction(1, 2)
_LONGEST_PRODUCT = 200
_ERF_CANCELS = "log(1 + erf(u)) is read without rounding (torch gives -inf below u of about -5.9; log_ndtr does not)"


def exp(t: Expressions, p: Polynomial) -> Polynomial:
    """e^p; integer multiples of logarithms leave the exponent: e^(p + k log q) = q^k e^p."""
    real(p)
    if not p.terms:
        return t.one
    outside, logs = t.one, []
    for monomial, numerator in p.terms.items():
        powers = t.monomials[monomial]
        if len(powers) == 1 and powers[0][1] == 1 and t.atoms[powers[0][0]].kind == "log":
            k = Fraction(numerator, p.denominator)
            if k.denominator == 1 and abs(k) <= 8:
                argument = t.atoms[powers[0][0]].arguments[0]
                outside = t.multiply(outside, t.power(argument, int(k)))
                logs.append((-k, t.function("log", argument)))
    if logs:
        p = t.combination([(1, p), *logs])
        return t.multiply(outside, exp(t, p))
    return t.function("exp", p, sign=signs.POSITIVE)


def log(t: Expressions, p: Polynomial) -> Polynomial:
    """Log p; p must be positive."""
    real(p)
    if not p.terms:
        raise Refused("a logarithm of zero")
    common, p = _common_factor(t, p)
    if common != ONE:
        return t.add(_log_of_product(t, common, Fraction(1)), log(t, p))
    sign = quadratic_sign(t, p)
    if sign != signs.POSITIVE:
        t.require(f"a logarithm's argument that is positive: {t.text(p)}", p)
    single = p.single()
    if single is not None:
        return _log_of_product(t, *single)
    half = _erf_complement(t, p)
    if half is not None:
        t.idealisations[_ERF_CANCELS] = None
        return t.add(_log_number(t, 2 * half[0]), log_half_erfc(t, half[1]))
    complement = _sigmoid_complement(t, p)
    if complement is not None:
        c, q = complement
        return t.subtract(_log_number(t, c), softplus(t, q))
    divided = _without_complement(t, p)
    if divided is not None:
        return t.subtract(log(t, divided[1]), softplus(t, divided[0]))
    two = _two_exponentials(t, p)
    if two is not None:
        (c, first), (d, second) = two
        inner = t.total([second, t.scaled(first, -1), _log_number(t, d / c)])
        return t.total([first, _log_number(t, c), softplus(t, inner)])
    return t.function("log", p, sign=_log_sign(t, p))


def _common_factor(t: Expressions, p: Polynomial) -> tuple[int, Polynomial]:
    """Sigmoids that are factors of every term (of several), and what they multiply."""
    if len(p.terms) < 2:
        return ONE, p
    shared: dict[int, int] | None = None
    for monomial in p.terms:
        powers = {a: k for a, k in t.monomials[monomial] if t.atoms[a].kind == "sigmoid" and k > 0}
        if shared is None:
            shared = powers
        else:
            shared = {a: min(k, powers[a]) for a, k in shared.items() if a in powers}
    if not shared:
        return ONE, p
    common = t.monomial(tuple(sorted(shared.items())))
    divisor = t.monomial_power(common, -1)
    terms = {t.times(monomial, divisor): n for monomial, n in p.terms.items()}
    return common, Polynomial(terms, p.denominator, t.sign(p))  # a positive factor keeps the sign


def _log_sign(t: Expressions, p: Polynomial) -> int:
    """Log p is not negative where p - 1 is not."""
    rest = t.sign(t.subtract(p, t.one))
    return rest if rest in (signs.POSITIVE, signs.NEGATIVE, signs.ZERO, signs.NON_NEGATIVE, signs.NON_POSITIVE) else 7


def _log_number(t: Expressions, c: Fraction) -> Polynomial:
    if c == 1:
        return t.zero
    if c <= 0:
        raise Refused("a logarithm of a number that is not positive")
    return t.function("log", t.number(c), sign=signs.of_number(c - 1))


def _log_of_product(t: Expressions, monomial: int, c: Fraction) -> Polynomial:
    """Split where every factor is known to be positive."""
    powers = t.monomials[monomial]
    if c <= 0 or any(t.atoms[a].sign != signs.POSITIVE for a, _ in powers):
        p = Polynomial({monomial: c.numerator}, c.denominator, signs.ANY)
        return t.function("log", p)
    parts: list[tuple[int | Fraction, Polynomial]] = [(1, _log_number(t, c))]
    for a, k in powers:
        atom = t.atoms[a]
        if atom.kind == "exp":
            parts.append((k, atom.arguments[0]))
        elif atom.kind == "sigmoid":
            parts += [(k, atom.arguments[0]), (-k, softplus(t, atom.arguments[0]))]
        elif atom.kind == "inv":
            parts.append((-k, log(t, atom.arguments[0])))
        elif atom.kind == "pow":
            parts.append((k * atom.number, log(t, atom.arguments[0])))
        else:
            itself = Polynomial({t.monomial(((a, 1),)): 1}, 1, atom.sign)
            parts.append((k, t.function("log", itself)))
    return t.combination(parts)


def _sigmoid_complement(t: Expressions, p: Polynomial) -> tuple[Fraction, Polynomial] | None:
    """``(c, q)`` if p = c (1 - sigmoid(q)), c > 0."""
    if len(p.terms) != 2 or ONE not in p.terms:
        return None
    (other,) = (m for m in p.terms if m != ONE)
    powers = t.monomials[other]
    c = p.coefficient(ONE)
    if len(powers) == 1 and powers[0][1] == 1 and t.atoms[powers[0][0]].kind == "sigmoid" and c > 0:
        if p.coefficient(other) == -c:
            return c, t.atoms[powers[0][0]].arguments[0]
    return None


def _without_complement(t: Expressions, p: Polynomial) -> tuple[Polynomial, Polynomial] | None:
    """``(q, a)`` if p = a (1 - sigmoid(q)): linear in a sigmoid, and zero where that is one."""
    if not 2 < len(p.terms) <= _LONGEST_PRODUCT:
        return None
    seen = {a for m in p.terms for a, _ in t.monomials[m] if t.atoms[a].kind == "sigmoid"}
    for s in sorted(seen):
        inside: dict[int, int] = {}
        outside: dict[int, int] = {}
        for monomial, numerator in p.terms.items():
            powers = dict(t.monomials[monomial])
            if s not in powers:
                outside[monomial] = numerator
            elif powers.pop(s) == 1:
                inside[t.monomial(tuple(sorted(powers.items())))] = -numerator
        if inside == outside and 2 * len(inside) == len(p.terms):
            sign = signs.POSITIVE if t.sign(p) == signs.POSITIVE else signs.ANY  # 1 - sigmoid(q) is positive
            return t.atoms[s].arguments[0], Polynomial(outside, p.denominator, sign)
    return None


def _erf_complement(t: Expressions, p: Polynomial) -> tuple[Fraction, Polynomial] | None:
    """``(c, q)`` if p = c (1 + erf(q)), c > 0."""
    if len(p.terms) != 2 or ONE not in p.terms:
        return None
    (other,) = (m for m in p.terms if m != ONE)
    powers, c, d = t.monomials[other], p.coefficient(ONE), p.coefficient(other)
    if len(powers) == 1 and powers[0][1] == 1 and t.atoms[powers[0][0]].kind == "erf" and c > 0 and abs(d) == c:
        q = t.atoms[powers[0][0]].arguments[0]
        return c, q if d > 0 else t.scaled(q, -1)
    return None


def log_half_erfc(t: Expressions, p: Polynomial) -> Polynomial:
    """log((1 + erf(p))/2) = log Phi(sqrt(2) p)."""
    real(p)
    return t.function("log_half_erfc", p, sign=signs.NEGATIVE)


def log_ndtr(t: Expressions, p: Polynomial) -> Polynomial:
    """Log Phi(p), Phi the distribution function of the standard normal law."""
    real(p)
    return t.function("log_ndtr", p, sign=signs.NEGATIVE)


def _two_exponentials(
    t: Expressions, p: Polynomial
) -> tuple[tuple[Fraction, Polynomial], tuple[Fraction, Polynomial]] | None:
    """``((c, u), (d, v))`` if p = c e^u + d e^v with c, d > 0."""
    if len(p.terms) != 2:
        return None
    found = []
    for monomial in sorted(p.terms):
        powers, c = t.monomials[monomial], p.coefficient(monomial)
        if c <= 0:
            return None
        if not powers:
            found.append((c, t.zero))
        elif len(powers) == 1 and t.atoms[powers[0][0]].kind == "exp":
            found.append((c, t.atoms[powers[0][0]].arguments[0]))
        else:
            return None
    return found[0], found[1]


def softplus(t: Expressions, p: Polynomial) -> Polynomial:
    """log(1 + e^p); softplus(-q) = softplus(q) - q, and softplus(-c|q|) = softplus(c q) - relu(c q)."""
    real(p)
    inside = _multiple_of_absolute(t, p)
    if inside is not None:
        c, q = inside
        scaled = t.scaled(q, abs(c))
        value = t.subtract(softplus(t, scaled), relu(t, scaled))
        return t.add(value, absolute(t, scaled)) if c > 0 else value
    orientation, q = t.oriented(p)
    value = t.function("softplus", q, sign=signs.POSITIVE)
    return value if orientation > 0 else t.subtract(value, q)


def _multiple_of_absolute(t: Expressions, p: Polynomial) -> tuple[Fraction, Polynomial] | None:
    single = p.single()
    if single is None:
        return None
    powers = t.monomials[single[0]]
    if len(powers) == 1 and powers[0][1] == 1 and t.atoms[powers[0][0]].kind == "abs":
        return single[1], t.atoms[powers[0][0]].arguments[0]
    return None


def sigmoid(t: Expressions, p: Polynomial) -> Polynomial:
    """1/(1 + e^-p); sigmoid(-q) = 1 - sigmoid(q)."""
    orientation, q = t.oriented(p)
    value = t.function("sigmoid", q, sign=signs.POSITIVE)
    if orientation > 0:
        return value
    value = t.subtract(t.one, value)
    value.sign = signs.POSITIVE
    return value


def absolute(t: Expressions, p: Polynomial) -> Polynomial:
    """|p|; +-p where its sign is known, |c q| = |c| |q|."""
    real(p)
    sign = t.sign(p)
    if not sign & signs.NEGATIVE:
        return p
    if not sign & signs.POSITIVE:
        return t.scaled(p, -1)
    outside = _factors_of_known_sign(t, p)
    if outside is not None:
        return t.multiply(outside[0], absolute(t, outside[1]))
    lead = t.leading(p)
    value = t.function("abs", t.scaled(p, 1 / lead), sign=(sign & signs.ZERO) | signs.POSITIVE)
    return t.scaled(value, abs(lead))


def _factors_of_known_sign(t: Expressions, p: Polynomial) -> tuple[Polynomial, Polynomial] | None:
    """``(r, q)`` with |p| = r |q|, r >= 0, for one term with factors that are not negative; None if it has none."""
    single = p.single()
    if single is None:
        return None
    known = [(a, k) for a, k in t.monomials[single[0]] if not signs.power(t.atoms[a].sign, k) & signs.NEGATIVE]
    unknown = [pair for pair in t.monomials[single[0]] if pair not in known]
    if not known or not unknown:
        return None
    factor = t.monomial(tuple(known))
    c = single[1]
    rest = Polynomial({t.monomial(tuple(unknown)): c.numerator}, c.denominator, signs.ANY)
    return Polynomial({factor: 1}, 1, t.monomial_sign(factor)), rest


def relu(t: Expressions, p: Polynomial) -> Polynomial:
    """max(p, 0) = (p + |p|)/2."""
    value = t.combination([(_HALF, p), (_HALF, absolute(t, p))])
    sign = t.sign(p)
    value.sign &= (sign & signs.NON_NEGATIVE) | (signs.ZERO if sign & signs.NEGATIVE else 0)
    return value


def maximum(t: Expressions, p: Polynomial, q: Polynomial) -> Polynomial:
    """max(p, q) = q + relu(p - q)."""
    if q.special == "-inf":
        return p
    if p.special == "-inf":
        return q
    real(p, q)
    value = t.add(q, relu(t, t.subtract(p, q)))
    value.sign &= _largest(t.sign(p), t.sign(q))
    return value


def minimum(t: Expressions, p: Polynomial, q: Polynomial) -> Polynomial:
    """min(p, q) = -max(-p, -q)."""
    if q.special == "inf":
        return p
    if p.special == "inf":
        return q
    real(p, q)
    return t.scaled(maximum(t, t.scaled(p, -1), t.scaled(q, -1)), -1)


def _largest(a: int, b: int) -> int:
    """The sign of the larger of two numbers."""
    found = 0
    for x in (signs.NEGATIVE, signs.ZERO, signs.POSITIVE):
        for y in (signs.NEGATIVE, signs.ZERO, signs.POSITIVE):
            if a & x and b & y:
                found |= max(x, y)
    return found


def real_power(t: Expressions, p: Polynomial, r: Fraction) -> Polynomial:
    """p^r for a rational r; for non-integers p must not be negative (positive if r < 0)."""
    real(p)
    if r.denominator == 1:
        return t.power(p, int(r))
    sign = quadratic_sign(t, p)
    needed = signs.NON_NEGATIVE if r > 0 else signs.POSITIVE
    if sign & ~needed:
        t.require(f"a base that is {'not negative' if r > 0 else 'positive'}: {t.text(p)}", p)
    single = p.single()
    if single is not None:
        split = _power_of_product(t, *single, r)
        if split is not None:
            return split
    outcome = (sign & signs.NON_NEGATIVE) if r > 0 else signs.POSITIVE
    return t.function("pow", p, sign=outcome, number=r)


def _power_of_product(t: Expressions, monomial: int, c: Fraction, r: Fraction) -> Polynomial | None:
    """(c prod a^k)^r, where each a^(k r) is a power again (|a| for square roots of squares)."""
    factor = _rational_power(c, r)
    if factor is None and (c <= 0 or monomial == ONE):
        return None
    value = real_power(t, t.number(c), r) if factor is None else t.number(factor)
    for a, k in t.monomials[monomial]:
        atom, e = t.atoms[a], k * r
        itself = Polynomial({t.monomial(((a, 1),)): 1}, 1, atom.sign)
        if atom.kind == "exp":
            value = t.multiply(value, t.function("exp", t.scaled(atom.arguments[0], e), sign=signs.POSITIVE))
        elif e.denominator == 1 and atom.sign == signs.POSITIVE:
            value = t.multiply(value, t.power(itself, int(e)))
        elif e.denominator == 1 and e > 0 and k % 2 == 0:
            value = t.multiply(value, t.power(absolute(t, itself), int(e)))
        else:
            return None
    return value


def _rational_power(c: Fraction, r: Fraction) -> Fraction | None:
    if c == 1:
        return c
    if c <= 0 or r.denominator != 2:
        return None
    top, bottom = math.isqrt(c.numerator), math.isqrt(c.denominator)
    if top * top != c.numerator or bottom * bottom != c.denominator:
        return None
    return Fraction(top, bottom) ** r.numerator


def odd(t: Expressions, kind: str, p: Polynomial) -> Polynomial:
    """tanh, erf, sin, atan: f(-q) = -f(q)."""
    real(p)
    if not p.terms:
        return t.zero
    orientation, q = t.oriented(p)
    sign = signs.ANY if kind == "sin" else t.sign(q)
    return t.scaled(t.function(kind, q, sign=sign), orientation)


def cosine(t: Expressions, p: Polynomial) -> Polynomial:
    """Cos p = cos(-p)."""
    real(p)
    return t.one if not p.terms else t.function("cos", t.oriented(p)[1])


def log_gamma(t: Expressions, p: Polynomial) -> Polynomial:
    """Log Gamma(p), with p > 0 as an obligation."""
    real(p)
    if t.sign(p) != signs.POSITIVE:
        t.require(f"a log-gamma's argument that is positive: {t.text(p)}", p)
    return t.function("lgamma", p)


def above(t: Expressions, kind: str, p: Polynomial) -> Polynomial:
    """The indicator of p > 0 (``"gt0"``), p >= 0 (``"ge0"``) or p = 0 (``"eq0"``): 0 or 1 where the sign decides."""
    yes = {"gt0": signs.POSITIVE, "ge0": signs.NON_NEGATIVE, "eq0": signs.ZERO}[kind]
    real(p)
    sign = t.sign(p)
    if not sign & ~yes:
        return t.one
    if not sign & yes:
        return t.zero
    return t.function(kind, p, sign=signs.NON_NEGATIVE)


def where(t: Expressions, condition: Polynomial, p: Polynomial, q: Polynomial) -> Polynomial:
    """P where the condition holds, else q."""
    value = condition.constant
    if value is not None:
        return p if value else q
    if p.special or q.special:
        raise Refused("a density that is cut off where a condition on the unknowns fails (-inf or nan under a mask)")
    if p.key == q.key:
        return p
    return t.function("where", condition, p, q, sign=t.sign(p) | t.sign(q))
