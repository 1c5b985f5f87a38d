"""Orthogonal matrices on the units of a linear hidden layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...groups import Action, HiddenLayer, Orthogonal


@dataclass(frozen=True, eq=False, repr=False)
class HiddenUnitRotation(Action):
    """O(h): incoming weights and biases W -> A W, outgoing V -> V A^T, for a hidden layer without activation.

    The function of the network stays, and so do independent normal priors whose scales do not depend on the unit
    (weights into a unit may have another scale than those out of it). :meth:`transform` takes any invertible A;
    then only the function stays, and log |det| = (p - q) log |det A|.
    """

    layer: HiddenLayer

    @property
    def group(self) -> Orthogonal:
        return Orthogonal(len(self.layer.incoming))

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.layer.dim,)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        return self._moved(g, g, x)

    def transform(self, matrix: Tensor, theta: Tensor) -> Tensor:
        """W -> A W, V -> V A^-1 for invertible matrices ``[*batch, h, h]``."""
        return self._moved(matrix.to(theta), torch.linalg.inv(matrix.to(theta)).mT, theta)

    def _moved(self, a: Tensor, back: Tensor, x: Tensor) -> Tensor:
        into, out = self.layer.incoming_index.to(x.device), self.layer.outgoing_index.to(x.device)
        batch = torch.broadcast_shapes(a.shape[:-2], x.shape[:-1])
        x = x.expand(*batch, self.layer.dim)
        parts = torch.cat([a @ x[..., into], back @ x[..., out]], -1).flatten(-2)
        index = torch.cat([into, out], -1).reshape(-1)
        return x.scatter(-1, index.expand(parts.shape), parts)
