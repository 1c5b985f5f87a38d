"""Groups that act on frames and on images."""

from ._frame_symmetry import FrameSymmetry as FrameSymmetry
from ._named import bilateral as bilateral
from ._named import dihedral as dihedral
from ._named import half_turn as half_turn
from ._named import rotational as rotational

__all__ = ["FrameSymmetry", "bilateral", "dihedral", "half_turn", "rotational"]
