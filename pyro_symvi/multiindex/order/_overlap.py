"""Overlaps of two sets of units."""

from __future__ import annotations

import torch
from torch import Tensor


def overlap_matrix(a: Tensor, b: Tensor, *, normalise: bool = True) -> Tensor:
    r"""Overlaps of the units of two weight matrices ``[..., p, d]`` and ``[..., r, d]``, as ``[..., p, r]``.

    .. math:: Q_{kl} = \frac{a_k\cdot b_l}{|a_k|\,|b_l|} \quad\text{(cosines)}, \qquad
              Q_{kl} = a_k\cdot b_l \quad\text{(normalise=False)}.

    The second is the overlap of the literature for weights of length about one (w_kj ~ N(0, 1/d), as in
    `committee_machine`); for entries of order one divide by d. A unit of length zero has overlap zero with all.

    Raises:
        ValueError: unless both are matrices over the same inputs.
    """
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"expected weights [..., p, d] and [..., r, d], got {list(a.shape)} and {list(b.shape)}, because each unit "
            "is a row over the same inputs"
        )
    return (unit_rows(a) @ unit_rows(b).mT) if normalise else a @ b.mT


def unit_rows(a: Tensor) -> Tensor:
    """Rows of length one; zero rows stay. Scaled by the largest entry first, so that squares stay in range."""
    largest = a.abs().amax(dim=-1, keepdim=True)
    a = a / torch.where(largest > 0, largest, 1.0)
    norm = a.norm(dim=-1, keepdim=True)
    return a / torch.where(norm > 0, norm, 1.0)
