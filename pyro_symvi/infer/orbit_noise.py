"""Orbit-closed particles inside ``pyro.infer.SVI``."""

from __future__ import annotations

from typing import Any

import torch
from pyro import distributions as dist
from pyro.poutine.messenger import Messenger

from ..families.scales import ScaleTransform
from ..groups import AffineAction, AxisFlips, PointReflection


class OrbitClosedNoise(Messenger):
    r"""Replaces the base draws of an `AutoLocationScale` guide by sets closed under sign flips of some coordinates.

    Half of the vectorised particles are drawn, the other half are their images under :math:`\xi_J\mapsto-\xi_J` (for
    `AxisFlips`, 2^|J| images of each). On a target that is even in J about c, the location gradient at c is then zero
    for *every* draw, so that stochastic optimisation with a constant step has no noise floor in the location.

    The closure is across particles, one weight each; it is never inside an importance-weighted tuple.

    Args:
        symmetry: A `PointReflection` or `AxisFlips`; its centre is not imposed.

    Raises:
        TypeError: Another symmetry.
        ValueError: While the guide runs: no `AutoLocationScale` latent vector is met, or the number of particles is not
            a multiple of the group's order.
    """

    def __init__(self, symmetry: AffineAction) -> None:
        super().__init__()
        if not isinstance(symmetry, (PointReflection, AxisFlips)):
            raise TypeError(
                f"expected symmetry as PointReflection or AxisFlips, got {symmetry!r}, because base draws are closed "
                "under sign flips only; try PointReflection()"
            )
        self.symmetry = symmetry
        self.met = False

    def __enter__(self) -> OrbitClosedNoise:
        """Start watching for the guide's latent vector."""
        self.met = False
        return super().__enter__()

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        """Complain if it was never met."""
        super().__exit__(kind, value, traceback)
        if kind is None and not self.met:
            raise ValueError(
                "expected an AutoLocationScale guide, got one without its latent vector, because orbit-closed "
                "particles need the guide's base draws; try pyro_symvi.guides.AutoLocationScale, or symmetry=None"
            )

    def _pyro_sample(self, message: Any) -> None:
        function = message["fn"]
        if message["done"] or not message["infer"].get("is_auxiliary") or not _is_affine(function):
            return
        base = function.base_dist
        signs = self._signs(function.event_shape[0])
        with torch.no_grad():
            noise = base.sample()
        count = noise.shape[0] if noise.dim() > 1 else 1
        if count % len(signs):
            fitting = max(1, count // len(signs)) * len(signs)
            raise ValueError(
                f"expected a number of vectorised particles that is a multiple of {len(signs)}, got {count}, because "
                f"particles come in orbits of the symmetry; try num_particles={fitting}"
            )
        drawn = noise[: count // len(signs)]
        value = torch.cat([drawn * sign.to(drawn) for sign in signs])
        for transform in function.transforms:
            value = transform(value)
        message["value"], message["done"], self.met = value, True, True

    def _signs(self, dim: int) -> torch.Tensor:
        """All sign vectors of the group, ``[order, dim]``."""
        action = self.symmetry.bind(dim, center=torch.zeros(dim, dtype=torch.float64))
        elements = action.group.elements(dtype=torch.float64)
        return action.matrix(elements).diagonal(dim1=-2, dim2=-1)


def _is_affine(function: Any) -> bool:
    affine = (dist.transforms.AffineTransform, dist.transforms.LowerCholeskyAffine, ScaleTransform)
    transforms = getattr(function, "transforms", ())
    return isinstance(function, dist.TransformedDistribution) and all(isinstance(t, affine) for t in transforms)
