"""Networks from images to frames."""

from ._frames import frames_of as frames_of
from ._small_net import SmallNet as SmallNet

__all__ = ["SmallNet", "frames_of"]
