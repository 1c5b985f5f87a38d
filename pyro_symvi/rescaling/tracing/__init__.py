"""Reading a network: which units carry a free scale, which share one, and why others have none."""

from ._flow import Refusal as Refusal
from ._traced import TracedNetwork as TracedNetwork
from ._traced import UnitBlock as UnitBlock
from ._traced import trace_network as trace_network

__all__ = ["Refusal", "TracedNetwork", "UnitBlock", "trace_network"]
