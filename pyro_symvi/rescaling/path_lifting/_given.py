"""What functions of paths take: a network as traced, or the group that was read from it."""

from __future__ import annotations

from .._group import RescalingGroup
from ..tracing import TracedNetwork

Network = TracedNetwork | RescalingGroup


def traced(network: Network) -> TracedNetwork:
    """The traced network."""
    found = network.traced if isinstance(network, RescalingGroup) else network
    if not isinstance(found, TracedNetwork):
        raise TypeError(
            f"expected a RescalingGroup, got {type(network).__name__}; try RescalingGroup.from_module(model, shape)"
        )
    return found
