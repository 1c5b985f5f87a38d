"""Actions on several layers at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...groups import Action, DirectProduct, Group, SignedPermutations, SignFlips, Symmetric, Trivial
from ._layer import SymmetricLayer


@dataclass(frozen=True, eq=False, repr=False)
class LayerProduct(Action):
    """One action a layer, all on one flat vector: they commute, since rows and columns of a matrix move apart.

    Elements are those of the direct product, ``group.pack(g_1, ..., g_m)``.
    """

    actions: Sequence[Action]

    @cached_property
    def group(self) -> DirectProduct:
        return DirectProduct([action.group for action in self.actions])

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.actions[0].event_shape

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        for action, part in zip(self.actions, self.group.unpack(g), strict=True):
            x = action._act(part, x)
        return x

    def _log_abs_det(self, g: Tensor, x: Tensor) -> Tensor:
        parts = zip(self.actions, self.group.unpack(g), strict=True)
        return torch.stack(torch.broadcast_tensors(*(a._log_abs_det(part, x) for a, part in parts))).sum(0)


@dataclass(frozen=True, eq=False, repr=False)
class FiniteAction(Action):
    """Permutations of the units of each layer, with signs where the activation is odd: prod_l h_l! (2^h_l).

    An element is moved as one gather of entries and one vector of signs, whatever the number of layers; volume is
    preserved. The factor of a layer is ``SignedPermutations(h)``, ``Symmetric(h)`` or ``SignFlips(h)``.
    """

    dim: int
    layers: Sequence[SymmetricLayer]

    @cached_property
    def movable(self) -> tuple[SymmetricLayer, ...]:
        """Layers with a finite group."""
        return tuple(layer for layer in self.layers if layer.permutable or layer.odd)

    @cached_property
    def group(self) -> Group:
        parts: list[Group] = []
        for layer in self.movable:
            signed = SignedPermutations(layer.h) if layer.permutable else SignFlips(layer.h)
            parts.append(signed if layer.odd else Symmetric(layer.h))
        return DirectProduct(parts) if parts else Trivial()

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    def moves(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """For each entry, the one whose value it receives ``[*batch, dim]``, and the sign it is given."""
        batch = g.shape[:-1]
        source = torch.arange(self.dim, device=g.device).expand(*batch, self.dim)
        signs = torch.ones(*batch, self.dim, device=g.device)
        if not isinstance(self.group, DirectProduct):
            return source, signs
        for layer, part in zip(self.movable, self.group.unpack(g), strict=True):
            index = torch.cat([layer.incoming, layer.outgoing], -1).to(g.device)
            place = index.reshape(-1).expand(*batch, index.numel())
            if layer.permutable:
                origin = (part.abs() if layer.odd else part).argsort(-1)
                moved = index[origin].flatten(-2)
                source = source.scatter(-1, place, source.gather(-1, moved))
                signs = signs.scatter(-1, place, signs.gather(-1, moved))
                part = part.gather(-1, origin)
            if layer.odd:
                flips = part.sign().to(signs)[..., None].expand(*batch, *index.shape).flatten(-2)
                signs = signs.scatter(-1, place, signs.gather(-1, place) * flips)
        return source, signs

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        source, signs = self.moves(g)
        batch = torch.broadcast_shapes(source.shape[:-1], x.shape[:-1])
        moved = x.expand(*batch, self.dim).gather(-1, source.expand(*batch, self.dim))
        return moved * signs.to(x)
