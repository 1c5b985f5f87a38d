"""Which statistics of a fitted guide are right: premises, theorems, evidence, certificates."""

from .certificate import Certificate, Entry, StatisticReport
from .certification import certify
from .theorems import THEOREMS, Theorem
from .verdicts import Evidence, Premise, Verdict

__all__ = [
    "THEOREMS",
    "Certificate",
    "Entry",
    "Evidence",
    "Premise",
    "StatisticReport",
    "Theorem",
    "Verdict",
    "certify",
]
