r"""Analysis A: invariance under a rational affine map, by substitution.

Put :math:`g(z) = A z + b` into the canonical expression, bring it into canonical form again, and compare. Equal forms
mean :math:`\log p(g(z)) = \log p(z)` for every z: a proof for reflections of any block, sign flips, permutations and
symmetries of the data alike (a multiset of terms is equal to itself in another order). Forms that differ mean nothing.
Obligations need no second look: they hold at every z, so at every g(z).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from . import functions as f
from . import signs
from .expressions import Atom, Expressions
from .polynomials import ONE, Polynomial
from .refusals import Refused
from .values import clearly_differs

_MANY = 60
"""Longer expressions are first compared at a few points, which is quick."""


class Substitution:
    """z_j replaced by given expressions, in any expression of one table; results are kept.

    Args:
        table: Where expressions live.
        images: ``{j: expression}``; other coordinates stay.
    """

    def __init__(self, table: Expressions, images: dict[int, Polynomial]) -> None:
        self.table, self.images = table, images
        self.mask = sum(1 << j for j in images)
        self._atoms: dict[int, Polynomial] = {}
        self._monomials: dict[int, Polynomial] = {}

    def __call__(self, p: Polynomial) -> Polynomial:
        """The expression after substitution."""
        if not self.table.depends(p) & self.mask:
            return p
        parts: list[tuple[int | Fraction, Polynomial]] = []
        for monomial, numerator in p.terms.items():
            parts.append((Fraction(numerator, p.denominator), self._monomial(monomial)))
        return self.table.combination(parts)

    def _monomial(self, monomial: int) -> Polynomial:
        found = self._monomials.get(monomial)
        if found is None:
            table = self.table
            if not table.monomial_depends(monomial) & self.mask:
                found = Polynomial({monomial: 1}, 1, table.monomial_sign(monomial))
            else:
                found = table.one
                for atom, power in table.monomials[monomial]:
                    found = table.multiply(found, table.power(self._atom(atom), power))
            self._monomials[monomial] = found
        return found

    def _atom(self, number: int) -> Polynomial:
        found = self._atoms.get(number)
        if found is None:
            atom = self.table.atoms[number]
            if not atom.depends & self.mask:
                found = Polynomial({self.table.monomial(((number, 1),)): 1}, 1, atom.sign)
            elif atom.kind == "z":
                found = self.images[int(atom.number)]
            else:
                found = self._rebuilt(atom)
            self._atoms[number] = found
        return found

    def _rebuilt(self, atom: Atom) -> Polynomial:
        arguments = [self(a) for a in atom.arguments]
        for new, old in zip(arguments, atom.arguments, strict=True):
            new.sign &= self.table.sign(old)  # the image of a set of signs that holds everywhere
        first, t = arguments[0], self.table
        kind = atom.kind
        if kind == "pow":
            return f.real_power(t, first, atom.number)
        if kind == "where":
            return f.where(t, *arguments)
        if kind in ("gt0", "ge0", "eq0"):
            return f.above(t, kind, first)
        if kind in ("tanh", "erf", "sin", "atan"):
            return f.odd(t, kind, first)
        if kind not in _BUILDERS:
            raise Refused(f"no substitution into {kind}")
        return _BUILDERS[kind](t, first)


_BUILDERS = {
    "exp": f.exp,
    "log": f.log,
    "softplus": f.softplus,
    "sigmoid": f.sigmoid,
    "abs": f.absolute,
    "inv": lambda t, p: t.inverse(p),
    "cos": f.cosine,
    "lgamma": f.log_gamma,
    "log_ndtr": f.log_ndtr,
    "log_half_erfc": f.log_half_erfc,
}


def is_invariant(table: Expressions, p: Polynomial, images: dict[int, Polynomial]) -> bool:
    """Whether p is proved unchanged by z_j -> images[j]; no obligation of p may be open. False proves nothing."""
    if len(p.terms) > _MANY and clearly_differs(table, p, images):
        return False
    mask = sum(1 << j for j in images)
    moving = Polynomial(
        {m: n for m, n in p.terms.items() if table.monomial_depends(m) & mask}, p.denominator, signs.ANY
    )
    recording = table.recording
    table.recording = False
    try:
        image = Substitution(table, images)(moving)
    except (Refused, RecursionError):
        return False
    finally:
        table.recording = recording
    return image.key == moving.key  # what does not move is in both


def reflected(table: Expressions, block: Sequence[int], center: Sequence[Fraction]) -> dict[int, Polynomial]:
    """z_j -> 2 c_j - z_j for j in the block."""
    images = {}
    for j, c in zip(block, center, strict=True):
        images[j] = table.combination([(2 * c, table.one), (-1, table.coordinate(j))])
    return images


def permuted(table: Expressions, images: dict[int, int]) -> dict[int, Polynomial]:
    """z_j -> z_k for ``{j: k}``."""
    return {j: table.coordinate(k) for j, k in images.items()}


# -- centres worth trying (untrusted: `is_invariant` decides) ------------------------------------------------------


def proposed_center(table: Expressions, p: Polynomial, block: tuple[int, ...]) -> tuple[Fraction, ...]:
    """Where even atoms have their zeros, one coordinate at a time; zero elsewhere."""
    found: dict[int, Fraction] = {}
    seen: set[int] = set()
    stack = [(a, k) for m in p.terms for a, k in table.monomials[m]]
    while stack:
        number, _ = stack.pop()
        if number in seen:
            continue
        seen.add(number)
        atom = table.atoms[number]
        for argument in atom.arguments:
            mask = table.depends(argument)
            for j in block:
                if mask >> j & 1 and j not in found:
                    c = _vertex(table, argument, j, even=atom.kind in ("abs", "cos"))
                    if c is not None:
                        found[j] = c
            stack += [(a, k) for m in argument.terms for a, k in table.monomials[m]]
    for j in block:
        if j not in found:
            c = _vertex(table, p, j, even=False)
            if c is not None:
                found[j] = c
    return tuple(found.get(j, Fraction(0)) for j in block)


def _vertex(table: Expressions, p: Polynomial, j: int, even: bool) -> Fraction | None:
    """-b/(n a) of a polynomial a z_j^n + b z_j^(n-1) + ...; the zero of b + a z_j in an even function's argument."""
    atom = table.coordinate_atom(j)
    powers = [ONE, *(table.monomial(((atom, k),)) for k in range(1, 9))]
    degree = max((k for k in range(9) if powers[k] in p.terms), default=0)
    if degree >= 2:
        return -p.coefficient(powers[degree - 1]) / (degree * p.coefficient(powers[degree]))
    if even and degree == 1 and not any(table.monomial_depends(m) & ~(1 << j) for m in p.terms):
        return -p.coefficient(ONE) / p.coefficient(powers[1])
    return None
