"""Gaussian channels: what an output tells about its index."""

from ._channel import FreeEntropy as FreeEntropy
from ._channel import GaussianChannel as GaussianChannel

__all__ = ["FreeEntropy", "GaussianChannel"]
