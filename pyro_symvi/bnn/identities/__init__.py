"""Exact statements about the posterior of a network, as checks that need no ground truth."""

from ._balancedness import Balancedness as Balancedness
from ._balancedness import LayerBalance as LayerBalance
from ._balancedness import balancedness as balancedness
from ._equipartition import Equipartition as Equipartition
from ._equipartition import equipartition as equipartition
from ._hidden import UnitLayer as UnitLayer
from ._standard_errors import ZeroMean as ZeroMean
from ._standard_errors import zero_mean as zero_mean

__all__ = [
    "Balancedness",
    "Equipartition",
    "LayerBalance",
    "UnitLayer",
    "ZeroMean",
    "balancedness",
    "equipartition",
    "zero_mean",
]
