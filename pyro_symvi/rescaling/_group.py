"""The positive scalings of a network's units that leave its function as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .._layout import Layout
from ..groups import NetworkRescaling, PositiveScaling
from .tracing import TracedNetwork, trace_network


@dataclass(frozen=True, eq=False)
class RescalingGroup:
    """(R_+)^H acting on the parameters of one network.

    ``log_scale`` is z ``[*batch, H]``: weights into unit h and its bias times exp(z_h / 2), weights out of it times
    exp(-z_h / 2) (exp(-k z_h / 2) for an activation of degree k).

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> group = RescalingGroup.from_module(net, (3,))
    >>> group.num_units, group.dim
    (4, 21)
    """

    traced: TracedNetwork

    @staticmethod
    def from_module(
        model: nn.Module, input_shape: Sequence[int], *, batch_norm: str = "barrier", unsupported: str = "raise"
    ) -> RescalingGroup:
        """Read the group from a network; ``input_shape`` is that of one sample, without the batch axis."""
        if not isinstance(model, nn.Module):
            raise TypeError(f"expected a torch.nn.Module, got {type(model).__name__}")
        return RescalingGroup(
            trace_network(model, ((1, *input_shape),), batch_norm=batch_norm, unsupported=unsupported)
        )

    @property
    def layout(self) -> Layout:
        """Places of the parameters in the flat vector (the order of ``parameters_to_vector``)."""
        return self.traced.layout

    @property
    def action(self) -> NetworkRescaling:
        """The action on flat vectors."""
        return self.traced.action

    @property
    def group(self) -> PositiveScaling:
        """(R_+)^H; its elements are the factors c = exp(z / 2)."""
        return self.action.group

    @property
    def dim(self) -> int:
        """Length of the flat vector."""
        return self.layout.dim

    @property
    def num_units(self) -> int:
        """H, the number of free scales."""
        return self.action.units

    def parameters(self, model: nn.Module) -> Tensor:
        """The flat vector of a network's parameters in float64, ``[dim]``, detached."""
        return self.layout.flatten({name: p.detach().double() for name, p in model.named_parameters()})

    def act(self, theta: Tensor, log_scale: Tensor) -> Tensor:
        """Theta exp(-B z / 2), ``[*batch, dim]``."""
        return theta * self.action.log_factors(log_scale.to(theta) / 2).exp()

    def incidence(self) -> Tensor:
        """B, sparse ``[dim, H]``: k where an entry leaves a unit, -1 where it enters one."""
        return self.action.incidence()

    def apply_(self, model: nn.Module, log_scale: Tensor) -> None:
        """Rescale a network's parameters in place, and its running means where batch normalisation is folded."""
        factors = self.layout.unflatten(self.action.log_factors(log_scale.double() / 2).exp())
        padded = torch.cat([log_scale.double(), log_scale.new_zeros(1).double()])  # -1 reads the zero
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(parameter.double() * factors[name].to(parameter.device))
            for name, buffer in model.named_buffers():
                if name in self.traced.buffers:
                    scale = (padded[self.traced.buffers[name]] / 2).exp()
                    buffer.copy_(buffer.double() * scale.to(buffer.device))
