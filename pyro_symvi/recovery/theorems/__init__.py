"""The theorems a certificate may rest on: one frozen record each."""

from .a_posteriori import (
    ELLIPTICAL_CORRELATION,
    FITTED,
    INVARIANCE,
    MOMENTS,
    REFLECTION_BOUND,
    REFLECTION_MEAN,
    SUPPORT,
    Theorem,
    pinned_mean,
    pinned_shape,
)
from .a_posteriori import THEOREMS as _ABOUT_MEANS
from .pinned import PINNED, REFLECTION_MEDIAN

THEOREMS: tuple[Theorem, ...] = (*_ABOUT_MEANS, *PINNED)
"""Every theorem in use."""

__all__ = [
    "ELLIPTICAL_CORRELATION",
    "FITTED",
    "INVARIANCE",
    "MOMENTS",
    "REFLECTION_BOUND",
    "REFLECTION_MEAN",
    "REFLECTION_MEDIAN",
    "SUPPORT",
    "THEOREMS",
    "Theorem",
    "pinned_mean",
    "pinned_shape",
]
