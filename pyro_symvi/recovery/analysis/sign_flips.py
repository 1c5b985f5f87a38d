r"""Finding all sign flips at once, about given centres, by linear algebra over GF(2); `invariance` proves each.

With coordinates measured from the centre, z_j has the parity vector e_j, a monomial the sum of those of its odd powers.
An even function asks for equal parities of its argument's monomials and has none itself; an odd one the same, and
inherits it; any other function asks for none. The flips J that satisfy all demands form the kernel of a bit matrix.
They leave every atom in place; flips that permute atoms (mirrored data) are tried by substitution alone.
"""

from __future__ import annotations

from .expressions import Expressions
from .polynomials import Polynomial

_EVEN = ("abs", "cos", "log_cosh")
_ODD = ("tanh", "erf", "sin", "atan", "half_tanh")


class _Parities:
    def __init__(self, table: Expressions) -> None:
        self.table = table
        self.demands: set[int] = set()
        self._atoms: dict[int, int] = {}

    def monomial(self, monomial: int) -> int:
        found = 0
        for atom, power in self.table.monomials[monomial]:
            if self.table.atoms[atom].depends:
                parity = self.atom(atom)
                found ^= parity if power % 2 else 0
        return found

    def atom(self, number: int) -> int:
        found = self._atoms.get(number)
        if found is None:
            atom = self.table.atoms[number]
            if atom.kind == "z":
                found = 1 << int(atom.number)
            elif atom.kind in (*_EVEN, *_ODD):
                parities = [self.monomial(m) for m in atom.arguments[0].terms]
                self.demands.update(parities[0] ^ other for other in parities[1:])
                found = parities[0] if atom.kind in _ODD else 0
            else:
                for argument in atom.arguments:
                    self.demands.update(self.monomial(m) for m in argument.terms)
                found = 0
            self._atoms[number] = found
        return found


def flip_group(table: Expressions, p: Polynomial, dim: int) -> list[tuple[int, ...]]:
    """A basis of the sets J whose joint sign flip leaves p's terms and atoms in place (coordinates about zero)."""
    parities = _Parities(table)
    for monomial in p.terms:
        parities.demands.add(parities.monomial(monomial))
    return [tuple(j for j in range(dim) if vector >> j & 1) for vector in _kernel(parities.demands, dim)]


def _kernel(demands: set[int], dim: int) -> list[int]:
    """A basis of the bit vectors x with an even number of bits in common with every demand, in echelon form."""
    rows: dict[int, int] = {}  # pivot bit to row, fully reduced
    for demand in sorted(demands):
        row = demand
        for pivot, other in rows.items():
            if row >> pivot & 1:
                row ^= other
        if row:
            pivot = row.bit_length() - 1
            for k in rows:
                if rows[k] >> pivot & 1:
                    rows[k] ^= row
            rows[pivot] = row
    free = [j for j in range(dim) if j not in rows]
    basis = []
    for j in free:
        vector = 1 << j
        for pivot, row in rows.items():
            if row >> j & 1:
                vector |= 1 << pivot
        basis.append(vector)
    return basis
