"""The noise sensitivity exponent of an activation."""

from ._result import Exponent as Exponent
from ._result import NoiseSensitivity as NoiseSensitivity
from ._sensitivity import noise_sensitivity as noise_sensitivity

__all__ = ["Exponent", "NoiseSensitivity", "noise_sensitivity"]
