"""The verdict on the fitted scatter matrix, up to scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch

from ..report.entry import Entry
from ..theorems.pinned import ELLIPTICAL_SCATTER, REFLECTION_COVARIANCE
from .base import ESTABLISHED, Claim, Statistic, defined, judge, unknown
from .correlation import WIDEST
from .facts import Facts, Shape


class Scatter(Statistic):
    r"""The scatter matrix up to scale: :math:`N_{ij} = S_{ij} / (|S_{B(i)}|^{1/(2 n_i)} |S_{B(j)}|^{1/(2 n_j)})`.

    B(i) is the elliptical block of coordinate i, of :math:`n_i` coordinates; each block has determinant one. A
    coordinate in none is a block of its own, with diagonal one. This normalisation does not depend on units within a
    block beyond a linear change of coordinates, and needs no moments. Gaps are on the scale of correlations,
    :math:`|N_{ij} - M_{ij}| / \sqrt{M_{ii} M_{jj}}`.
    """

    name: ClassVar[str] = "scatter"
    needs_shape: ClassVar[bool] = True
    square: ClassVar[bool] = True

    def _entries(self, facts: Facts) -> Sequence[tuple[int, Entry]]:
        dim = facts.subject.density.dim
        blocks = elliptical_blocks(facts)
        fitted = normalised(facts.subject.root @ facts.subject.root.mT, [b.coordinates for b in blocks])
        matrices = {b.coordinates: torch.tensor(b.matrix, dtype=torch.float64) for b in blocks}
        exact = {c: m / _size(m) for c, m in matrices.items()}
        of = {i: block for block in blocks for i in block.coordinates}
        return [
            (i, _entry(facts, i, j, float(fitted[i, j]), of.get(i), of.get(j), exact))
            for i in range(dim)
            for j in range(dim)
        ]


def elliptical_blocks(facts: Facts) -> list[Shape]:
    """Disjoint elliptical blocks, the largest first."""
    dim = facts.subject.density.dim
    found: dict[tuple[int, ...], Shape] = {}
    for i in range(dim):
        for j in range(i):
            shape = facts.shape(i, j)
            if shape is not None:
                found.setdefault(shape.coordinates, shape)
    blocks: list[Shape] = []
    for shape in sorted(found.values(), key=lambda s: -len(s.coordinates)):
        if not any(set(shape.coordinates) & set(b.coordinates) for b in blocks):
            blocks.append(shape)
    return blocks


def normalised(scatter: torch.Tensor, blocks: Sequence[Sequence[int]]) -> torch.Tensor:
    """N of `Scatter`, ``[d, d]``."""
    size = scatter.diagonal().clone()
    for block in blocks:
        index = torch.tensor(list(block))
        size[index] = _size(scatter[index][:, index])
    return scatter / torch.outer(size.sqrt(), size.sqrt())


def _size(matrix: torch.Tensor) -> float:
    """|M|^(1/n), without over- or underflow."""
    return math.exp(float(torch.linalg.slogdet(matrix)[1]) / len(matrix))


def _entry(
    facts: Facts,
    i: int,
    j: int,
    value: float,
    mine: Shape | None,
    other: Shape | None,
    exact: dict[tuple[int, ...], torch.Tensor],
) -> Entry:
    names = facts.subject.density.coordinates
    where = f"{names[i]}, {names[j]}"
    if i == j and mine is None:
        return defined(f"scatter of {where}", 1.0, "one by normalisation: a coordinate in no elliptical block")
    if mine is not None and mine is other:
        return _within(facts, i, j, where, value, mine, exact[mine.coordinates])
    apart = facts.separation(i, j)
    if apart is None:
        return unknown(f"scatter of {where}", value, "no symmetry pins this pair")
    moments = facts.moments(2, (i, j))
    claim = Claim(
        exact=0.0,
        premises=(apart.invariance, moments),
        theorem=REFLECTION_COVARIANCE,
        why=f"even in ({apart.group})",
        widest=WIDEST,
        proof=apart.proof is not None,
    )
    return judge(facts, f"scatter of {where}", value, claim)


def _within(facts: Facts, i: int, j: int, where: str, value: float, shape: Shape, matrix: torch.Tensor) -> Entry:
    """Inside an elliptical block: no moments are needed, but without a covariance it is called a shape."""
    a, b = shape.coordinates.index(i), shape.coordinates.index(j)
    exists = facts.moments(2, (i, j), shape.moments).evidence in ESTABLISHED
    claim = Claim(
        exact=float(matrix[a, b]),
        premises=(shape.invariance, facts.proper()),
        theorem=ELLIPTICAL_SCATTER,
        why=f"elliptical in ({shape.group}), normalised to determinant one",
        unit=float((matrix[a, a] * matrix[b, b]).sqrt()),
        widest=WIDEST,
        proof=shape.proved,
        caveat="if the posterior is proper",
    )
    return judge(facts, f"{'scatter' if exists else 'shape'} of {where}", value, claim)
