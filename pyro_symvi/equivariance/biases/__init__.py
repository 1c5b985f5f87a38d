"""The smallest additions that repair what augmentation alone does not teach."""

from ._augmentation import Augmentation as Augmentation
from ._harmonic_features import HarmonicFeatures as HarmonicFeatures
from ._penalties import EquivariancePenalty as EquivariancePenalty
from ._penalties import OrbitPenalty as OrbitPenalty
from ._penalties import SectorPenalty as SectorPenalty
from ._tensor_basis import TensorBasis as TensorBasis
from ._tensor_basis import TensorBasisHead as TensorBasisHead

__all__ = [
    "Augmentation",
    "EquivariancePenalty",
    "HarmonicFeatures",
    "OrbitPenalty",
    "SectorPenalty",
    "TensorBasis",
    "TensorBasisHead",
]
