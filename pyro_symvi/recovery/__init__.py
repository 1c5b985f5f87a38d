"""Which statistics of a fitted guide are right: premises, theorems, evidence, certificates."""

from .analysis import Analysis, analyze
from .certification import certify
from .citations import citation
from .discovery import FoundSymmetry, Symmetries, find_symmetries
from .report.certificate import Certificate
from .report.entry import Entry, StatisticReport
from .sphere import SphereDensity
from .statistics import STATISTICS
from .theorems import THEOREMS, Theorem, guarantees
from .theorems.advice import Advice
from .theorems.advise import advise
from .verdicts import Evidence, Premise, Verdict, weakest

__all__ = [
    "STATISTICS",
    "THEOREMS",
    "Advice",
    "Analysis",
    "Certificate",
    "Entry",
    "Evidence",
    "FoundSymmetry",
    "Premise",
    "SphereDensity",
    "StatisticReport",
    "Symmetries",
    "Theorem",
    "Verdict",
    "advise",
    "analyze",
    "certify",
    "citation",
    "find_symmetries",
    "guarantees",
    "weakest",
]
