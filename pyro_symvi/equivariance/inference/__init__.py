"""Symmetry of approximate posteriors: does q(z | x) move with the data, is q(z) left as it is?"""

from ._guide import guide_equivariance as guide_equivariance
from ._invariance import law_invariance as law_invariance
from ._law import Kind as Kind
from ._result import Deviation as Deviation
from ._result import GuideSymmetry as GuideSymmetry
from ._result import SiteSymmetry as SiteSymmetry
from ._result import Symmetry as Symmetry
from ._result import Thresholds as Thresholds

__all__ = [
    "Deviation",
    "GuideSymmetry",
    "Kind",
    "SiteSymmetry",
    "Symmetry",
    "Thresholds",
    "guide_equivariance",
    "law_invariance",
]
