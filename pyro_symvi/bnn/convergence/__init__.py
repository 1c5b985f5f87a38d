"""Have the chains converged, in which space, and which figures count."""

from ._check import check_convergence as check_convergence
from ._functionals import invariants_of_units as invariants_of_units
from ._functionals import predictions_at as predictions_at
from ._report import Convergence as Convergence
from ._report import ConvergenceLine as ConvergenceLine
from ._report import Reading as Reading
from ._report import Subject as Subject
from ._statistics import chainwise_rhat as chainwise_rhat
from ._statistics import ess as ess
from ._statistics import mcse as mcse
from ._statistics import rhat as rhat

__all__ = [
    "Convergence",
    "ConvergenceLine",
    "Reading",
    "Subject",
    "chainwise_rhat",
    "check_convergence",
    "ess",
    "invariants_of_units",
    "mcse",
    "predictions_at",
    "rhat",
]
