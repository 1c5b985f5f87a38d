"""The theorems: a posteriori ones, which certificates rest on, and a priori ones, on the minimiser of a divergence.

One frozen record each, in files by idea; `guarantees` tries the a priori ones on a setting. Adding a theorem is adding
a record to its file's ``THEOREMS``.
"""

from . import a_posteriori, approximate, directions
from .a_posteriori import ELLIPTICAL_CORRELATION, REFLECTION_MEAN
from .approximate import REFLECTION_BOUND
from .facts import Fact, assumed, proved, refuted, unknown
from .guarantees import Guarantee
from .guide import Guide
from .pinned import PINNED, REFLECTION_MEDIAN
from .pins import Pinned, pinned_mean, pinned_shape, pins
from .setting import Objective, Setting
from .table import A_PRIORI, REFUSALS, guarantees
from .target import Decreasing, Growth, Symmetry, Target
from .theorem import FITTED, INVARIANCE, MOMENTS, SUPPORT, APriori, Refusal, Theorem

THEOREMS: tuple[Theorem, ...] = (
    *a_posteriori.THEOREMS,
    *PINNED,
    *approximate.THEOREMS,
    *directions.THEOREMS,
    *A_PRIORI,
    *REFUSALS,
)
"""Every record."""

__all__ = [
    "A_PRIORI",
    "ELLIPTICAL_CORRELATION",
    "FITTED",
    "INVARIANCE",
    "MOMENTS",
    "REFLECTION_BOUND",
    "REFLECTION_MEAN",
    "REFLECTION_MEDIAN",
    "REFUSALS",
    "SUPPORT",
    "THEOREMS",
    "APriori",
    "Decreasing",
    "Fact",
    "Growth",
    "Guarantee",
    "Guide",
    "Objective",
    "Pinned",
    "Refusal",
    "Setting",
    "Symmetry",
    "Target",
    "Theorem",
    "assumed",
    "guarantees",
    "pinned_mean",
    "pinned_shape",
    "pins",
    "proved",
    "refuted",
    "unknown",
]
