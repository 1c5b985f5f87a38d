"""Failure modes by name: what a spectrum and an error say is wrong, and what to try."""

from ._diagnose import MODES as MODES
from ._diagnose import diagnose as diagnose
from ._diagnosis import Diagnosis as Diagnosis
from ._evidence import Evidence as Evidence
from ._finding import Finding as Finding
from ._finding import Repair as Repair
from ._late_cleanup import LateCleanUp as LateCleanUp
from ._leakage import Leakage as Leakage
from ._lost import LostInTraining as LostInTraining
from ._missing_degree import MissingDegree as MissingDegree
from ._missing_parity import MissingParity as MissingParity
from ._mode import FailureMode as FailureMode
from ._not_converged import NotConverged as NotConverged
from ._not_learnt import NotLearnt as NotLearnt
from ._other_sector import OtherSector as OtherSector
from ._rounding_floor import RoundingFloor as RoundingFloor
from ._target import target_labels as target_labels
from ._wrong_copy import WrongCopy as WrongCopy

__all__ = [
    "MODES",
    "Diagnosis",
    "Evidence",
    "FailureMode",
    "Finding",
    "LateCleanUp",
    "Leakage",
    "LostInTraining",
    "MissingDegree",
    "MissingParity",
    "NotConverged",
    "NotLearnt",
    "OtherSector",
    "Repair",
    "RoundingFloor",
    "WrongCopy",
    "diagnose",
    "target_labels",
]
