"""Clouds of charged points with targets in closed form."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..._value import positive_int
from ...groups import Action, Group, NaturalAction
from .._labels import spherical_action
from ..biases import TensorBasis
from ._dataset import Dataset
from ._targets import CloudTarget, HarmonicMoment


@dataclass(frozen=True, eq=False, repr=False)
class CloudDataset(Dataset):
    """Points ``positions [B, P, 3]`` with ``charges [B, P]`` and the property ``target``.

    Attributes:
        values: the property divided by ``scale``, ``[B, 2l + 1]``.
        scale: the root of the mean square of the property's components over all clouds generated. One number, so
            the values transform as the property does.
        kind: what the property is.
    """

    positions: Tensor
    charges: Tensor
    values: Tensor
    scale: float = 1.0
    kind: CloudTarget = field(default_factory=HarmonicMoment)

    @property
    def inputs(self) -> dict[str, Tensor]:
        """Positions and charges."""
        return {"positions": self.positions, "charges": self.charges}

    @property
    def targets(self) -> Tensor:
        """The property divided by its scale, ``[B, 2l + 1]``."""
        return self.values

    def rho_in(self, group: Group) -> dict[str, Action | None]:
        """Positions are vectors; charges stay."""
        return {"positions": NaturalAction(group), "charges": None}

    def rho_out(self, group: Group) -> Action:
        """The representation (l, sigma) of the property."""
        return spherical_action(group, self.kind.label)

    @property
    def tensor_basis(self) -> TensorBasis:
        """The basis in which the property has invariant coefficients."""
        return TensorBasis(self.kind.label)

    def _sizes(self) -> str:
        return f"{len(self)} clouds of {self.positions.shape[1]} points, {self.kind!r}"

    def _tensors(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in ("positions", "charges", "values", "groups")}


def decorated_clouds(
    n: int,
    *,
    points: int = 8,
    target: CloudTarget | None = None,
    oriented: bool = True,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> CloudDataset:
    """Clouds of standard normal points, from their mean, with charges uniform on [-1, 1].

    Args:
        n: clouds.
        points: in each.
        target: what is to be predicted; by default the moment of degree 3. See :class:`~.CloudTarget`.
        oriented: turn every cloud to its principal axes, largest spread along x and signs of the axes such that the
            sum of q |r|^2 r has positive x and y and the frame is right-handed. A model trained without augmentation
            then sees one orientation only. False: orientations are uniform.
        seed, dtype: of positions, charges and values; values are exact for the rounded numbers.

    Raises:
        TypeError: for anything but a target.
    """
    positive_int(n, "n")
    positive_int(points, "points", 2)
    kind = HarmonicMoment() if target is None else target
    if not isinstance(kind, CloudTarget):
        raise TypeError(f"expected a target such as HarmonicMoment(3) or TripleProduct(), got {target!r}")
    generator = torch.Generator().manual_seed(positive_int(seed, "seed", 0))
    r = torch.randn(n, points, 3, generator=generator, dtype=torch.float64)
    q = 2 * torch.rand(n, points, generator=generator, dtype=torch.float64) - 1
    r = r - r.mean(1, keepdim=True)
    if oriented:
        r = _on_principal_axes(r, q)
    r, q = r.to(dtype), q.to(dtype)
    values = kind(r.double(), q.double())
    scale = float(values.square().mean().sqrt()) or 1.0
    groups = torch.zeros(n, dtype=torch.long)
    return CloudDataset(groups, ("clouds",), r, q, (values / scale).to(dtype), scale, kind)


def _on_principal_axes(r: Tensor, q: Tensor) -> Tensor:
    axes = torch.linalg.eigh(r.mT @ r).eigenvectors.flip(-1)
    weight = (q * r.square().sum(-1))[..., None]
    sign = (weight * (r @ axes)).sum(1).sign()
    axes = axes * torch.where(sign == 0, 1.0, sign)[:, None]
    axes = torch.cat([axes[..., :2], axes[..., 2:] * torch.linalg.det(axes).sign()[:, None, None]], -1)
    return r @ axes
