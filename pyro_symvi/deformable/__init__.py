"""Symmetric deformable objects: a frame of the object, learnt from images together with its symmetry."""

from .images import ImageFolder as ImageFolder
from .images import lfw_faces as lfw_faces
from .images import load_images as load_images
from .losses import DistanceLoss as DistanceLoss
from .losses import FrameLoss as FrameLoss
from .losses import LikelihoodLoss as LikelihoodLoss
from .losses import Minimum as Minimum
from .losses import PairLoss as PairLoss
from .losses import Relaxation as Relaxation
from .losses import Softmin as Softmin
from .losses import Unrelaxed as Unrelaxed
from .networks import SmallNet as SmallNet
from .readouts import CorrespondenceError as CorrespondenceError
from .readouts import ambiguous_error as ambiguous_error
from .readouts import chance_error as chance_error
from .readouts import correspondence_error as correspondence_error
from .readouts import cycle_error as cycle_error
from .readouts import flip_consistency as flip_consistency
from .readouts import match as match
from .readouts import partners as partners
from .scenes import Rendered as Rendered
from .scenes import Scene as Scene
from .scenes import TwoArmFigure as TwoArmFigure
from .symmetry import FrameSymmetry as FrameSymmetry
from .symmetry import bilateral as bilateral
from .symmetry import dihedral as dihedral
from .symmetry import half_turn as half_turn
from .symmetry import rotational as rotational
from .warps import ColourJitter as ColourJitter
from .warps import PairMaker as PairMaker
from .warps import Pairs as Pairs
from .warps import RandomWarps as RandomWarps
from .warps import ThinPlateSpline as ThinPlateSpline
from .warps import Warp as Warp
from .warps import mirrored_landmarks as mirrored_landmarks
from .warps import warped_images as warped_images
from .warps import warped_points as warped_points

__all__ = [
    "ColourJitter",
    "CorrespondenceError",
    "DistanceLoss",
    "FrameLoss",
    "FrameSymmetry",
    "ImageFolder",
    "LikelihoodLoss",
    "Minimum",
    "PairLoss",
    "PairMaker",
    "Pairs",
    "RandomWarps",
    "Relaxation",
    "Rendered",
    "Scene",
    "SmallNet",
    "Softmin",
    "ThinPlateSpline",
    "TwoArmFigure",
    "Unrelaxed",
    "Warp",
    "ambiguous_error",
    "bilateral",
    "chance_error",
    "correspondence_error",
    "cycle_error",
    "dihedral",
    "flip_consistency",
    "half_turn",
    "lfw_faces",
    "load_images",
    "match",
    "mirrored_landmarks",
    "partners",
    "rotational",
    "warped_images",
    "warped_points",
]
