"""Warps of images, and pairs of images that differ by one."""

from ._colour_jitter import ColourJitter as ColourJitter
from ._landmarks import mirrored_landmarks as mirrored_landmarks
from ._pair_maker import PairMaker as PairMaker
from ._pairs import Pairs as Pairs
from ._random_warps import RandomWarps as RandomWarps
from ._thin_plate_spline import ThinPlateSpline as ThinPlateSpline
from ._thin_plate_spline import control_points as control_points
from ._warp import Warp as Warp
from ._warped_images import warped_images as warped_images
from ._warped_images import warped_points as warped_points

__all__ = [
    "ColourJitter",
    "PairMaker",
    "Pairs",
    "RandomWarps",
    "ThinPlateSpline",
    "Warp",
    "control_points",
    "mirrored_landmarks",
    "warped_images",
    "warped_points",
]
