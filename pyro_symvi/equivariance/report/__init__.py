"""One page on how much of a symmetry a model has learnt."""

from ._report import report as report
from ._result import EquivarianceReport as EquivarianceReport

__all__ = ["EquivarianceReport", "report"]
