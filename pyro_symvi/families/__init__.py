"""Parametrised families of laws: what a symmetric guide is, free of any model."""

from ._closure import Closure
from ._family import Family, Parameters
from .location_scale import LearnedDf, LocationScale
from .power_spherical import PowerSphericalFamily
from .scales import BlockDiagonal, Diagonal, Fixed, Full, Isotropic, LowRank, Scale, Tied
from .von_mises_fisher import VonMisesFisherFamily

__all__ = [
    "BlockDiagonal",
    "Closure",
    "Diagonal",
    "Family",
    "Fixed",
    "Full",
    "Isotropic",
    "LearnedDf",
    "LocationScale",
    "LowRank",
    "Parameters",
    "PowerSphericalFamily",
    "Scale",
    "Tied",
    "VonMisesFisherFamily",
]
