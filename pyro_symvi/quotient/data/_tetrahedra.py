"""Tetrahedra with arms of four lengths: shapes with two hands, in known shares."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...groups import SpecialOrthogonal
from .._context import Context
from .._dataset import CloudDataset

ARMS = (1.0, 1.2, 1.4, 1.6)


def tetrahedron_shapes(arms: tuple[float, float, float, float] = ARMS, *, dtype: torch.dtype = torch.float64) -> Tensor:
    """The two mirror images ``[2, 5, 3]``, centred: a centre and four arms of these lengths, at tetrahedral angles.

    The first is the right hand: the arms 1, 2, 3 have a positive determinant. With weights (right, 1 - right) they
    are the shapes of the ``ShapeMixture`` that :func:`chiral_tetrahedra` draws from, before the spread.

    Raises:
        ValueError: for lengths that are not four finite positive numbers.
    """
    if len(arms) != 4 or not all(0 < arm < math.inf for arm in arms):
        raise ValueError(f"expected four finite arms > 0, got {arms}; try {ARMS}")
    corners = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=dtype) / math.sqrt(3)
    right = torch.cat([torch.zeros(1, 3, dtype=dtype), torch.tensor(arms, dtype=dtype)[:, None] * corners])
    right = right - right.mean(0)
    return torch.stack([right, right * torch.tensor([1.0, 1.0, -1.0], dtype=dtype)])


def chiral_tetrahedra(
    n: int,
    *,
    right: float = 0.8,
    arms: tuple[float, float, float, float] = ARMS,
    spread: float = 0.05,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> CloudDataset:
    """Centres with four different arms, of which a share ``right`` are right-handed, in uniform poses.

    Each coordinate has an independent normal error of standard deviation ``spread`` (in the units of ``arms``). No
    model that commutes with reflections can learn a share other than 1/2. The context holds the arms as edges and
    each point's number, one-hot, as features, so that no renumbering changes the hand.

    Raises:
        ValueError: for a share outside [0, 1], or a spread so large that hands would change (more than a tenth of
            the shortest arm).
    """
    if not 0 <= right <= 1:
        raise ValueError(f"expected a share right in [0, 1], got {right!r}")
    shapes = tetrahedron_shapes(arms)
    if not 0 <= spread <= min(arms) / 10:
        raise ValueError(f"expected a spread in [0, {min(arms) / 10:g}], got {spread!r}, because hands would change")
    left = (torch.rand(n, generator=generator, dtype=torch.float64) >= right).long()
    clouds = shapes[left] + spread * torch.randn(n, 5, 3, generator=generator, dtype=torch.float64)
    clouds = clouds - clouds.mean(-2, keepdim=True)
    turned = clouds @ SpecialOrthogonal(3).sample(n, generator=generator).to(clouds).mT
    edges = torch.zeros(5, 5, dtype=torch.int64)
    edges[0, 1:] = edges[1:, 0] = 1
    context = Context(features=torch.eye(5, dtype=dtype)[None], edges=edges[None])
    return CloudDataset(turned.to(dtype), torch.zeros(n, dtype=torch.int64), ("tetrahedron of four arms",), context)
