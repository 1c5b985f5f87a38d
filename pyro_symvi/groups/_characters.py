"""Character tables of finite groups, by Burnside's method."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._finite_algebra import conjugacy_classes, inverses

#: Up to this many classes the characters are polished to rounding error.
PURIFY_LIMIT = 256


class CharacterTable(NamedTuple):
    """Irreducible complex characters of a finite group.

    Attributes:
        characters: complex ``[k, k]``, row = irreducible representation (trivial first, then by dimension),
            column = conjugacy class (identity first).
        class_sizes: LongTensor ``[k]``.
        class_of: LongTensor ``[order]``, the class of each of ``group.elements()``.
        dimensions: LongTensor ``[k]``.
        indicators: Frobenius-Schur indicators, LongTensor ``[k]``: +1 real, 0 complex, -1 quaternionic.
    """

    characters: Tensor
    class_sizes: Tensor
    class_of: Tensor
    dimensions: Tensor
    indicators: Tensor


def character_table(table: Tensor) -> CharacterTable:
    """The characters from a multiplication table (identity at 0).

    With class sums C_i C_j = sum_k a_ijk C_k, the numbers w_j = |C_j| chi(g_j) / chi(1) satisfy
    w_i w_j = sum_k a_ijk w_k: they are the common eigenvectors of the matrices (a_ijk)_jk, found from one generic
    combination. Rows are accurate to about 1e-12. Source: Isaacs, Character Theory of Finite Groups, ch. 3 and 15.
    """
    n = len(table)
    class_of = conjugacy_classes(table)
    sizes = torch.bincount(class_of)
    k = len(sizes)
    first = torch.full((k,), n).scatter_reduce(0, class_of, torch.arange(n), "amin")
    mix = torch.Generator().manual_seed(314159)
    weights = (torch.randn(k, generator=mix, dtype=torch.float64) / sizes)[class_of]
    quotient = table[inverses(table)][:, first]  # [x, k] -> x^-1 z_k
    # sum_i c_i a_ijk, with a_ijk = #{x in C_i : x^-1 z_k in C_j} for a fixed z_k in C_k
    generic = torch.zeros(k, k, dtype=torch.float64).index_put_(
        (class_of[quotient], torch.arange(k).expand(n, k)), weights[:, None].expand(n, k), accumulate=True
    )
    # Scaling by sqrt(|C_j|) turns the family into commuting normal matrices, for accuracy.
    root = sizes.double().sqrt()
    _, vectors = torch.linalg.eig(generic * root / root[:, None])
    w = vectors * root[:, None]
    w = w / w[:1]
    squared = n / (w.abs().square() / sizes[:, None]).sum(0)
    dimensions = squared.sqrt().round().long()
    characters = (w / sizes[:, None] * dimensions).mT
    if k <= PURIFY_LIMIT:
        characters = _purified(characters, dimensions, class_of, quotient)
    squares = class_of[table.diagonal()]
    indicators = characters[:, squares].real.mean(1).round().long()
    order = _canonical_order(characters, dimensions)
    return CharacterTable(characters[order], sizes, class_of, dimensions[order], indicators[order])


def _purified(characters: Tensor, dimensions: Tensor, class_of: Tensor, quotient: Tensor) -> Tensor:
    """One step e <- 3 e^2 - 2 e^3 on the central idempotents e = chi(1)/n sum conj(chi(g)) g: squares the error.

    Products are convolutions of class functions, (e f)(z) = sum_x e(x) f(x^-1 z), at one z a class.
    """
    scale = dimensions[:, None].double() / len(class_of)
    partner = class_of[quotient]

    def convolve(e: Tensor, f: Tensor) -> Tensor:
        return torch.stack([(a[class_of][:, None] * b[partner]).sum(0) for a, b in zip(e, f, strict=True)])

    e = characters.conj() * scale
    square = convolve(e, e)
    return ((3 * square - 2 * convolve(square, e)) / scale).conj()


def _canonical_order(characters: Tensor, dimensions: Tensor) -> Tensor:
    """Trivial representation first, then by dimension, then by decreasing values."""

    def key(row: int) -> tuple[float, ...]:
        values = characters[row]
        trivial = float((values - 1).abs().max()) > 1e-6
        listed = [-round(float(x), 6) for z in values.tolist() for x in (z.real, z.imag)]
        return (float(trivial), float(dimensions[row]), *listed)

    return torch.tensor(sorted(range(len(dimensions)), key=key))
