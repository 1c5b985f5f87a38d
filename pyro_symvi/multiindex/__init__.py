"""Noise sensitivity of multi-index models: when the units of a network can specialise, and which guide then fits."""

from .links import ACTIVATIONS as ACTIVATIONS
from .links import Link as Link
from .links import activation_named as activation_named
from .links import hermite_functions as hermite_functions
from .sensitivity import NoiseSensitivity as NoiseSensitivity
from .sensitivity import noise_sensitivity as noise_sensitivity

__all__ = [
    "ACTIVATIONS",
    "Link",
    "NoiseSensitivity",
    "activation_named",
    "hermite_functions",
    "noise_sensitivity",
]
