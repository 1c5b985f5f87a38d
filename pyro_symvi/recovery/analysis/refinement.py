r"""Colour refinement of a density's expression graph: which coordinates might be exchanged. Nothing here is a proof.

Coordinates, functions, monomials and sums form a graph; each is coloured by what it is made of and where it occurs,
until colours no longer split (the Weisfeiler-Leman method in one dimension). Coordinates of different colours cannot be
exchanged by moving equal terms onto each other. Colours ignore how canonical forms fix signs and factors (|-q| = |q|,
|2q| = 2|q|); softplus and sigmoid are split into a line and an even or odd function first (`balanced`).

Reference: Weisfeiler & Leman (1968); McKay & Piperno (2014), "Practical graph isomorphism, II".
"""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction
from typing import Any

from .expressions import Atom, Expressions
from .invariance import Substitution
from .polynomials import Polynomial

EVEN = ("abs", "cos", "log_cosh")
ODD = ("tanh", "erf", "sin", "atan", "half_tanh")
_HALF = Fraction(1, 2)
_MOST_ROUNDS = 12


class _Balanced(Substitution):
    """Softplus(q) = q/2 + log(2 cosh(q/2)) and sigmoid(q) = 1/2 + tanh(q/2)/2, which show their parity."""

    def _rebuilt(self, atom: Atom) -> Polynomial:
        if atom.kind not in ("softplus", "sigmoid"):
            return super()._rebuilt(atom)
        t, q = self.table, self(atom.arguments[0])
        orientation, inner = t.oriented(q)
        if atom.kind == "softplus":
            return t.combination([(_HALF, q), (1, t.function("log_cosh", inner))])
        return t.combination([(_HALF, t.one), (_HALF * orientation, t.function("half_tanh", inner))])


def balanced(table: Expressions, p: Polynomial, dim: int) -> Polynomial:
    """The same function, with softplus and sigmoid split by parity; for finding candidates."""
    if not any(a.kind in ("softplus", "sigmoid") for a in table.atoms):
        return p
    recording, table.recording = table.recording, False
    try:
        return _Balanced(table, {j: table.coordinate(j) for j in range(dim)})(p)
    finally:
        table.recording = recording


class Incidence:
    """The graph of one expression, and colourings of its coordinates.

    Args:
        table: Where p lives.
        p: An expression.
        dim: Number of coordinates.
        signless: Whether coefficients that differ in sign alone count as equal.
    """

    def __init__(self, table: Expressions, p: Polynomial, dim: int, signless: bool = False) -> None:
        self.dim = dim
        self._interned: dict[Hashable, int] = {}
        self._signless = signless
        self._place = {table.coordinate_atom(j): j for j in range(dim)}
        self.monomials: dict[int, tuple[tuple[int, int], ...]] = {}
        self.atoms: dict[int, tuple[int, list[tuple[list[tuple[int, int, int]], bool]]]] = {}
        self.root = self._terms(table, p, Fraction(1))
        stack = [a for m, _, _ in self.root for a, _ in self.monomials[m]]
        while stack:
            number = stack.pop()
            if number in self.atoms or number in self._place:
                continue
            atom = table.atoms[number]
            arguments = []
            for argument in atom.arguments:
                loose = atom.kind in EVEN or atom.kind in ODD
                terms = self._terms(table, argument, _scale(atom, argument))
                arguments.append((terms, loose))
                stack += [a for m, _, _ in terms for a, _ in self.monomials[m]]
            self.atoms[number] = self._intern(("atom", atom.kind, atom.number)), arguments
        self._order = sorted(self.atoms)
        self.size = len(self.root) + sum(len(t) for _, arguments in self.atoms.values() for t, _ in arguments)

    def _intern(self, key: Hashable) -> int:
        return self._interned.setdefault(key, len(self._interned))

    def _terms(self, table: Expressions, p: Polynomial, scale: Fraction) -> list[tuple[int, int, int]]:
        """(monomial, colour of the coefficient, colour of its negative), what canonical forms pull out put back."""
        terms = []
        for monomial, numerator in p.terms.items():
            powers = table.monomials[monomial]
            self.monomials.setdefault(monomial, powers)
            c = Fraction(numerator, p.denominator) / scale
            loose = self._signless
            for number, power in powers:
                atom = table.atoms[number]
                if atom.kind == "abs":
                    c *= _scale(atom, atom.arguments[0]) ** power
                elif atom.kind == "inv":
                    c /= _scale(atom, atom.arguments[0]) ** power
                loose |= atom.kind in ODD and power % 2 == 1
            plus = self._intern(("c", abs(c) if loose else c))
            terms.append((monomial, plus, plus if loose else self._intern(("c", -c))))
        return terms

    def refine(self, *colourings: list[int]) -> list[list[int]] | None:
        """Refine colourings together; None as soon as two of them differ in how many coordinates have each colour."""
        current = [list(c) for c in colourings]
        count = len(set(current[0]))
        for _ in range(_MOST_ROUNDS):
            current = [self._round(c) for c in current]
            if any(sorted(c) != sorted(current[0]) for c in current[1:]):
                return None
            found = len(set(current[0]))
            if found in (count, self.dim):
                break
            count = found
        return current

    def _round(self, colours: list[int]) -> list[int]:
        intern = self._intern
        atom_colour: dict[int, int] = {a: intern(("z", colours[j])) for a, j in self._place.items()}
        monomial_colour: dict[int, int] = {}

        def colour_of(monomial: int) -> int:
            known = monomial_colour.get(monomial)
            if known is None:
                powers = sorted((atom_colour[a], k) for a, k in self.monomials[monomial])
                known = monomial_colour[monomial] = intern(("m", *powers))
            return known

        def of_sum(terms: list[tuple[int, int, int]], loose: bool) -> int:
            plus = sorted((c, colour_of(m)) for m, c, _ in terms)
            if loose:
                plus = min(plus, sorted((c, colour_of(m)) for m, _, c in terms))
            return intern(("p", *plus))

        for number in self._order:
            label, arguments = self.atoms[number]
            atom_colour[number] = intern((label, *(of_sum(terms, loose) for terms, loose in arguments)))
        for m, _, _ in self.root:
            colour_of(m)
        contexts: dict[int, list[Any]] = {}  # of atoms

        def descend(terms: list[tuple[int, int, int]], context: int, loose: bool) -> None:
            for m, plus, minus in terms:
                here = (context, min(plus, minus) if loose else plus, monomial_colour[m])
                for a, k in self.monomials[m]:
                    contexts.setdefault(a, []).append((*here, k))

        descend(self.root, 0, False)
        for number in reversed(self._order):
            context = intern((atom_colour[number], *sorted(contexts.get(number, ()))))
            for place, (terms, loose) in enumerate(self.atoms[number][1]):
                descend(terms, intern(("arg", context, place)), loose)
        return [
            intern((colours[j], *sorted(contexts.get(a, ()))))
            for a, j in sorted(self._place.items(), key=lambda x: x[1])
        ]


def _scale(atom: Atom, argument: Polynomial) -> Fraction:
    """The factor by which the argument of |q| and 1/q was divided, up to what all coordinates share."""
    if atom.kind not in ("abs", "inv") or not argument.terms:
        return Fraction(1)
    return Fraction(max(abs(n) for n in argument.terms.values()), argument.denominator)
