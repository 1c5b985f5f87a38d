"""Losses of frames on pairs of images."""

from ._distance import DistanceLoss as DistanceLoss
from ._frame_loss import FrameLoss as FrameLoss
from ._levels import CollapseLevels as CollapseLevels
from ._levels import mean_distance as mean_distance
from ._levels import mean_distance_to_centre as mean_distance_to_centre
from ._likelihood import LikelihoodLoss as LikelihoodLoss
from ._pair_loss import PairLoss as PairLoss
from ._relaxation import Minimum as Minimum
from ._relaxation import Relaxation as Relaxation
from ._relaxation import Softmin as Softmin
from ._relaxation import Unrelaxed as Unrelaxed

__all__ = [
    "CollapseLevels",
    "DistanceLoss",
    "FrameLoss",
    "LikelihoodLoss",
    "Minimum",
    "PairLoss",
    "Relaxation",
    "Softmin",
    "Unrelaxed",
    "mean_distance",
    "mean_distance_to_centre",
]
