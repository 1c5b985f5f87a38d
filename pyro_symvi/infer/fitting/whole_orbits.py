r"""Draws in whole orbits of a finite group, for fits by importance weights.

The images of a proposal's draws, weighted by the average of the proposal over the group, are draws of that average: an
ordinary importance sample of any target. Where the target has the symmetry, the weights of an orbit agree once the fit
does, so a fitted location that the group leaves alone is an exact fixed point, for any number of draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...density._proposal import Proposal
from .symmetry_maps import SymmetryMap

_FIXED = 1e-9


@dataclass(frozen=True)
class Orbits:
    r"""The maps :math:`z \mapsto c + A_g(z - c)` of a finite group of orthogonal matrices.

    Attributes:
        matrices: ``[order, d, d]``, identity first.
        center: A point c ``[d]`` that all maps leave alone; None where it is open.
        images: ``[copies, d, d]``, those that make whole orbits of offsets that are closed under a reflection already:
            one of each two that differ by it.
    """

    matrices: Tensor
    center: Tensor | None
    images: Tensor

    @property
    def order(self) -> int:
        """Number of maps."""
        return len(self.matrices)

    @property
    def copies(self) -> int:
        """Number of images of an offset, itself among them."""
        return len(self.images)

    def spread(self, offsets: Tensor) -> Tensor:
        """Images of ``offsets [n, d]``, ``[copies n, d]``, one matrix after the other."""
        return _moved(self.images, offsets)

    def invariant_root(self, root: Tensor) -> Tensor:
        r"""Cholesky factor of the mean of :math:`A_gSA_g^T`, for ``root [d, d]`` of S.

        A spherical law scaled by it has the same density at all images of an offset.
        """
        moved = self.matrices @ root
        return torch.linalg.cholesky((moved @ moved.mT).mean(0))

    def draws(self, proposal: Proposal, z: Tensor) -> tuple[Tensor, Tensor]:
        r"""All images of draws ``z[n, d]``, and :math:`\log\frac{1}{|G|}\sum_g r(gz)` at each, ``[order n]``.

        Raises:
            ValueError: The centre is open.
        """
        if self.center is None:
            raise ValueError("expected a known centre, got None, because images of draws are taken about it")
        images = self.center + _moved(self.matrices, z - self.center)
        log_r = proposal.log_prob(images).reshape(self.order, -1).logsumexp(0) - math.log(self.order)
        return images, log_r.repeat(self.order)


def orbits(matrices: Tensor | None, maps: Sequence[SymmetryMap], reflect: tuple[int, ...] = ()) -> Orbits | None:
    """Of the matrices of a group, about the point that its maps leave alone; None without matrices.

    Args:
        matrices: ``[order, d, d]``, or None.
        maps: Those of the group's generators; none where the centre is open.
        reflect: Coordinates whose joint reflection offsets are closed under already; empty for all.
    """
    if matrices is None:
        return None
    signs = torch.ones(matrices.shape[-1], dtype=matrices.dtype)
    signs[list(reflect) if reflect else slice(None)] = -1
    center = _fixed_point(maps, matrices.shape[-1]) if maps else None
    return Orbits(matrices, center, _one_of_two(matrices, signs))


def _one_of_two(matrices: Tensor, signs: Tensor) -> Tensor:
    """The matrices without those that are an earlier one times the reflection."""
    kept: list[Tensor] = []
    seen: set[bytes] = set()
    for a in matrices:
        if _key(a) not in seen:
            kept.append(a)
            seen.add(_key(a * signs))
    return torch.stack(kept)


def _key(matrix: Tensor) -> bytes:
    """Of a matrix up to rounding."""
    return bytes((matrix * 1e6).round().to(torch.int64).numpy().tobytes())


def _moved(matrices: Tensor, offsets: Tensor) -> Tensor:
    """``A_g x`` for ``x[n, d]``, one matrix after the other, ``[len(matrices) n, d]``."""
    return torch.einsum("gij,nj->gni", matrices, offsets).flatten(0, 1)


def _fixed_point(maps: Sequence[SymmetryMap], dim: int) -> Tensor | None:
    """A point ``[d]`` that every map leaves alone, the nearest to zero; None if there is none."""
    eye = torch.eye(dim, dtype=torch.float64)
    rows = torch.cat([eye - (torch.diag(g.linear) if g.linear.ndim == 1 else g.linear) for g in maps])
    offsets = torch.cat([g.offset for g in maps])
    point = torch.linalg.lstsq(rows, offsets[:, None], driver="gelsd").solution[:, 0]
    missed = float((rows @ point - offsets).abs().max())
    return point if missed <= _FIXED * (1 + float(offsets.abs().max())) else None
