"""Irreducible real representations: the record, and those of a finite group."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from .._value import Value
from ._finite_algebra import conjugacy_classes, inverses

#: The algebra of matrices that commute with the representation: real numbers, complex numbers or quaternions.
Kind = Literal["real", "complex", "quaternionic"]
COMMUTANT_DIMENSION: dict[str, int] = {"real": 1, "complex": 2, "quaternionic": 4}


@dataclass(frozen=True, eq=False, repr=False)
class Irrep(Value):
    """An irreducible real representation by orthogonal matrices.

    Attributes:
        label: what it is called in its group: 0, 1, 2, ... for SO(3), (l, sigma) for O(3), "T1" for the cube, ...
        dimension: its real dimension d.
        kind: "real", "complex" (it splits in two conjugate halves over C) or "quaternionic" (two equal halves).
    """

    label: Hashable
    dimension: int
    kind: Kind
    evaluate: Callable[[Tensor], Tensor] = field(repr=False)

    def matrix(self, g: Tensor) -> Tensor:
        """rho(g), orthogonal ``[*batch, d, d]`` with rho(g) rho(h) = rho(gh)."""
        return self.evaluate(g)

    def character(self, g: Tensor) -> Tensor:
        """The trace tr rho(g), ``[*batch]``. Its mean square over the group is 1, 2 or 4 by kind."""
        return self.matrix(g).diagonal(dim1=-2, dim2=-1).sum(-1)


def real_representations(table: Tensor) -> list[tuple[Tensor, Kind]]:
    """All irreducible real representations of a finite group, as matrices ``[order, d, d]`` with their kind.

    They are the eigenspaces of a generic symmetric matrix that commutes with the left regular representation:
    X[k, j] = c(k^-1 j) with c(h) = c(h^-1) random. Told apart by character; complete when sum d^2 / e = order with
    e = 1, 2, 4 for real, complex, quaternionic kind, which is checked. Sorted: trivial first, then by dimension.
    """
    n = len(table)
    inverse = inverses(table)
    shift = table[inverse]  # [g, k] -> g^-1 k
    class_of = conjugacy_classes(table)
    weights = torch.bincount(class_of).double() / n
    seen = torch.full((len(weights),), n).scatter_reduce(0, class_of, torch.arange(n), "amin")
    representatives = shift[seen]
    for seed in range(5):
        mix = torch.Generator().manual_seed(seed)
        c = torch.randn(n, generator=mix, dtype=torch.float64)
        generic = (c + c[inverse])[shift]  # [k, j] -> c(k^-1 j)
        values, vectors = torch.linalg.eigh(generic)
        gaps = (values[1:] - values[:-1] > 1e-9 * float(values.abs().max())).nonzero().flatten() + 1
        blocks = vectors.tensor_split(gaps.tolist(), dim=1)
        found: list[tuple[Tensor, Tensor, Kind]] = []
        total, clean = 0.0, True
        for block in blocks:
            character = torch.einsum("gkd,kd->g", block[representatives], block)
            square = float(weights @ character.square())
            kind = {1: "real", 2: "complex", 4: "quaternionic"}.get(round(square))
            if kind is None or abs(square - round(square)) > 1e-6:
                clean = False
                break
            if any(float((character - other).abs().max()) < 1e-6 for other, _, _ in found):
                continue
            found.append((character, block, kind))  # type: ignore[arg-type]
            total += block.shape[1] ** 2 / round(square)
        if clean and round(total) == n:
            break
    else:
        raise ArithmeticError(f"the regular representation of order {n} did not separate into irreducible parts")
    found.sort(key=lambda item: _order(item[0], item[1].shape[1]))
    return [(torch.einsum("kd,gke->gde", block, block[shift]), kind) for _, block, kind in found]


def _order(character: Tensor, dimension: int) -> tuple[float, ...]:
    trivial = float((character - 1).abs().max()) > 1e-6
    return (float(trivial), float(dimension), *(-round(value, 6) for value in character.tolist()))
