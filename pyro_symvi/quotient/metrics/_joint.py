"""Do two samples of shapes have the same joint law? What marginals of bonds and torsions cannot tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..._value import Value, positive_int
from ._checks import points, random_state, sample
from ._internal import pairwise_distances, radius_of_gyration, signed_volumes


@dataclass(frozen=True, eq=False, repr=False)
class EnergyTest(Value):
    """An energy distance and its permutation test. See :func:`energy_test`.

    Args:
        squared_distance: 2 E|X-Y| - E|X-X'| - E|Y-Y'|, in units of the features, >= 0.
        relative: the same over 2 E|X-Y|: 0 for equal laws, 1 for laws that are two different points.
        null: the mean of ``squared_distance`` over permutations: what equal laws would show at this n.
        p_value: (1 + number of permutations with at least the distance) / (1 + permutations).
        permutations: how many.
    """

    squared_distance: float
    relative: float
    null: float
    p_value: float
    permutations: int

    def __str__(self) -> str:
        return (
            f"energy distance squared {self.squared_distance:.4g} (equal laws: {self.null:.4g}), relative "
            f"{self.relative:.3g}, p = {self.p_value:.3g} of {self.permutations} permutations"
        )


def energy_test(
    x: Tensor, y: Tensor, *, permutations: int = 199, generator: torch.Generator | None = None
) -> EnergyTest:
    """Energy distance of the joint laws of features ``[n, F]`` and ``[m, F]``, with a permutation test of equality.

    The distance is 0 for equal laws alone, dependence between features included. Features have one scale
    (``shape_features``, or columns divided by their standard deviations over the reference); angles go in as cosine
    and sine.

    Args:
        x: independent draws. Memory is (n + m)^2 numbers: thin to a few thousand.
        y: independent draws.
        permutations: the smallest p-value is 1 / (1 + permutations).
        generator: of the permutations; a fixed seed without.

    Reading: p below 0.01 says that the laws differ, not by how much: that is ``relative`` (below 0.01 small, above
    0.1 gross), compared with the value between two halves of the reference. A large p at small n says little.

    Source: Szekely and Rizzo, J. Stat. Plan. Inference 143 (2013) 1249, section 3.

    Raises:
        ValueError: unless both are tables of one number of features.
    """
    rounds = positive_int(permutations, "permutations")
    a, b = sample(x, "x", least=2), sample(y, "y", least=2)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"expected features [n, F] and [m, F], got {list(a.shape)} and {list(b.shape)}")
    both = torch.from_numpy(np.concatenate([a, b]))
    gaps = torch.cdist(both, both, compute_mode="donot_use_mm_for_euclid_dist")
    signs = np.concatenate([np.full(len(a), 1 / len(a)), np.full(len(b), -1 / len(b))])
    rng = random_state(generator)
    rows = torch.from_numpy(np.stack([signs, *(rng.permutation(signs) for _ in range(rounds))]))
    values = -((rows @ gaps) * rows).sum(-1)
    observed = float(values[0].clamp(min=0))
    cross = float(gaps[: len(a), len(a) :].mean())
    slack = 1e-12 * max(cross, 1e-300)
    reached = int((values[1:] >= values[0] - slack).sum())
    return EnergyTest(
        observed,
        observed / (2 * cross) if cross > 0 else 0.0,
        float(values[1:].mean()),
        (1 + reached) / (1 + rounds),
        rounds,
    )


def shape_features(
    x: Tensor, mask: Tensor | None = None, *, quadruples: Tensor | Sequence[Sequence[int]] | None = None
) -> Tensor:
    """Invariants that fix the shape of a cloud, ``[*batch, F]`` in units of x: pair distances and signed volumes.

    All pairwise distances, which fix a cloud up to a mirror image, then 6 V / R^2 for signed volumes V of
    ``quadruples`` (of consecutive points unless given) and the radius of gyration R, which tell the hand. 0 for a
    cloud at one point.

    Raises:
        ValueError: unless the mask is ``[N]``.
    """
    count = points(x, "x", least=2).shape[-2]
    if mask is not None and mask.ndim != 1:
        raise ValueError(f"expected a mask [N], got {list(mask.shape)}, because other points make other features")
    distances = pairwise_distances(x, mask)
    if x.shape[-1] != 3:
        return distances
    if quadruples is None:
        kept = list(range(count)) if mask is None else mask.nonzero()[:, 0].tolist()
        quadruples = [kept[k : k + 4] for k in range(len(kept) - 3)]
    if not len(quadruples):
        return distances
    size = radius_of_gyration(x, mask).square()[..., None]
    volumes = 6 * signed_volumes(x, quadruples, mask)
    return torch.cat([distances, torch.where(size > 0, volumes / torch.where(size > 0, size, math.inf), 0.0)], -1)
