r"""Patterns of the scale C of a location-scale family :math:`z = \nu + C\xi`: frozen values.

`Isotropic`, `Diagonal`, `Full` (lower triangular), `BlockDiagonal`, `LowRank` (plus diagonal), `Tied` (commuting with a
group), `Fixed`. The first three, ``"low_rank"``, and in guides ``"block_diagonal"`` (a block for each site), can be
named by strings.
"""

from ._diagonal import Diagonal, Isotropic
from ._fixed import Fixed
from ._low_rank import LowRank
from ._scale import Scale, ScaleTransform
from ._tied import Tied
from ._triangular import BlockDiagonal, Full, Triangular

SCALES: dict[str, type[Scale]] = {pattern.name: pattern for pattern in (Isotropic, Diagonal, Full, LowRank)}
"""The patterns that a name is enough to make."""

__all__ = [
    "SCALES",
    "BlockDiagonal",
    "Diagonal",
    "Fixed",
    "Full",
    "Isotropic",
    "LowRank",
    "Scale",
    "ScaleTransform",
    "Tied",
    "Triangular",
]
