"""The call that most users want: a network in, the best point of its orbit out."""

from ._path_condition import path_condition as path_condition
from ._result import Conditioning as Conditioning

__all__ = ["Conditioning", "path_condition"]
