"""What path conditioning found, and how to use it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from .._group import RescalingGroup
from ..solvers import Solution


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The optimum on the orbit of a network.

    Attributes:
        model: the network, untouched until :meth:`apply_`.
        group: the group that was used.
        log_scale: z ``[H]``.
        solution: objective, history and certificate.
    """

    model: nn.Module
    group: RescalingGroup
    log_scale: Tensor
    solution: Solution

    def apply_(self) -> nn.Module:
        """Rescale the network in place and return it."""
        self.group.apply_(self.model, self.log_scale)
        return self.model
