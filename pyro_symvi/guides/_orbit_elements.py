"""Which elements of a group an orbit mixture averages over, and on which vectors they act."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pyro.infer.autoguide import AutoContinuous, AutoLaplaceApproximation
from torch import Tensor

from ..groups import Action, AffineAction, Group, NonCompactGroupError

ActionLike = Action | Callable[[AutoContinuous], Action]


def check_guide(guide: Any) -> None:
    if not isinstance(guide, AutoContinuous):
        raise TypeError(
            f"expected a guide on the flat latent vector, got {guide!r}, because its law "
            "is what the group moves; try AutoLocationScale(model) or AutoMultivariateNormal(model)"
        )
    if isinstance(guide, AutoLaplaceApproximation):
        raise TypeError(
            "expected a guide with a density, got AutoLaplaceApproximation, because it is a point until "
            "laplace_approximation() is called; try OrbitMixture(guide.laplace_approximation(*args), action)"
        )


def check_count(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected {name} as an int, got {value!r}, because it counts elements or draws; try 64")
    if value < least:
        raise ValueError(f"expected {name} >= {least}, got {value}, because fewer say nothing; try {name}=64")
    return value


def check_action(action: Any) -> None:
    """What can be said of an action before the dimension is known; a function is judged by what it returns."""
    if not isinstance(action, Action):
        if callable(action) and not isinstance(action, type):
            return
        raise TypeError(
            f"expected action as an action of pyro_symvi.groups or a function of the wrapped guide that returns one, "
            f"got {action!r}, because it moves the guide's copies; try label_permutation(guide, [site names])"
        )
    if len(action.event_shape) != 1:
        raise ValueError(
            f"expected an action on flat vectors, got {action!r} on points of shape {list(action.event_shape)}, "
            "because a guide's latent vector is flat; try CoordinatePermutation, or another action on vectors"
        )
    if getattr(action, "is_bound", True):
        check_compact(action)
    elif isinstance(action, AffineAction) and action.center is None:
        raise ValueError(
            f"expected an action about a known centre, got {action!r}, because copies are made about it; try "
            f"{type(action).__name__}(center=...)"
        )


def check_compact(action: Action) -> None:
    """A group with a normalised Haar measure."""
    if not action.group.is_compact:
        raise NonCompactGroupError(
            f"expected an action of a finite or compact group, got {action!r}, because the average over a non-compact "
            "group is no probability law; try a finite or compact subgroup"
        )


def resolve_action(given: ActionLike, guide: AutoContinuous) -> Action:
    """The action on the flat vector of a guide that is set up, bound to its dimension."""
    action = given if isinstance(given, Action) else given(guide)
    if not isinstance(action, Action):
        raise TypeError(
            f"expected a function that returns an action of pyro_symvi.groups, got {action!r} from it, because it "
            "moves the guide's copies; try lambda guide: label_permutation(guide, [site names])"
        )
    check_action(action)
    dim = guide.latent_dim
    if action.event_shape[0] not in (-1, dim):
        raise ValueError(
            f"expected an action on vectors of length {dim} ({layout_text(guide)}), got {action!r} of dimension "
            f"{action.event_shape[0]}, because it moves the guide's flat unconstrained vector; try dim={dim}, or "
            "label_permutation(guide, [site names])"
        )
    if not getattr(action, "is_bound", True):
        try:
            action = action.bind(dim)  # type: ignore[attr-defined]
        except ValueError as error:
            raise ValueError(f"{error} (the guide's flat vector of length {dim} holds {layout_text(guide)})") from error
    check_compact(action)
    return action


def choose_elements(
    group: Group, max_order: int, num_elements: int, generator: torch.Generator | None
) -> tuple[Tensor, bool]:
    """``(elements, whether they are all)``; the identity and Haar draws where there are too many."""
    if group.is_finite and group.order <= max(max_order, num_elements):
        return group.elements(dtype=torch.float64), True
    identity = group.identity(dtype=torch.float64)[None]
    draws = group.sample(num_elements - 1, generator=generator, dtype=torch.float64)
    return torch.cat([identity.to(draws.device), draws]), False


def layout_text(guide: AutoContinuous) -> str:
    """Sites and their places in the flat vector, as in "loc: 0 to 1, sigma: 2"."""
    parts, start = [], 0
    for name, shape in guide._unconstrained_shapes.items():
        size = shape.numel()
        parts.append(f"{name}: {start}" if size == 1 else f"{name}: {start} to {start + size - 1}")
        start += size
    return ", ".join(parts)
