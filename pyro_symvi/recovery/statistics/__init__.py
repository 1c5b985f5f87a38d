"""The statistics a certificate speaks of: one file each, on one base."""

from .base import Claim, Statistic
from .facts import Facts
from .registry import STATISTICS, register

__all__ = ["STATISTICS", "Claim", "Facts", "Statistic", "register"]
