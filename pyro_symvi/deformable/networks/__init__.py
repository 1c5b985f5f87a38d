"""Networks from images to frames."""

from ._small_net import SmallNet as SmallNet

__all__ = ["SmallNet"]
