"""What is read off a frame: correspondences, errors, midlines, poses, landmarks, symmetric images."""

from ._axis import SymmetryAxis as SymmetryAxis
from ._axis import symmetry_axis as symmetry_axis
from ._consistency import cycle_error as cycle_error
from ._consistency import flip_consistency as flip_consistency
from ._correspondence import CorrespondenceError as CorrespondenceError
from ._correspondence import ambiguous_error as ambiguous_error
from ._correspondence import chance_error as chance_error
from ._correspondence import correspondence_error as correspondence_error
from ._flip_energy import flip_odd_energy as flip_odd_energy
from ._landmarks import LandmarkRegressor as LandmarkRegressor
from ._landmarks import landmark_distance as landmark_distance
from ._match import match as match
from ._match import partners as partners
from ._midline import Midline as Midline
from ._midline import midline as midline
from ._midline import odd_coordinate as odd_coordinate
from ._pose import PoseAmbiguity as PoseAmbiguity
from ._pose import pose_ambiguity as pose_ambiguity
from ._symmetrized import reposed_image as reposed_image
from ._symmetrized import symmetrized_image as symmetrized_image

__all__ = [
    "CorrespondenceError",
    "LandmarkRegressor",
    "Midline",
    "PoseAmbiguity",
    "SymmetryAxis",
    "ambiguous_error",
    "chance_error",
    "correspondence_error",
    "cycle_error",
    "flip_consistency",
    "flip_odd_energy",
    "landmark_distance",
    "match",
    "midline",
    "odd_coordinate",
    "partners",
    "pose_ambiguity",
    "reposed_image",
    "symmetrized_image",
    "symmetry_axis",
]
