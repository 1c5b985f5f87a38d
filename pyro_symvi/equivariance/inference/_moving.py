"""How a linear or affine action moves locations and covariances."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...groups import Action, InvariantAction
from ...groups._errors import sentence


def moved(action: Action, elements: Tensor, loc: Tensor) -> Tensor:
    """The images g_k m_k of ``loc [k, B, *rest]`` under ``elements [k, ...]``, one element for each k."""
    ones = (1,) * (loc.ndim - 1 - len(action.event_shape))
    return action.act(elements.reshape(len(elements), *ones, *elements.shape[1:]), loc)


def linear_part(action: Action, elements: Tensor, vectors: Tensor) -> Tensor:
    """A_g v for ``vectors [k, ..., *rest]``, A_g the linear part of the (affine) map."""
    if isinstance(action, InvariantAction):
        return vectors
    return moved(action, elements, vectors) - moved(action, elements, torch.zeros_like(vectors))


def moved_covariance(action: Action, elements: Tensor, covariance: Tensor, rest: tuple[int, ...]) -> Tensor:
    """A_g S A_g^T for ``covariance [k, B, D, D]`` of events of shape ``rest`` laid out as D numbers."""
    if isinstance(action, InvariantAction):
        return covariance
    for _ in range(2):
        rows = covariance.mT.reshape(*covariance.shape[:-1], *rest)
        covariance = linear_part(action, elements, rows).reshape(covariance.shape)
    return covariance


def require_affine(action: Action, elements: Tensor, rest: tuple[int, ...], name: str) -> None:
    """Refuse an action whose maps are not affine: the image of a covariance is then no covariance of the image."""
    size = math.prod(rest)
    u = torch.linspace(-1, 1, size, dtype=torch.float64, device=elements.device).reshape(1, *rest)
    v = torch.linspace(0.3, 2, size, dtype=torch.float64, device=elements.device).cos().reshape(1, *rest)
    some = elements[-1:]
    both = linear_part(action, some, u - 2 * v)
    if not torch.allclose(both, linear_part(action, some, u) - 2 * linear_part(action, some, v)):
        raise TypeError(
            sentence(
                f"an action by affine maps on {name}",
                repr(action),
                "covariances are moved by the linear part",
                "a linear action, or coordinates in which it is one",
            )
        )
