"""What a trained frame does on images without known correspondences, and what may be said of it."""

from ._matching import Matching as Matching
from ._report import FrameReport as FrameReport
from ._report import report_frame as report_frame
from ._verdict import FrameVerdict as FrameVerdict

__all__ = ["FrameReport", "FrameVerdict", "Matching", "report_frame"]
