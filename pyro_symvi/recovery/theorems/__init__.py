"""The theorems a certificate may rest on: one frozen record each."""

from .a_posteriori import (
    ELLIPTICAL_CORRELATION,
    FITTED,
    INVARIANCE,
    MOMENTS,
    REFLECTION_BOUND,
    REFLECTION_MEAN,
    SUPPORT,
    THEOREMS,
    Theorem,
    pinned_mean,
    pinned_shape,
)

__all__ = [
    "ELLIPTICAL_CORRELATION",
    "FITTED",
    "INVARIANCE",
    "MOMENTS",
    "REFLECTION_BOUND",
    "REFLECTION_MEAN",
    "SUPPORT",
    "THEOREMS",
    "Theorem",
    "pinned_mean",
    "pinned_shape",
]
