"""Canonical forms: one representative of each orbit, volumes, and the laws along an orbit."""

from ._canonicaliser import Canonicaliser as Canonicaliser
from ._orbit_law import OrbitLaw as OrbitLaw
from ._order import Ordering as Ordering
from ._order import UnitOrder as UnitOrder
from ._relabelling import Relabelling as Relabelling
from ._relabelling import UnitClass as UnitClass
from ._verification import Unsorted as Unsorted
from ._verification import permutable_units as permutable_units
from ._volume import log_faddeev_popov as log_faddeev_popov
from ._volume import log_orbit_volume as log_orbit_volume

__all__ = [
    "Canonicaliser",
    "OrbitLaw",
    "Ordering",
    "Relabelling",
    "UnitClass",
    "UnitOrder",
    "Unsorted",
    "log_faddeev_popov",
    "log_orbit_volume",
    "permutable_units",
]
