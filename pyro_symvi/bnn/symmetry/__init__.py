"""What may be done to the weights of a network without changing what it computes, and choices of a representative."""

from ._gauges import Balanced as Balanced
from ._gauges import ByBias as ByBias
from ._gauges import ByOutgoingNorm as ByOutgoingNorm
from ._gauges import ByProduct as ByProduct
from ._gauges import ScaleGauge as ScaleGauge
from ._gauges import UnitIncomingNorm as UnitIncomingNorm
from ._gauges import UnitOrder as UnitOrder
from ._layer import SymmetricLayer as SymmetricLayer
from ._layer import UnitFunction as UnitFunction
from ._network_symmetry import NetworkSymmetry as NetworkSymmetry
from ._placing import Unplaced as Unplaced
from ._preservation import Preservation as Preservation
from ._products import FiniteAction as FiniteAction
from ._products import LayerProduct as LayerProduct
from ._rotation import HiddenUnitRotation as HiddenUnitRotation
from ._verification import Check as Check

__all__ = [
    "Balanced",
    "ByBias",
    "ByOutgoingNorm",
    "ByProduct",
    "Check",
    "FiniteAction",
    "HiddenUnitRotation",
    "LayerProduct",
    "NetworkSymmetry",
    "Preservation",
    "ScaleGauge",
    "SymmetricLayer",
    "UnitFunction",
    "UnitIncomingNorm",
    "UnitOrder",
    "Unplaced",
]
