"""How the outputs of a model are declared to transform, and whether the declaration can be true."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...groups import Action, Group, InvariantAction, IrrepAction, LinearAction, NaturalAction
from ...groups._errors import sentence
from .._capture import OUTPUT
from .._foreign import MatrixAction, as_action, is_foreign
from .._homomorphism import pairs


def declared(rho_out: Any, group: Group) -> dict[str, Action]:
    """The action of each output by name: "output", "output['energy']", "output[0]".

    ``rho_out`` is one action (None: invariant) for a model that returns a tensor, else a dict, tuple or list in the
    structure of what it returns; keys of a dict that are left out are not looked at.
    """
    found: dict[str, Action] = {}
    _collect(rho_out, group, OUTPUT, found)
    if not found:
        raise ValueError(f"expected rho_out with at least one output, got {rho_out!r}")
    for name, action in found.items():
        if -1 not in action.event_shape:
            require_representation(action, action.event_shape, name)
    return found


def _collect(rho: Any, group: Group, name: str, found: dict[str, Action]) -> None:
    if isinstance(rho, dict):
        for key, value in rho.items():
            _collect(value, group, f"{name}[{key!r}]", found)
    elif is_structure(rho):
        for i, value in enumerate(rho):
            _collect(value, group, f"{name}[{i!r}]", found)
    else:
        action = InvariantAction(group) if rho is None else as_action(rho, group)
        if not isinstance(action, Action):
            raise TypeError(
                f"expected rho_out as an action of {group!r} for {name}, got {rho!r}; try NaturalAction(group) for "
                "vectors on the last axis, None for what stays as it is, a dict of these for several outputs"
            )
        if action.group != group:
            raise ValueError(f"expected an action of {group!r} for {name}, got one of {action.group!r}")
        found[name] = action


def raw_outputs(output: Any, name: str = OUTPUT) -> dict[str, Tensor]:
    """The tensors of a structure by name, as they are."""
    if isinstance(output, Tensor):
        return {name: output}
    items: list[tuple[Any, Any]] = []
    if isinstance(output, dict):
        items = list(output.items())
    elif isinstance(output, tuple | list):
        items = list(enumerate(output))
    return {k: v for key, value in items for k, v in raw_outputs(value, f"{name}[{key!r}]").items()}


def is_structure(rho_out: Any) -> bool:
    """Whether several outputs are declared (a representation of another library may itself be a tuple)."""
    return isinstance(rho_out, dict | tuple | list) and not is_foreign(rho_out)


def require_names(actions: dict[str, Action], names: Any) -> None:
    """Every declared output is there."""
    there = [name for name in names if name == OUTPUT or name.startswith(f"{OUTPUT}[")]
    missing = [name for name in actions if name not in there]
    if missing:
        raise ValueError(
            sentence(
                f"rho_out in the structure of what the model returns ({', '.join(there)})",
                "one action for a single tensor" if missing == [OUTPUT] else ", ".join(missing),
                "each output is turned back by its own action",
                "rho_out={'energy': None, 'forces': NaturalAction(group)} for a dict, one action for one tensor",
            )
        )


def require_shape(action: Action, shape: tuple[int, ...], name: str) -> None:
    """The action fits outputs ``[B, *rest]`` of ``shape = rest``; see also :func:`require_representation`."""
    wanted = action.event_shape
    moved = shape[len(shape) - len(wanted) :] if len(wanted) <= len(shape) else ()
    fits = len(moved) == len(wanted) and all(w in (-1, m) for w, m in zip(wanted, moved, strict=True))
    if not fits:
        axes = "the last axis" if len(wanted) == 1 else f"the last {len(wanted)} axes"
        event = ", ".join("n" if size == -1 else str(size) for size in wanted)
        raise ValueError(
            sentence(
                f"{name} of shape [samples, ..., {event}]",
                ["samples", *shape],
                f"{action!r} moves {axes} of an output",
                "rho_out=None for invariant outputs, or a model that puts these axes last",
            )
        )
    if -1 in wanted:
        require_representation(action, moved, name)


def require_representation(action: Action, event: tuple[int, ...], name: str = OUTPUT) -> None:
    """Refuse what is no action by isometries: rho(a) rho(b) = rho(ab), rho(e) = 1, |rho(g) v - rho(g) w| = |v - w|.

    Tested at a few Haar draws (and more of a finite group) and random points, to 1e-6; interpolating actions
    (``is_exact = False``) are not.
    """
    group = action.group
    if isinstance(action, InvariantAction) or not group.is_compact or not getattr(action, "is_exact", True):
        return
    chance = torch.Generator().manual_seed(0)
    g = group.sample(6, generator=chance)
    a, b = pairs(group, g)
    v = torch.randn(len(a), 2, *event, generator=chance, dtype=torch.float64)

    def moved(h: Tensor, points: Tensor) -> Tensor:
        return action.act(h[:, None], points)

    image = moved(b, v)
    scale = 1e-6 * float(v.abs().max() + image.abs().max())
    identity = group.identity()[None]
    twice, once = moved(a, image), moved(group.compose(a, b), v)
    if float((twice - once).abs().max()) > scale or float((moved(identity, v) - v).abs().max()) > scale:
        swapped = moved(group.compose(b, a), v)
        hint = "its inverse matrices" if float((twice - swapped).abs().max()) <= scale else "IrrepAction(group, label)"
        raise ValueError(
            sentence(
                f"an action for {name}, rho(a) rho(b) = rho(ab)",
                f"{action!r}, which differs by {float((twice - once).abs().max()):.2g}",
                "the response turned back by anything else is no symmetry test",
                hint,
            )
        )
    flat = math.prod(event)
    before, after = ((p[:, 0] - p[:, 1]).reshape(-1, flat).norm(dim=-1) for p in (v, image))
    if float((before - after).abs().max()) > scale:
        raise ValueError(
            sentence(
                f"an action by isometries for {name}, |rho(g) v| = |v|",
                f"{action!r}, which changes lengths by up to {float((before - after).abs().max()):.2g}",
                "errors at different orientations are compared by their length",
                "an orthonormal basis of the representation (components scaled so that the matrices are orthogonal)",
            )
        )


def band_of(action: Action) -> int:
    """The largest degree in a representation of a Lie group, where it is known; else 0."""
    if isinstance(action, IrrepAction) and not action.group.is_finite:
        entries = action.label if isinstance(action.label, tuple) else (action.label,)
        return max((abs(k) for k in entries if isinstance(k, int)), default=0)
    if isinstance(action, MatrixAction):
        return action.band
    return 0 if isinstance(action, InvariantAction) else 1 if isinstance(action, NaturalAction) else 0


def turned_back(action: Action, elements: Tensor, values: Tensor) -> Tensor:
    """Responses turned back, z = rho(g^-1) u(g), for ``elements [k, ...]`` and responses ``[k, B, *rest]``."""
    return values if isinstance(action, InvariantAction) else moved_by(action, action.group.inverse(elements), values)


def moved_by(action: Action, elements: Tensor, values: Tensor) -> Tensor:
    """Objects moved, rho(g_i) values_i, for ``elements [k, ...]`` and ``values [k or 1, B, *rest]``."""
    if isinstance(action, InvariantAction):
        return values
    if isinstance(action, LinearAction) and type(action)._act is LinearAction._act:
        matrices = action.matrix(elements).to(values.dtype)
        flat = values.reshape(len(values), -1, values.shape[-1])
        return (flat @ matrices.mT).reshape(len(elements), *values.shape[1:])
    ones = (1,) * (values.ndim - 1 - len(action.event_shape))
    return action.act(elements.reshape(len(elements), *ones, *elements.shape[1:]), values)
