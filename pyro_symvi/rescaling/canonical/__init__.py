"""Canonical forms: one representative of each orbit, volumes, and the laws along an orbit."""

from ._canonicaliser import Canonicaliser as Canonicaliser
from ._orbit_law import OrbitLaw as OrbitLaw
from ._volume import log_faddeev_popov as log_faddeev_popov
from ._volume import log_orbit_volume as log_orbit_volume

__all__ = ["Canonicaliser", "OrbitLaw", "log_faddeev_popov", "log_orbit_volume"]
