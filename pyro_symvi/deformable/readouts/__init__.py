"""What is read off a frame: correspondences, errors, midlines, poses, landmarks, symmetric images."""

from ._consistency import cycle_error as cycle_error
from ._consistency import flip_consistency as flip_consistency
from ._correspondence import CorrespondenceError as CorrespondenceError
from ._correspondence import ambiguous_error as ambiguous_error
from ._correspondence import chance_error as chance_error
from ._correspondence import correspondence_error as correspondence_error
from ._match import match as match
from ._match import partners as partners

__all__ = [
    "CorrespondenceError",
    "ambiguous_error",
    "chance_error",
    "correspondence_error",
    "cycle_error",
    "flip_consistency",
    "match",
    "partners",
]
