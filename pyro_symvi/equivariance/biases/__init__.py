"""The smallest additions that repair what augmentation alone does not teach."""

from ._augmentation import Augmentation as Augmentation
from ._harmonic_features import HarmonicFeatures as HarmonicFeatures
from ._tensor_basis import TensorBasis as TensorBasis
from ._tensor_basis import TensorBasisHead as TensorBasisHead

__all__ = ["Augmentation", "HarmonicFeatures", "TensorBasis", "TensorBasisHead"]
