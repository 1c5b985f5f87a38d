"""Reading a network: which units carry a free scale, which share one, and why others have none."""

from ._flow import Refusal as Refusal
from ._reading import read_network as read_network
from ._report import BlockLine as BlockLine
from ._report import RescalingReport as RescalingReport
from ._rescale import rescale_ as rescale_
from ._traced import TracedNetwork as TracedNetwork
from ._traced import UnitBlock as UnitBlock
from ._traced import trace_network as trace_network
from ._verify import Verification as Verification
from ._verify import verify_network as verify_network

__all__ = [
    "BlockLine",
    "Refusal",
    "RescalingReport",
    "TracedNetwork",
    "UnitBlock",
    "Verification",
    "read_network",
    "rescale_",
    "trace_network",
    "verify_network",
]
