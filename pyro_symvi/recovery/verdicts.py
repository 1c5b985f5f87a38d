"""Verdicts on statistics and the evidence for a premise."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import total_ordering


@total_ordering
class Verdict(Enum):
    """What may be said of one fitted number; ordered, ``PROVED`` highest.

    * ``PROVED``: exact; every premise holds by construction or exact algebra.
    * ``VERIFIED``: no violation found on the region explored, which the certificate describes.
    * ``BOUNDED``: within the number given, in posterior standard deviations (correlations: absolute).
    * ``CONDITIONAL``: as verified, if the named assumptions are granted.
    * ``UNKNOWN``: nothing can be said, and why.
    * ``REFUTED``: not recovered by symmetry; a witness is given.
    """

    PROVED = 5
    VERIFIED = 4
    BOUNDED = 3
    CONDITIONAL = 2
    UNKNOWN = 1
    REFUTED = 0

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Verdict):
            return NotImplemented
        return self.value < other.value

    @property
    def is_exact(self) -> bool:
        """``PROVED`` or ``VERIFIED``: no error is known of."""
        return self in (Verdict.PROVED, Verdict.VERIFIED)


class Evidence(Enum):
    """What a premise rests on."""

    PROVED = "proved"
    VERIFIED = "verified"
    ASSUMED = "assumed"
    UNKNOWN = "unknown"
    REFUTED = "refuted"


_TO_VERDICT = {
    Evidence.PROVED: Verdict.PROVED,
    Evidence.VERIFIED: Verdict.VERIFIED,
    Evidence.ASSUMED: Verdict.CONDITIONAL,
    Evidence.UNKNOWN: Verdict.UNKNOWN,
    Evidence.REFUTED: Verdict.REFUTED,
}


@dataclass(frozen=True)
class Premise:
    """One premise of a theorem, with its evidence.

    Attributes:
        name: Short name, as in the theorem's record.
        evidence: What it rests on.
        statement: In words, with the numbers and the region they speak of.
    """

    name: str
    evidence: Evidence
    statement: str

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence.value} ({self.statement})"


def weakest(premises: tuple[Premise, ...]) -> Verdict:
    """The verdict of a theorem: that of its weakest premise (an assumed premise makes it conditional).

    Args:
        premises: All premises of the theorem; without any, the verdict is ``UNKNOWN``.

    Example:
        >>> even = Premise("even", Evidence.VERIFIED, "|log p(-z) - log p(z)| <= 1e-12 at 700 points")
        >>> moments = Premise("moments", Evidence.ASSUMED, "E|z| is finite")
        >>> weakest((even,)).name, weakest((even, moments)).name
        ('VERIFIED', 'CONDITIONAL')
    """
    return min((_TO_VERDICT[premise.evidence] for premise in premises), default=Verdict.UNKNOWN)
