"""Whether a number would be another one on a finer grid."""

from ._converge import Convergence as Convergence
from ._converge import converge as converge

__all__ = ["Convergence", "converge"]
