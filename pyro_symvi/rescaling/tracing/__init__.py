"""Reading a network: which units carry a free scale, which share one, and why others have none."""

from ._traced import TracedNetwork as TracedNetwork
from ._traced import UnitBlock as UnitBlock
from ._traced import trace_network as trace_network

__all__ = ["TracedNetwork", "UnitBlock", "trace_network"]
