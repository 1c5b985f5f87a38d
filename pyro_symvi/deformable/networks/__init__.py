"""Networks from images to frames."""

from ._backbone_net import BackboneNet as BackboneNet
from ._frames import frames_of as frames_of
from ._small_net import SmallNet as SmallNet
from ._turned_frames import TurnedFrames as TurnedFrames
from ._unit_frames import UnitFrames as UnitFrames

__all__ = ["BackboneNet", "SmallNet", "TurnedFrames", "UnitFrames", "frames_of"]
