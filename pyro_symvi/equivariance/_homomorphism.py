"""Is it an action at all? Checked on the samples themselves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..groups import Action, Group, InvariantAction
from ..groups._errors import sentence

#: Largest deviation from rho(g) rho(h) x = rho(gh) x, relative to the largest entry of x and its images.
TOLERANCE = 1e-5


#: In a finite group with at most so many pairs of a generator and an element all of these are looked at.
ALL_PAIRS = 48


def pairs(group: Group, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Elements g and h at which rho(g) rho(h) = rho(g h) is looked at: the draws, halved, and in a finite group more.

    Every generator with every element, which decides, where these are few; with its inverse alone where they are many.
    Haar draws from two or three elements miss a rho that does not close (of order 4 for a group of order 2) too often.
    """
    half = len(draws) // 2
    first, second = [draws[:half]], [draws[half:]]
    if group.is_finite:
        generators = group.generators().to(draws)
        if len(generators) and group.log_order <= math.log(ALL_PAIRS / len(generators)) + 1e-9:
            elements = group.elements().to(draws)
            first.append(generators.repeat_interleave(len(elements), 0))
            second.append(elements.repeat(len(generators), *(1,) * (elements.ndim - 1)))
        else:
            first.append(generators)
            second.append(group.inverse(generators))
    return torch.cat(first), torch.cat(second)


def require_action(action: Action, x: Tensor, name: str, samples: int = 2) -> None:
    """Check rho(e) x = x and rho(g) rho(h) x = rho(gh) x on the first samples, for two pairs of Haar draws
    and more of a finite group (:func:`pairs`).

    Anything else is not moved by the group, and averages over the group then mean nothing. Actions that hold only
    up to interpolation say so by an attribute ``is_exact = False`` and are not looked at; nor are those of groups
    without Haar measure.

    Args:
        action: of a group on the last axes of x.
        x: ``[B, ...]``, in float64 (or complex).
        name: of x, for the message.
        samples: how many of them are moved.
    """
    group: Group = action.group
    if isinstance(action, InvariantAction) or not group.is_compact or not getattr(action, "is_exact", True):
        return
    x = x[:samples]
    draws = group.sample(4, generator=torch.Generator().manual_seed(0)).to(x.device)
    first, second = pairs(group, draws)
    once = action._sweep(group._compose(first, second), x)
    twice = torch.cat([action._sweep(g[None], y) for g, y in zip(first, action._sweep(second, x), strict=True)])
    unit = action._sweep(group.identity(device=x.device)[None], x)[0]
    scale = float(torch.stack([x.abs().amax(), once.abs().amax(), twice.abs().amax()]).amax()) if x.numel() else 0.0
    for what, a, b in (("rho(e) x = x", unit, x), ("rho(g) rho(h) x = rho(g h) x", twice, once)):
        apart = float((a - b).abs().max()) if a.numel() else 0.0
        if not apart <= TOLERANCE * scale:
            raise ValueError(
                sentence(
                    f"an action with {what}",
                    f"{action!r}, off by {apart:.2g} on {name}",
                    "averages over the group mean nothing where its elements are not what moves the inputs",
                    "the order of the factors, or the inverse: act(g, x) is a left action",
                )
            )
