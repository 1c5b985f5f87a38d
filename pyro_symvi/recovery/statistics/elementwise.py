"""The map of one unconstrained coordinate to the user's scale, where it is one: strictly monotone, by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.distributions import biject_to, transforms

from ...density import LogDensity
from ...density._sites import CPU

_MONOTONE = (
    transforms.AffineTransform,
    transforms.ExpTransform,
    transforms.SigmoidTransform,
    transforms.SoftplusTransform,
    transforms.TanhTransform,
)
"""Strictly monotone in each coordinate (an affine one with a scale that is not zero)."""


@dataclass(frozen=True)
class Elementwise:
    """tau with x_i = tau(z_i).

    Attributes:
        transform: The transform of the coordinate's site; None where there is no such map.
        shape: Shape of the site's unconstrained value.
        position: The coordinate's place in its site.
        refusal: Why there is no such map; empty if there is.
        device: Where the transform's tensors lie.
    """

    transform: Any
    shape: tuple[int, ...]
    position: int
    refusal: str = ""
    device: torch.device = CPU

    def __call__(self, z: float) -> float:
        """tau(z)."""
        return self._at(self.transform, z)

    def inverse(self, x: float) -> float:
        """tau^-1(x)."""
        return self._at(self.transform.inv, x)

    def _at(self, transform: Any, value: float) -> float:
        full = torch.full(self.shape, value, dtype=torch.float64, device=self.device)
        return float(torch.as_tensor(transform(full)).reshape(-1)[self.position])


def elementwise_maps(density: LogDensity) -> list[Elementwise]:
    """One a coordinate."""
    supports = density._reading.supports_at(torch.zeros(density.dim, dtype=torch.float64))
    out = []
    for site in density.sites:
        shape = tuple(site.unconstrained_shape)
        transform, refusal = biject_to(supports[site.name]), ""
        if density.dependent_supports:
            refusal = f"the support of {site.name}, or of a site before it, depends on other sites"
        elif shape != tuple(site.shape) or not _is_monotone(transform):
            refusal = (
                f"the map to {site.name} is not one increasing or decreasing function a coordinate "
                f"({site.transform}), so the median does not pass through it"
            )
        count = site.slice.stop - site.slice.start
        out += [Elementwise(None if refusal else transform, shape, k, refusal, site.device) for k in range(count)]
    return out


def _is_monotone(transform: Any) -> bool:
    if isinstance(transform, transforms.ComposeTransform):
        return all(_is_monotone(part) for part in transform.parts)
    if isinstance(transform, transforms.IndependentTransform):
        return _is_monotone(transform.base_transform)
    if transform is transforms.identity_transform:
        return True
    if isinstance(transform, transforms.AffineTransform):
        return bool((torch.as_tensor(transform.scale) != 0).all())
    return type(transform) in _MONOTONE
