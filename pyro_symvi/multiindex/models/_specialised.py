"""The specialised guide: a mean-field normal about given weights, with a copy at each image under the group."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from pyro.infer.autoguide import AutoContinuous
from pyro.infer.autoguide.initialization import init_to_value
from torch import Tensor

from ...groups import Action, SignedPermutations, SignedUnitPermutation, Symmetric
from ...guides import AutoLocationScale, OrbitMixture, label_permutation
from ._model import SITE


def specialised_guide(
    model: Callable[..., Any],
    weights: Tensor,
    group: Symmetric | SignedPermutations,
    *,
    init_scale: float | None = None,
    site: str = SITE,
    max_order: int = 720,
    num_elements: int = 64,
    generator: torch.Generator | None = None,
) -> OrbitMixture:
    r"""An orbit mixture of mean-field normals over the p units of a committee: symmetric as a law, broken in each copy.

    The copy of the identity is N(weights, init_scale^2), every weight its own mean and scale; it starts where
    ``weights`` say: at a draw of the prior (`random_start`), at a spectral estimate, or at a teacher (an informed
    start). The gain in ELBO over one copy lies in [0, log |G|], and is log |G| where copies do not overlap: log p! for
    S_p, log 2^p p! for B_p, see `pyro_symvi.guides.OrbitMixture.gain`.

    Args:
        model: `committee_machine` with its options bound (``functools.partial``), or another model with such a site.
        weights: First means of the identity's copy, ``[p, d]``.
        group: The symmetry of the posterior: ``Symmetric(p)``, or ``SignedPermutations(p)`` for even activations.
        init_scale: First standard deviation of all weights; 0.1 / sqrt(d) by default.
        site: The site's name.
        max_order: Groups up to this order are used whole; of larger ones a sample, see `OrbitMixture`.
        num_elements: Its size.
        generator: For that sample.

    Raises:
        TypeError: ``group`` is neither group.
        ValueError: ``weights`` is no matrix with a row for each unit.
    """
    if not isinstance(group, Symmetric | SignedPermutations):
        raise TypeError(
            f"expected Symmetric(p) or SignedPermutations(p), got {group!r}, because these are the symmetries of "
            "exchangeable units; try symmetry_of(activation, units)"
        )
    if weights.ndim != 2 or len(weights) != group.n:
        raise ValueError(
            f"expected weights [{group.n}, d] for {group!r}, got {list(weights.shape)}, because each unit is a row"
        )
    scale = 0.1 / math.sqrt(weights.shape[1]) if init_scale is None else init_scale
    start = init_to_value(values={site: weights.detach()})
    guide = AutoLocationScale(model, scale="diagonal", init_loc_fn=start, init_scale=scale)

    def action(inner: AutoContinuous) -> Action:
        labels = label_permutation(inner, [site])
        return labels if isinstance(group, Symmetric) else SignedUnitPermutation(labels.dim, labels.blocks)

    return OrbitMixture(guide, action, max_order, num_elements, generator)


def random_start(units: int, dim: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Weights drawn from the prior N(0, 1/d), ``[p, d]`` in float64: about orthogonal, of length about one."""
    device = None if generator is None else generator.device
    return torch.randn(units, dim, dtype=torch.float64, generator=generator, device=device) / math.sqrt(dim)
