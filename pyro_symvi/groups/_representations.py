"""Representations of a group by themselves: its irreducible ones, and the trivial one."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from ._action import Action
from ._group import Group
from ._irreps import Irrep
from ._linear_action import LinearAction


@dataclass(frozen=True, eq=False, repr=False)
class InvariantAction(Action):
    """The trivial action: every entry of a tensor of any shape stays what it is. Scalars and features transform so.

    Raises:
        TypeError: for anything but a group.
    """

    acting: Group

    def __post_init__(self) -> None:
        if not isinstance(self.acting, Group):
            raise TypeError(f"expected a group, got {self.acting!r}; try SpecialOrthogonal(3)")

    @property
    def group(self) -> Group:
        return self.acting

    @property
    def event_shape(self) -> tuple[int, ...]:
        return ()

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        return x.expand(torch.broadcast_shapes(self._element_batch(g), x.shape))

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        identity = self.group.identity(dtype=self._element_dtype(x), device=x.device)
        return x, identity.expand(*x.shape, *identity.shape)

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        return self._canonicalize(x)[1]


@dataclass(frozen=True, eq=False, repr=False)
class IrrepAction(LinearAction):
    """The irreducible real representation of a ``label``, on vectors ``[..., d]`` in the basis of ``group.irreps``.

    ``IrrepAction(Orthogonal(3), (1, -1))`` moves cross products, ``IrrepAction(SpecialOrthogonal(3), 2)`` the five
    components of a quadrupole in the order m = -2, ..., 2. A vector (x, y, z) is ``NaturalAction``, in its own order.

    Raises:
        TypeError: for anything but a group.
    """

    acting: Group
    label: Hashable

    def __post_init__(self) -> None:
        if not isinstance(self.acting, Group):
            raise TypeError(f"expected a group, got {self.acting!r}; try SpecialOrthogonal(3)")
        self.irrep  # noqa: B018  (checks the label)

    @property
    def group(self) -> Group:
        return self.acting

    @property
    def irrep(self) -> Irrep:
        """The representation in the list of its group."""
        found = self.__dict__.get("_irrep")
        if found is None:
            cutoff = None if self.acting.is_finite else _largest(self.label)
            known = {irrep.label: irrep for irrep in self.acting.irreps(cutoff)}
            if self.label not in known:
                raise ValueError(
                    f"expected the label of an irreducible representation of {self.acting!r}, got {self.label!r}; "
                    f"try one of {', '.join(map(repr, list(known)[:12]))}"
                )
            found = known[self.label]
            self.__dict__["_irrep"] = found
        return found

    @property
    def dim(self) -> int:
        return self.irrep.dimension

    def _matrix(self, g: Tensor) -> Tensor:
        return self.irrep.matrix(g)


def _largest(label: object) -> int:
    """The largest integer in a label: the cutoff that lists it."""
    entries = label if isinstance(label, tuple) else (label,)
    if not entries or not all(isinstance(k, int) and not isinstance(k, bool) for k in entries):
        return 2  # no label of a Lie group: the error lists the first ones
    return max(abs(k) for k in entries)
