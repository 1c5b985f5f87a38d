"""Noise sensitivity of multi-index models: when the units of a network can specialise, and which guide then fits."""

from .links import ACTIVATIONS as ACTIVATIONS
from .links import Link as Link
from .links import activation_named as activation_named
from .links import hermite_functions as hermite_functions

__all__ = [
    "ACTIVATIONS",
    "Link",
    "activation_named",
    "hermite_functions",
]
