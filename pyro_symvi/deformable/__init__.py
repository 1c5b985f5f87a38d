"""Symmetric deformable objects: a frame of the object, learnt from images together with its symmetry."""

from ._points import grid_points as grid_points
from .images import ImageFolder as ImageFolder
from .images import lfw_faces as lfw_faces
from .images import load_images as load_images
from .inference import PoseModel as PoseModel
from .losses import CollapseLevels as CollapseLevels
from .losses import DistanceLoss as DistanceLoss
from .losses import FrameLoss as FrameLoss
from .losses import LikelihoodLoss as LikelihoodLoss
from .losses import Minimum as Minimum
from .losses import PairLoss as PairLoss
from .losses import Relaxation as Relaxation
from .losses import Softmin as Softmin
from .losses import Unrelaxed as Unrelaxed
from .losses import mean_distance as mean_distance
from .losses import mean_distance_to_centre as mean_distance_to_centre
from .networks import BackboneNet as BackboneNet
from .networks import SmallNet as SmallNet
from .networks import TurnedFrames as TurnedFrames
from .networks import UnitFrames as UnitFrames
from .networks import frames_of as frames_of
from .readouts import CorrespondenceError as CorrespondenceError
from .readouts import LandmarkRegressor as LandmarkRegressor
from .readouts import Midline as Midline
from .readouts import PoseAmbiguity as PoseAmbiguity
from .readouts import SymmetryAxis as SymmetryAxis
from .readouts import ambiguous_error as ambiguous_error
from .readouts import chance_error as chance_error
from .readouts import correspondence_error as correspondence_error
from .readouts import cycle_error as cycle_error
from .readouts import flip_consistency as flip_consistency
from .readouts import flip_odd_energy as flip_odd_energy
from .readouts import landmark_distance as landmark_distance
from .readouts import match as match
from .readouts import midline as midline
from .readouts import odd_coordinate as odd_coordinate
from .readouts import partners as partners
from .readouts import pose_ambiguity as pose_ambiguity
from .readouts import reposed_image as reposed_image
from .readouts import symmetrized_image as symmetrized_image
from .readouts import symmetry_axis as symmetry_axis
from .report import FrameReport as FrameReport
from .report import FrameVerdict as FrameVerdict
from .report import report_frame as report_frame
from .scenes import EllipsoidFace as EllipsoidFace
from .scenes import Flower as Flower
from .scenes import Rendered as Rendered
from .scenes import Scene as Scene
from .scenes import TwoArmFigure as TwoArmFigure
from .symmetry import ConsistencyResidual as ConsistencyResidual
from .symmetry import FrameSymmetry as FrameSymmetry
from .symmetry import bilateral as bilateral
from .symmetry import commuting_maps as commuting_maps
from .symmetry import consistency_residual as consistency_residual
from .symmetry import dihedral as dihedral
from .symmetry import frame_pair as frame_pair
from .symmetry import half_turn as half_turn
from .symmetry import procrustes_symmetry as procrustes_symmetry
from .symmetry import random_gauge as random_gauge
from .symmetry import random_rotation as random_rotation
from .symmetry import rotational as rotational
from .training import FrameModel as FrameModel
from .training import Recipe as Recipe
from .training import TrainingError as TrainingError
from .training import TrainingStatus as TrainingStatus
from .training import best_gauge as best_gauge
from .training import load_model as load_model
from .training import train_frame as train_frame
from .training import train_relaxed_frame as train_relaxed_frame
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
    "BackboneNet",
    "CollapseLevels",
    "ColourJitter",
    "ConsistencyResidual",
    "CorrespondenceError",
    "DistanceLoss",
    "EllipsoidFace",
    "Flower",
    "FrameLoss",
    "FrameModel",
    "FrameReport",
    "FrameSymmetry",
    "FrameVerdict",
    "ImageFolder",
    "LandmarkRegressor",
    "LikelihoodLoss",
    "Midline",
    "Minimum",
    "PairLoss",
    "PairMaker",
    "Pairs",
    "PoseAmbiguity",
    "PoseModel",
    "RandomWarps",
    "Recipe",
    "Relaxation",
    "Rendered",
    "Scene",
    "SmallNet",
    "Softmin",
    "SymmetryAxis",
    "ThinPlateSpline",
    "TrainingError",
    "TrainingStatus",
    "TurnedFrames",
    "TwoArmFigure",
    "UnitFrames",
    "Unrelaxed",
    "Warp",
    "ambiguous_error",
    "best_gauge",
    "bilateral",
    "chance_error",
    "commuting_maps",
    "consistency_residual",
    "correspondence_error",
    "cycle_error",
    "dihedral",
    "flip_consistency",
    "flip_odd_energy",
    "frame_pair",
    "frames_of",
    "grid_points",
    "half_turn",
    "landmark_distance",
    "lfw_faces",
    "load_images",
    "load_model",
    "match",
    "mean_distance",
    "mean_distance_to_centre",
    "midline",
    "mirrored_landmarks",
    "odd_coordinate",
    "partners",
    "pose_ambiguity",
    "procrustes_symmetry",
    "random_gauge",
    "random_rotation",
    "report_frame",
    "reposed_image",
    "rotational",
    "symmetrized_image",
    "symmetry_axis",
    "train_frame",
    "train_relaxed_frame",
    "warped_images",
    "warped_points",
]
