"""The positive scalings of a network's units that leave its function as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from .._layout import Layout
from ..groups import NetworkRescaling, PositiveScaling
from .tracing import RescalingReport, TracedNetwork, Verification, read_network, rescale_, verify_network


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
        model: nn.Module,
        input_shape: Sequence[int] | Sequence[Sequence[int]],
        *,
        batch_norm: str = "barrier",
        unsupported: str = "raise",
    ) -> RescalingGroup:
        """Read the group from a network, and test it: random scales must leave the outputs as they are.

        The test runs on a copy in float64 and evaluation mode, at the weights given and at random ones; the model
        comes back as it was. Hooks are called on the copy, since they may be part of the function.

        Args:
            model: the network; all its parameters count, frozen ones too.
            input_shape: shape of one sample without the batch axis, (3, 32, 32) or (784,); a list of shapes for
                several inputs. A leading batch axis of one is taken where only that fits.
            batch_norm: "barrier": units before a batch norm have no scale, its factor and shift make new units, and
                the function stays in training too (if forward does not ask for ``self.training``). "folded": in
                evaluation mode the weights before it, its running mean and its shift scale together; only the
                evaluation-mode function stays.
            unsupported: "raise" refuses functions that do not commute with scaling (GELU, tanh) between layers with
                weights; "skip" leaves their inputs at scale one and reports them.

        Raises:
            TypeError: A model that is no module.
            ValueError: An input shape that does not fit, or parameters that are not finite.
            groups.UnsupportedError: An operation that does not commute with scaling, a forward pass that torch.fx
                cannot follow, or a group that fails its test.
        """
        return RescalingGroup(read_network(model, input_shape, batch_norm=batch_norm, unsupported=unsupported))

    def report(self) -> RescalingReport:
        """Units, ties and skipped layers with the reasons; ``str()`` is a table, ``to_dict()`` plain data."""
        return RescalingReport.of(self.traced)

    def verify(
        self, model: nn.Module, inputs: Tensor | Sequence[Tensor] | None = None, *, seed: int = 0
    ) -> Verification:
        """Change of the outputs under random scales, in float64 on a copy; on ``inputs`` or on standard normal ones."""
        batch = (inputs,) if isinstance(inputs, Tensor) else inputs
        return verify_network(model, self.traced, batch, seed=seed)

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
        return self.layout.flatten({name: p.detach().cpu().double() for name, p in model.named_parameters()})

    def act(self, theta: Tensor, log_scale: Tensor) -> Tensor:
        """Theta exp(-B z / 2), ``[*batch, dim]``."""
        return theta * self.action.log_factors(log_scale.to(theta) / 2).exp()

    def incidence(self) -> Tensor:
        """B, sparse ``[dim, H]``: k where an entry leaves a unit, -1 where it enters one."""
        return self.action.incidence()

    def apply_(self, model: nn.Module, log_scale: Tensor) -> None:
        """Rescale a network's parameters in place, and its running means where batch normalisation is folded."""
        rescale_(model, self.traced, log_scale)
