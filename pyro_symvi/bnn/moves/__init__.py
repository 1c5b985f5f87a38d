"""Moves along the symmetries of a network, exact and free of likelihood evaluations, between steps of a sampler."""

from ._move import Move as Move
from ._orbit_law import OrbitLaw as OrbitLaw
from ._orbit_refresh import OrbitRefresh as OrbitRefresh
from ._orbit_refresh import orbit_law as orbit_law
from ._random_permutation import RandomPermutation as RandomPermutation

__all__ = ["Move", "OrbitLaw", "OrbitRefresh", "RandomPermutation", "orbit_law"]
