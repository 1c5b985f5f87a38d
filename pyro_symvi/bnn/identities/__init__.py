"""Exact statements about the posterior of a network, as checks that need no ground truth."""

from ._balancedness import Balancedness as Balancedness
from ._balancedness import LayerBalance as LayerBalance
from ._balancedness import balancedness as balancedness
from ._equipartition import Equipartition as Equipartition
from ._equipartition import equipartition as equipartition
from ._hidden import UnitLayer as UnitLayer
from ._norm_law import NormLaw as NormLaw
from ._norm_law import norm_law as norm_law
from ._orbit_cdf import orbit_cdf as orbit_cdf
from ._orbit_law import LayerOrbits as LayerOrbits
from ._orbit_law import OrbitLaw as OrbitLaw
from ._orbit_law import orbit_law as orbit_law
from ._radius_law import RadiusLaw as RadiusLaw
from ._standard_errors import ZeroMean as ZeroMean
from ._standard_errors import zero_mean as zero_mean

__all__ = [
    "Balancedness",
    "Equipartition",
    "LayerBalance",
    "LayerOrbits",
    "NormLaw",
    "OrbitLaw",
    "RadiusLaw",
    "UnitLayer",
    "ZeroMean",
    "balancedness",
    "equipartition",
    "norm_law",
    "orbit_cdf",
    "orbit_law",
    "zero_mean",
]
