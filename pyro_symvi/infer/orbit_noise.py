"""Orbit-closed particles inside ``pyro.infer.SVI``."""

from __future__ import annotations

from typing import Any

import torch
from pyro import distributions as dist
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ..families import Tied
from ..families._structure import are_orthogonal, are_sign_flips
from ..families.scales import ScaleTransform
from ..groups import LinearAction
from ._closure_checks import element_matrices, is_finite_linear, wrong_base, wrong_scale


class OrbitClosedNoise(Messenger):
    r"""Replaces the base draws of an `AutoLocationScale` guide by whole orbits under a finite group.

    A share of the vectorised particles is drawn, the others are their images :math:`A_g\xi`. Reflection of the
    coordinates J about a centre: with a target that is even in J about c, the location gradient at :math:`\nu_J=c` is
    then zero for *every* draw, whatever the scale, so that stochastic optimisation with a constant step has no noise
    floor in the location. Other groups (permutations of coordinates, signed ones, rotations of finite order): the
    gradient at every symmetric parameter is symmetric, so that what the group pins stays pinned, if the scale commutes
    with the group there. Diagonal and isotropic scales do, and ``Tied(action)``; a Cholesky factor does not,
    and is refused.

    The closure is across particles, one weight each; it is never inside an importance-weighted tuple.

    Args:
        symmetry: A `LinearAction` of a finite group by orthogonal matrices: `PointReflection`, `AxisFlips`,
            `CoordinatePermutation`, ... Its centre is not imposed.

    Raises:
        TypeError: Another symmetry.
        ValueError: While the guide runs: no `AutoLocationScale` latent vector is met; the number of particles is not a
            multiple of the group's order; the base law is not invariant (a product law under rotations); the scale does
            not commute with the group.
    """

    def __init__(self, symmetry: LinearAction) -> None:
        super().__init__()
        if not is_finite_linear(symmetry):
            raise TypeError(
                f"expected symmetry as a linear action of a finite group, got {symmetry!r}, because particles come in "
                "whole orbits; try PointReflection(), AxisFlips() or CoordinatePermutation(dim)"
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
        matrices = self._matrices(function.event_shape[0])
        order = len(matrices)
        with torch.no_grad():
            noise = base.sample()
        count = noise.shape[0] if noise.dim() > 1 else 1
        if count % order:
            fitting = max(1, count // order) * order
            raise ValueError(
                f"expected a number of vectorised particles that is a multiple of {order}, got {count}, because "
                f"particles come in orbits of the symmetry; try num_particles={fitting}"
            )
        drawn = noise[: count // order]
        value = torch.cat([drawn @ matrix.to(drawn).mT for matrix in matrices])
        self._check(function, noise, value, matrices)
        for transform in function.transforms:
            value = transform(value)
        message["value"], message["done"], self.met = value, True, True

    def _matrices(self, dim: int) -> Tensor:
        """Linear parts of all elements, ``[order, dim, dim]``."""
        return element_matrices(self.symmetry, dim, "guide")

    def _check(self, function: Any, noise: Tensor, value: Tensor, matrices: Tensor) -> None:
        """The base law is invariant, and the scale commutes with the group at symmetric parameters."""
        if are_sign_flips(matrices):
            return
        base, drawn = function.base_dist, noise[: len(noise) // len(matrices)]
        there = base.log_prob(value)
        here = base.log_prob(noise)[: len(drawn)].repeat(len(matrices), *[1] * (drawn.ndim - 2))
        if not are_orthogonal(matrices) or not torch.allclose(there, here, rtol=1e-4, atol=1e-4):
            raise wrong_base(self.symmetry)
        if any(_keeps_order(transform) for transform in function.transforms):
            raise wrong_scale(self.symmetry)


def _keeps_order(transform: Any) -> bool:
    """Whether a scale is one that symmetric parameters need not make commute: triangular or low rank."""
    if isinstance(transform, ScaleTransform):
        return not isinstance(transform.pattern, Tied)
    return isinstance(transform, dist.transforms.LowerCholeskyAffine)


def _is_affine(function: Any) -> bool:
    affine = (dist.transforms.AffineTransform, dist.transforms.LowerCholeskyAffine, ScaleTransform)
    transforms = getattr(function, "transforms", ())
    return isinstance(function, dist.TransformedDistribution) and all(isinstance(t, affine) for t in transforms)
