"""Refreshing the momentum of microcanonical samplers: unit vectors, wholly or partly new."""

from __future__ import annotations

import torch
from torch import Tensor


def column(value: Tensor) -> Tensor:
    """Numbers of the chains, ``[]`` or ``[chains]``, as they multiply ``[chains, dim]``."""
    return value if value.ndim == 0 else value[:, None]


def unit(vectors: Tensor) -> Tensor:
    """Vectors ``[chains, dim]`` over their lengths; of a standard normal vector: uniform on the sphere."""
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)


def partial_refresh(momentum: Tensor, normal: Tensor, step_size: Tensor, length: Tensor) -> Tensor:
    """The unit vector along u + nu z, nu = sqrt((exp(2 step_size / length) - 1) / dim).

    The uniform law on the sphere is kept whatever nu, and after a path of ``length`` the momentum is forgotten by a
    factor of about e (Robnik and Seljak 2024, "Fluctuation without dissipation", eq. 9).
    """
    strength = (torch.expm1(2 * step_size / length) / momentum.shape[-1]).sqrt()
    return unit(torch.addcmul(momentum, normal, column(strength).expand_as(normal)))


def mixed(momentum: Tensor, normal: Tensor, memory: Tensor) -> Tensor:
    """The normal vector memory * p + sqrt(1 - memory^2) z of a normal momentum p."""
    memory = column(memory)
    return memory * momentum + (1 - memory.square()).sqrt() * normal


def mixed_unit(momentum: Tensor, normal: Tensor, memory: Tensor) -> Tensor:
    """The unit vector along memory * u + sqrt((1 - memory^2) / dim) z of a unit vector u; new at memory 0."""
    return unit(mixed(momentum, normal * momentum.shape[-1] ** -0.5, memory))
