r"""Invariance under an affine map that somebody names: :math:`\log p(Mz + b) = \log p(z)` for every z, by substitution.

The density is invariant if also :math:`|\det M| = 1`, which is checked exactly. Numbers are taken as the rationals they
are: a float 0.6 is the dyadic fraction stored, so a rotation by (3/5, 4/5) must be given as fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational
from typing import Any

import torch

from . import exact
from .exact import Matrix, Vector
from .expressions import Expressions
from .invariance import Substitution
from .polynomials import Polynomial
from .refusals import Refused


@dataclass(frozen=True)
class InvarianceProof:
    """Whether log p was proved unchanged by an affine map. True where the proof is of the function as it is.

    Attributes:
        proved: Whether substitution gives the same expression, and the map keeps volumes.
        reason: How it was proved, or why not. "Not proved" is no refutation.
        idealisations: Where floating-point code was read as the function it stands for; then the proof is of the
            idealised density, and ``bool(proof)`` is false.
        conditions: What the proof is bound to.
    """

    proved: bool
    reason: str
    idealisations: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.proved and not self.idealisations


def exact_matrix(matrix: Any, dim: int) -> Matrix:
    """Rows of a ``[dim, dim]`` matrix as exact rationals.

    Raises:
        ValueError: Another shape, or an entry that is not finite.
        TypeError: An entry that is no real number.
    """
    rows = _nested(matrix)
    if not isinstance(rows, Sequence) or len(rows) != dim or any(not _is_row(row, dim) for row in rows):
        raise ValueError(
            f"expected a matrix of shape ({dim}, {dim}), got another shape, because it acts on the flat unconstrained "
            "vector; try one row a coordinate"
        )
    return [[_rational(x) for x in row] for row in rows]


def exact_vector(vector: Any, dim: int) -> Vector:
    """Entries of a vector ``[dim]`` as exact rationals; None is zero. Raises as `exact_matrix`."""
    if vector is None:
        return [Fraction(0)] * dim
    entries = _nested(vector)
    if not _is_row(entries, dim):
        raise ValueError(
            f"expected an offset of {dim} numbers, got another shape, because it is added to the flat unconstrained "
            "vector; try one number a coordinate, or None"
        )
    return [_rational(x) for x in entries]


def prove_map(table: Expressions, p: Polynomial, matrix: Matrix, offset: Vector) -> tuple[bool, str]:
    """Whether ``p(M z + b) = p(z)`` and ``|det M| = 1`` are proved, and how (or why not).

    Args:
        table: Where p lives.
        p: A log density without open obligations.
        matrix: M, exact.
        offset: b, exact.
    """
    images = map_images(table, matrix, offset)
    if abs(determinant(matrix)) != 1:
        return False, "the map does not keep volumes: its determinant is not exactly 1 or -1"
    recording, table.recording = table.recording, False
    try:
        image = Substitution(table, images)(p)
    except Refused as refusal:
        return False, f"substituting the map was refused: {refusal.reason}"
    except RecursionError:
        return False, "the expression is nested too deeply"
    finally:
        table.recording = recording
    if image.key == p.key:
        return True, "substituting the map in the exact expression of log p gives the same expression"
    difference = table.subtract(image, p)
    return False, f"substituting the map changes the expression of log p, by {table.text(difference)}"


def map_images(table: Expressions, matrix: Matrix, offset: Vector) -> dict[int, Polynomial]:
    """``{j: (M z + b)_j}`` for the coordinates that move."""
    images = {}
    for j, (row, b) in enumerate(zip(matrix, offset, strict=True)):
        if b or any(x != (k == j) for k, x in enumerate(row)):
            parts: list[tuple[int | Fraction, Polynomial]] = [(x, table.coordinate(k)) for k, x in enumerate(row) if x]
            images[j] = table.combination([*parts, (b, table.one)])
    return images


def determinant(matrix: Matrix) -> Fraction:
    """Exact. Rows and columns with a single entry are taken off first, so that sparse maps are cheap."""
    rows = [{k: x for k, x in enumerate(row) if x} for row in matrix]
    left = set(range(len(rows)))
    order: list[int] = []
    columns: list[int] = []
    result = Fraction(1)
    queue = [i for i in left if len(rows[i]) <= 1]
    where: dict[int, set[int]] = {}
    for i, row in enumerate(rows):
        for k in row:
            where.setdefault(k, set()).add(i)
    while queue:
        i = queue.pop()
        if i not in left:
            continue
        if not rows[i]:
            return Fraction(0)
        ((k, x),) = rows[i].items()
        result *= x
        left.discard(i)
        order.append(i)
        columns.append(k)
        for other in where[k] & left:
            del rows[other][k]
            if len(rows[other]) <= 1:
                queue.append(other)
    remaining = sorted(left)
    free = sorted(set(range(len(rows))) - set(columns))
    order += remaining
    columns += free
    sign = _parity(order) * _parity(columns)
    core = [[rows[i].get(k, Fraction(0)) for k in free] for i in remaining]
    return sign * result * exact.determinant(core)


def _parity(order: list[int]) -> int:
    seen = [False] * len(order)
    sign = 1
    for start in range(len(order)):
        length, i = 0, start
        while not seen[i]:
            seen[i] = True
            i = order[i]
            length += 1
        if length and length % 2 == 0:
            sign = -sign
    return sign


def _nested(value: Any) -> Any:
    return value.tolist() if isinstance(value, torch.Tensor) or hasattr(value, "tolist") else value


def _is_row(row: Any, dim: int) -> bool:
    return isinstance(row, Sequence) and not isinstance(row, str) and len(row) == dim


def _rational(value: Any) -> Fraction:
    if isinstance(value, Rational):
        return Fraction(value)
    if isinstance(value, float):
        try:
            return Fraction(value)
        except (ValueError, OverflowError):
            raise ValueError(
                f"expected finite numbers, got {value}, because the map must be an affine bijection; try fractions"
            ) from None
    raise TypeError(
        f"expected real numbers, got {type(value).__name__}, because the proof is by rational arithmetic; try int, "
        "float or fractions.Fraction"
    )
