"""The call that most users want: a network in, the best point of its orbit out, with what an optimiser remembers."""

from ._every import RescaleEvery as RescaleEvery
from ._input_shape import guess_input_shape as guess_input_shape
from ._path_condition import path_condition as path_condition
from ._report import ConditioningReport as ConditioningReport
from ._result import Conditioning as Conditioning
from ._transport import transport_ as transport_

__all__ = [
    "Conditioning",
    "ConditioningReport",
    "RescaleEvery",
    "guess_input_shape",
    "path_condition",
    "transport_",
]
