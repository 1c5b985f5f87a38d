"""How a group moves parameters that have a unit axis, and the isotypic parts of that representation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...groups import (
    CoordinatePermutation,
    Group,
    Irrep,
    LinearAction,
    SignedCoordinatePermutation,
    SignedPermutations,
    SignedUnitPermutation,
    Symmetric,
)
from ._actions import action_on, without_signs

Params = Tensor | Mapping[str, Tensor]
Values = dict[str, Tensor]
Axes = int | Mapping[str, int | None]
ONE = "parameters"  # the name of a single tensor


def values_of(params: Params) -> Values:
    """The parameters by name, detached; a single tensor is called "parameters"."""
    named = {ONE: params} if isinstance(params, Tensor) else params
    if not isinstance(named, Mapping) or not named or not all(isinstance(v, Tensor) for v in named.values()):
        raise TypeError(
            f"expected params as a tensor or a non-empty dict of tensors, got {type(params).__name__}, because a group "
            'moves them along their unit axis; try {"loc": loc} with loc of shape [units, d], '
            "dict(module.named_parameters()) for a module, or GuideELBO(model, guide, args).params for a guide"
        )
    whole = [name for name, value in named.items() if not value.is_floating_point()]
    if whole:
        raise TypeError(
            f"expected floating parameters, got {named[whole[0]].dtype} at {whole}, because they are differentiated; "
            "try .double()"
        )
    if len({(v.dtype, v.device) for v in named.values()}) > 1:
        raise TypeError("expected parameters of one dtype and device, got several; try .double() on each")
    return {name: value.detach() for name, value in named.items()}


def like(params: Params, values: Values) -> Any:
    """The values in the form of the parameters: a tensor or a dict."""
    return values[ONE] if isinstance(params, Tensor) else values


class Units:
    """A group acting on each parameter along one axis: the rule by which it is split into isotypic parts.

    The parameters of p units form R^p (x) R^m. Under S_p this is m copies of the trivial part (all units equal) and m
    copies of the standard one (sum over units zero). Under B_p a parameter that changes sign with its unit is m copies
    of the standard (defining) representation, and one that does not (``unsigned``: a scale) is the trivial part and
    the "contrast" part, on which signs do nothing.
    """

    def __init__(self, values: Values, group: Any, axes: Axes = 0, unsigned: Collection[str] = ()) -> None:
        if not isinstance(group, (Group, LinearAction)):
            raise TypeError(
                f"expected a group or a linear action, got {group!r}, because it moves the units; try Symmetric(p) or "
                "SignedPermutations(p)"
            )
        self.group: Group = group if isinstance(group, Group) else group.group
        self.axes = _checked_axes(axes, values)
        self.unsigned = _checked_unsigned(unsigned, values, self.group)
        self.actions: dict[str, LinearAction] = {}
        self._made: dict[Any, dict[str, Callable[[Tensor], Tensor]]] = {}
        for name, axis in self.axes.items():
            if axis is not None:
                self.actions[name] = action_on(group, values[name].shape[axis], name)
        if not self.actions:
            raise ValueError(
                "expected a parameter with a unit axis, got axes=None for all of them, because the group moves none"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": {}}  # functions are made again

    def act(self, g: Tensor, values: Values) -> Values:
        """The parameters moved by one element."""
        return {n: self._along(n, v, lambda x, n=n: self._moved(g, x, n)) for n, v in values.items()}  # type: ignore[misc]

    def project(self, values: Values, irrep: Any) -> Values:
        """The part of the parameters in the isotypic component ``irrep``; what does not move is in "trivial"."""
        rules = self._rules(irrep)
        found = {}
        for name, value in values.items():
            if name in self.actions:
                found[name] = self._along(name, value, rules[name])
            else:
                found[name] = value if irrep == "trivial" else torch.zeros_like(value)
        return found

    def dimension(self, values: Values, irrep: Any) -> int:
        """Dimension of the isotypic component, all copies together."""
        total = 0
        for name, rule in self._rules(irrep).items():
            size = self.actions[name].dim or 0
            trace = rule(torch.eye(size, dtype=torch.float64)).diagonal().sum()
            total += round(float(trace)) * (values[name].numel() // size)
        return total

    # -- one parameter, its unit axis last -------------------------------------------------------------------------

    def _along(self, name: str, value: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
        axis = self.axes[name]
        return value if axis is None else rule(value.movedim(axis, -1)).movedim(-1, axis)

    def _moved(self, g: Tensor, x: Tensor, name: str) -> Tensor:
        g = g.to(x.device)
        if name in self.unsigned:
            return without_signs(self.actions[name]).act(g.abs() - 1, x)
        return self.actions[name].act(g.to(x.dtype) if g.is_floating_point() else g, x)

    def _rules(self, irrep: Any) -> dict[str, Callable[[Tensor], Tensor]]:
        """The projection of each parameter that moves, made once for each part."""
        if irrep not in self._made:
            named = isinstance(irrep, str) and irrep not in ("trivial", "standard", "contrast")
            part = self._labelled(irrep) if named else irrep
            self._made[irrep] = {n: _rule(action, part, n in self.unsigned) for n, action in self.actions.items()}
        return self._made[irrep]

    def _labelled(self, label: Hashable) -> Irrep:
        known = {found.label: found for found in self.group.irreps()}
        if label not in known:
            raise ValueError(
                f"expected an irreducible representation of {self.group!r}, got {label!r}, because it is none of its "
                f'labels; try "standard", or one of {", ".join(map(repr, list(known)[:12]))}'
            )
        return known[label]


def _rule(action: LinearAction, irrep: Any, unsigned: bool) -> Callable[[Tensor], Tensor]:
    """The projection of ``[..., dim]`` on a part, in closed form for all (signed) permutations of units."""
    if isinstance(irrep, Irrep):
        return _times(_by_characters(action, irrep, unsigned))
    signed = isinstance(action, (SignedUnitPermutation, SignedCoordinatePermutation))
    everything = isinstance(action, CoordinatePermutation) and isinstance(action.group, Symmetric)
    if not (signed or everything):
        return _times(_listed(action, irrep))
    blocks: Any = getattr(action, "blocks", None) or [(i,) for i in range(action.dim or 0)]
    names = ("trivial", "standard", "contrast") if signed else ("trivial", "standard")
    if isinstance(irrep, int) and not isinstance(irrep, bool) and 0 <= irrep < len(names):
        irrep = names[irrep]
    if irrep not in names:
        raise ValueError(f"expected an irrep among {', '.join(names)} for {action.group!r}, got {irrep!r}")
    index = torch.tensor(blocks)

    def rule(x: Tensor) -> Tensor:
        place = index.to(x.device)
        units = x[..., place]  # [..., p, size]
        mean = units.mean(-2, keepdim=True).expand(units.shape)
        if signed and not unsigned:
            part = units if irrep == "standard" else torch.zeros_like(units)
        elif irrep == "trivial":
            part = mean
        else:
            part = units - mean if (irrep == "contrast") == signed else torch.zeros_like(units)
        rest = x.clone() if irrep == "trivial" else torch.zeros_like(x)
        rest[..., place] = part
        return rest

    return rule


def _listed(action: LinearAction, irrep: Any) -> Tensor:
    """A part from the list of isotypic projections: 0 the fixed space, then the others by size."""
    projections = action.isotypic_projections()
    fixed = action.fixed_subspace().shape[1] > 0
    trivial = projections[0] if fixed else torch.zeros_like(projections[0])
    others = projections[1:] if fixed else projections
    if irrep == "trivial":
        return trivial
    if irrep == "standard" and len(others) == 1:
        return others[0]
    if isinstance(irrep, int) and not isinstance(irrep, bool) and 0 <= irrep <= len(others):
        return others[irrep - 1] if irrep else trivial
    sizes = [round(float(part.diagonal().sum())) for part in others]
    raise ValueError(
        f"expected the number of an isotypic part, 0 (fixed) to {len(others)}, got {irrep!r}, because the parts of "
        f"{action!r} that move have dimensions {sizes}; try irrep=1"
    )


def _by_characters(action: LinearAction, irrep: Irrep, unsigned: bool) -> Tensor:
    """P = d/(e |G|) sum_g chi(g) A_g, e = 1, 2 or 4 by kind (real characters: chi(g) = chi(g^-1))."""
    elements = action.group.elements()
    matrices = action.matrix(elements).double()
    matrices = matrices.abs() if unsigned else matrices
    weights = irrep.character(elements).double() / len(elements)
    divisor = {"real": 1, "complex": 2, "quaternionic": 4}[irrep.kind]
    return torch.tensordot(weights, matrices, dims=1) * (irrep.dimension / divisor)


def _times(projection: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: x @ projection.to(x).mT


def _checked_axes(axes: Any, values: Values) -> dict[str, int | None]:
    given = dict.fromkeys(values, axes) if isinstance(axes, int) else {**dict.fromkeys(values, 0), **dict(axes)}
    for name, axis in given.items():
        if name not in values:
            raise ValueError(f"expected axes of {list(values)}, got {name!r}, because there is no such parameter")
        if axis is not None and not -values[name].ndim <= axis < values[name].ndim:
            raise ValueError(
                f"expected a unit axis of {name!r} of shape {list(values[name].shape)}, got {axis}; try 0, or None "
                "where the group does not move it"
            )
    return {name: None if axis is None else axis % values[name].ndim for name, axis in given.items()}


def _checked_unsigned(unsigned: Any, values: Values, group: Group) -> frozenset[str]:
    names = {unsigned} if isinstance(unsigned, str) else set(unsigned)
    if names and not isinstance(group, SignedPermutations):
        raise ValueError(f"expected unsigned=() for {group!r}, got {sorted(names)}, because it flips no signs")
    if names - set(values):
        raise ValueError(f"expected unsigned among {list(values)}, got {sorted(names - set(values))}")
    return frozenset(names)
