"""Groups that act on frames and on images."""

from ._consistency import ConsistencyResidual as ConsistencyResidual
from ._consistency import consistency_residual as consistency_residual
from ._frame_pair import frame_pair as frame_pair
from ._frame_symmetry import FrameSymmetry as FrameSymmetry
from ._gauge import commuting_maps as commuting_maps
from ._gauge import random_gauge as random_gauge
from ._gauge import random_rotation as random_rotation
from ._named import bilateral as bilateral
from ._named import dihedral as dihedral
from ._named import half_turn as half_turn
from ._named import rotational as rotational
from ._procrustes import procrustes_symmetry as procrustes_symmetry

__all__ = [
    "ConsistencyResidual",
    "FrameSymmetry",
    "bilateral",
    "commuting_maps",
    "consistency_residual",
    "dihedral",
    "frame_pair",
    "half_turn",
    "procrustes_symmetry",
    "random_gauge",
    "random_rotation",
    "rotational",
]
