r"""Scalar expressions in canonical form: polynomials over atoms, atoms hash-consed.

An atom is a coordinate :math:`z_j` or a function of polynomials (exp, log, softplus, ...). Every rewrite used here is
an identity of real numbers wherever its obligations hold; an obligation (a logarithm's argument is positive, a divisor
is not zero) that the signs do not settle is recorded in `open_obligations`, and nothing is claimed while one is open.
Equal keys mean equal functions; the converse is not claimed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from . import signs
from .polynomials import ONE, Polynomial, shortened
from .ranges import range_sign
from .refusals import Refused
from .sums_of_squares import SumOfSquares, combined, square

Monomial = tuple[tuple[int, int], ...]

MOST_TERMS = 20_000
"""Longest polynomial."""
MOST_POWER = 8
"""Highest power of a sum that is expanded."""
BUDGET = 3_000_000
"""Terms built in one analysis."""


@dataclass(frozen=True)
class Atom:
    """A coordinate (``kind="z"``, ``number=j``) or ``kind(arguments)``; ``number`` is the exponent of a ``"pow"``."""

    kind: str
    arguments: tuple[Polynomial, ...]
    number: Fraction
    sign: int
    depends: int
    """Bit j is set where it may depend on z_j."""


class Expressions:
    """The table of monomials and atoms of one analysis, and the arithmetic on polynomials.

    Attributes:
        atoms: By number; an atom's arguments contain only atoms of smaller numbers.
        open_obligations: What must hold and was not proved.
        idealisations: Where floating-point code was read as the function it stands for.
        recording: Whether obligations are recorded (not while a proved function is composed with a bijection).
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self.atoms: list[Atom] = []
        self.monomials: list[Monomial] = [()]
        self.open_obligations: dict[str, None] = {}
        self.idealisations: dict[str, None] = {}
        self.recording = True
        self._budget = budget
        self._kept: dict[object, Any] = {}
        self._atom_number: dict[tuple[object, ...], int] = {}
        self._monomial_number: dict[Monomial, int] = {(): ONE}
        self._products: dict[tuple[int, int], int] = {}
        self._depends: list[int] = [0]
        self._signs: list[int] = [signs.POSITIVE]
        self.zero = Polynomial({}, 1, signs.ZERO)
        self.one = Polynomial({ONE: 1}, 1, signs.POSITIVE)

    # -- numbers, atoms, monomials -----------------------------------------------------------------------------

    def spend(self, terms: int) -> None:
        """Count work; refuses beyond the budget."""
        self._budget -= terms
        if self._budget < 0:
            raise Refused("the expression is too large for exact analysis")

    def allow(self, terms: int) -> None:
        """A new budget, for a part of an analysis that others do not depend on."""
        self._budget = terms

    def kept(self, key: object, make: Callable[[], Any]) -> Any:
        """What ``make()`` gave when this key was first asked for: results of analyses that are asked again."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def number(self, value: int | float | Fraction) -> Polynomial:
        """The exact rational that a number is; inf and nan become special."""
        if isinstance(value, float):
            if math.isnan(value) or math.isinf(value):
                return Polynomial({}, 1, signs.ANY, str(value))
            numerator, denominator = value.as_integer_ratio()
        else:
            numerator, denominator = value.numerator, value.denominator
        if numerator == 0:
            return self.zero
        return Polynomial({ONE: numerator}, denominator, signs.of_number(numerator))

    def coordinate(self, j: int) -> Polynomial:
        """z_j."""
        return self._of_atom(self._atom("z", (), Fraction(j), signs.ANY, 1 << j))

    def coordinate_atom(self, j: int) -> int:
        """The number of the atom z_j."""
        return self._atom("z", (), Fraction(j), signs.ANY, 1 << j)

    def function(
        self, kind: str, *arguments: Polynomial, sign: int = signs.ANY, number: Fraction | int = 0
    ) -> Polynomial:
        """The atom ``kind(arguments)`` as a polynomial, with what is known of its sign."""
        real(*arguments)
        depends = 0
        for argument in arguments:
            depends |= self.depends(argument)
        return self._of_atom(self._atom(kind, arguments, Fraction(number), sign, depends))

    def _atom(self, kind: str, arguments: tuple[Polynomial, ...], number: Fraction, sign: int, depends: int) -> int:
        key = (kind, tuple(a.key for a in arguments), number)
        found = self._atom_number.get(key)
        if found is None:
            found = self._atom_number[key] = len(self.atoms)
            self.atoms.append(Atom(kind, arguments, number, sign, depends))
        return found

    def _of_atom(self, atom: int) -> Polynomial:
        return Polynomial({self.monomial(((atom, 1),)): 1}, 1, self.atoms[atom].sign)

    def monomial(self, powers: Monomial) -> int:
        """The number of a monomial, given as sorted pairs (atom, power)."""
        found = self._monomial_number.get(powers)
        if found is None:
            found = self._monomial_number[powers] = len(self.monomials)
            self.monomials.append(powers)
            depends, sign = 0, signs.POSITIVE
            for atom, exponent in powers:
                depends |= self.atoms[atom].depends
                sign = signs.PRODUCT[sign][signs.power(self.atoms[atom].sign, exponent)]
            self._depends.append(depends)
            self._signs.append(sign)
        return found

    def monomial_depends(self, monomial: int) -> int:
        """Bit set of the coordinates in a monomial."""
        return self._depends[monomial]

    def monomial_sign(self, monomial: int) -> int:
        """What is known of a monomial's sign."""
        return self._signs[monomial]

    def depends(self, p: Polynomial) -> int:
        """Bit set of the coordinates in a polynomial."""
        found = 0
        for monomial in p.terms:
            found |= self._depends[monomial]
        return found

    def sign(self, p: Polynomial) -> int:
        """What is known of the sign: from how it was built, and from its terms."""
        known = p.sign
        if known in (signs.POSITIVE, signs.NEGATIVE, signs.ZERO):
            return known
        total = signs.ZERO
        for monomial, numerator in p.terms.items():
            term = self._signs[monomial] if numerator > 0 else signs.negated(self._signs[monomial])
            total = signs.SUM[total][term]
        p.sign = known & total
        if p.sign & signs.POSITIVE and p.sign & signs.NEGATIVE:
            p.sign &= range_sign(self, p)
        return p.sign

    def times(self, a: int, b: int) -> int:
        """The product of two monomials; exponentials merge: e^p e^q = e^(p+q)."""
        if a == ONE:
            return b
        if b == ONE:
            return a
        key = (a, b) if a < b else (b, a)
        found = self._products.get(key)
        if found is None:
            found = self._products[key] = self._times(a, b)
        return found

    def _times(self, a: int, b: int) -> int:
        powers = dict(self.monomials[a])
        for atom, exponent in self.monomials[b]:
            powers[atom] = powers.get(atom, 0) + exponent
        exponentials = [(atom, e) for atom, e in powers.items() if self.atoms[atom].kind == "exp" and e]
        if len(exponentials) > 1 or any(e != 1 for _, e in exponentials):
            together = self.combination([(e, self.atoms[atom].arguments[0]) for atom, e in exponentials])
            for atom, _ in exponentials:
                del powers[atom]
            if together.terms:
                powers[self._exponential(together)] = 1
        return self.monomial(tuple(sorted((atom, e) for atom, e in powers.items() if e)))

    def _exponential(self, exponent: Polynomial) -> int:
        return self._atom("exp", (exponent,), Fraction(0), signs.POSITIVE, self.depends(exponent))

    def monomial_power(self, monomial: int, exponent: int) -> int:
        """A monomial to an integer power."""
        powers = []
        for atom, e in self.monomials[monomial]:
            if self.atoms[atom].kind == "exp":
                powers.append((self._exponential(self.scaled(self.atoms[atom].arguments[0], e * exponent)), 1))
            else:
                powers.append((atom, e * exponent))
        return self.monomial(tuple(sorted(powers))) if exponent else ONE

    # -- arithmetic --------------------------------------------------------------------------------------------

    def combination(self, parts: Sequence[tuple[int | Fraction, Polynomial]]) -> Polynomial:
        """``sum(c p for c, p in parts)``."""
        common, sign, size = 1, signs.ZERO, 0
        for c, p in parts:
            if p.special:
                real(p)
            sign = signs.SUM[sign][signs.PRODUCT[signs.of_number(c)][p.sign]]
        if any(isinstance(p, SumOfSquares) for _, p in parts):
            return combined(self, parts, sign)
        for c, p in parts:
            common = math.lcm(common, p.denominator * c.denominator)
            size += len(p.terms)
        self.spend(size)
        terms: dict[int, int] = {}
        for c, p in parts:
            factor = c.numerator * (common // (p.denominator * c.denominator))
            if factor == 0:
                continue
            for monomial, numerator in p.terms.items():
                terms[monomial] = terms.get(monomial, 0) + factor * numerator
        terms = {m: n for m, n in terms.items() if n}
        return self._checked(terms, common, sign)

    def add(self, p: Polynomial, q: Polynomial) -> Polynomial:
        """P + q."""
        return self.combination([(1, p), (1, q)])

    def subtract(self, p: Polynomial, q: Polynomial) -> Polynomial:
        """P - q."""
        return self.combination([(1, p), (-1, q)])

    def total(self, parts: Iterable[Polynomial]) -> Polynomial:
        """The sum."""
        return self.combination([(1, p) for p in parts])

    def scaled(self, p: Polynomial, c: int | Fraction) -> Polynomial:
        """C p."""
        return self.combination([(c, p)])

    def multiply(self, p: Polynomial, q: Polynomial) -> Polynomial:
        """P q; a square is known to be non-negative."""
        if p.special or q.special:
            real(p, q)
        if isinstance(q, SumOfSquares):
            p, q = q, p
        if isinstance(p, SumOfSquares) and not isinstance(q, SumOfSquares):
            term = q.single()
            if term is not None:
                return p.times(*term, signs.PRODUCT[p.sign][q.sign])
        same = p is q or (p.denominator == q.denominator and p.terms == q.terms)
        sign = signs.power(p.sign, 2) if same else signs.PRODUCT[p.sign][q.sign]
        kept = square(self, p, sign) if same else None
        if kept is not None:
            return kept
        self.spend(len(p.terms) * len(q.terms))
        terms: dict[int, int] = {}
        times = self.times
        if same:
            items = list(p.terms.items())
            for i, (a, x) in enumerate(items):
                product = times(a, a)
                terms[product] = terms.get(product, 0) + x * x
                for b, y in items[i + 1 :]:
                    product = times(a, b)
                    terms[product] = terms.get(product, 0) + 2 * x * y
            denominator = p.denominator * p.denominator
        else:
            for a, x in p.terms.items():
                for b, y in q.terms.items():
                    product = times(a, b)
                    terms[product] = terms.get(product, 0) + x * y
            denominator = p.denominator * q.denominator
        terms = {m: n for m, n in terms.items() if n}
        return self._checked(terms, denominator, sign)

    def power(self, p: Polynomial, exponent: int) -> Polynomial:
        """P to an integer power; negative ones need p not zero."""
        real(p)
        if exponent < 0:
            return self.power(self.inverse(p), -exponent)
        single = p.single()
        if single is not None:
            monomial, c = single
            return self._checked_term(self.monomial_power(monomial, exponent), c**exponent, exponent, p)
        if exponent > MOST_POWER:
            raise Refused(f"a sum to the power {exponent} is not expanded (at most {MOST_POWER})")
        result = self.one
        for _ in range(exponent // 2):
            result = self.multiply(result, self.multiply(p, p))
        result = self.multiply(result, p) if exponent % 2 else result
        result.sign &= signs.power(self.sign(p), exponent)
        return result

    def _checked_term(self, monomial: int, c: Fraction, exponent: int, p: Polynomial) -> Polynomial:
        if c == 0:
            return self.zero
        return Polynomial({monomial: c.numerator}, c.denominator, signs.power(self.sign(p), exponent))

    def inverse(self, p: Polynomial) -> Polynomial:
        """1/p; p must not be zero."""
        real(p)
        sign = self.sign(p)
        if sign & signs.ZERO:
            self.require(f"a divisor that is not zero: {self.text(p)}", p)
        if not p.terms:
            raise Refused("a division by zero")
        single = p.single()
        if single is not None:
            monomial, c = single
            c = 1 / c
            return Polynomial({self.monomial_power(monomial, -1): c.numerator}, c.denominator, sign & signs.NON_ZERO)
        lead = self.leading(p)
        primitive = self.scaled(p, 1 / lead)
        inner = signs.PRODUCT[sign & signs.NON_ZERO][signs.of_number(lead)]
        return self.scaled(self.function("inv", primitive, sign=inner), 1 / lead)

    def leading(self, p: Polynomial) -> Fraction:
        """Coefficient of the first term that is not constant (of the constant, if there is no other)."""
        monomials = [m for m in p.terms if m != ONE]
        return p.coefficient(min(monomials) if monomials else ONE)

    def oriented(self, p: Polynomial) -> tuple[int, Polynomial]:
        """``(s, q)`` with p = s q, s = +-1, and a positive leading coefficient of q."""
        if not p.terms or self.leading(p) > 0:
            return 1, p
        return -1, self.scaled(p, -1)

    def require(self, what: str, p: Polynomial) -> None:
        """Record an obligation that signs did not settle."""
        if self.recording:
            self.open_obligations[what] = None

    def plain(self, terms: dict[int, int], denominator: int) -> Polynomial:
        """The polynomial with these terms."""
        return self._checked(terms, denominator, signs.ANY)

    def _checked(self, terms: dict[int, int], denominator: int, sign: int) -> Polynomial:
        if not terms:
            return self.zero
        if len(terms) > MOST_TERMS:
            raise Refused(f"a polynomial of more than {MOST_TERMS} terms")
        terms, denominator = shortened(terms, denominator)
        if len(terms) == 1 and ONE in terms:
            sign &= signs.of_number(terms[ONE])
        return Polynomial(terms, denominator, sign)

    # -- words -------------------------------------------------------------------------------------------------

    def text(self, p: Polynomial, most: int = 3) -> str:
        """A short description."""
        if not p.terms:
            return "0"
        words = []
        for monomial in sorted(p.terms)[:most]:
            c = p.coefficient(monomial)
            factors = [f"{self.atom_text(a)}{'' if e == 1 else f'^{e}'}" for a, e in self.monomials[monomial]]
            number = f"{float(c):.4g}" if abs(c) < Fraction(10) ** 300 else "a large number"
            words.append("*".join(([number] if c != 1 or not factors else []) + factors))
        return " + ".join(words) + (" + ..." if len(p.terms) > most else "")

    def atom_text(self, atom: int) -> str:
        """A short description."""
        found = self.atoms[atom]
        if found.kind == "z":
            return f"z[{found.number}]"
        return f"{found.kind}({', '.join(self.text(a, 2) for a in found.arguments)})"


def real(*polynomials: Polynomial) -> None:
    """Refuse arithmetic on what is no real number."""
    for p in polynomials:
        if p.special:
            raise Refused(f"arithmetic on {p.special}")
