"""A committee machine for Pyro, its evidence bound without draws, and its tied and specialised guides."""

from ._curvature import standard_curvature as standard_curvature
from ._elbo import committee_elbo as committee_elbo
from ._elbo import committee_mean as committee_mean
from ._model import committee_machine as committee_machine
from ._moments import unit_moments as unit_moments
from ._specialised import random_start as random_start
from ._specialised import specialised_guide as specialised_guide
from ._tied import TiedGuide as TiedGuide

__all__ = [
    "TiedGuide",
    "committee_elbo",
    "committee_machine",
    "committee_mean",
    "random_start",
    "specialised_guide",
    "standard_curvature",
    "unit_moments",
]
