"""Facts: what is known of a target, a guide or an objective, and on what evidence."""

from __future__ import annotations

from dataclasses import dataclass

from ..verdicts import Evidence, Premise

_RANK = {
    Evidence.PROVED: 4,
    Evidence.VERIFIED: 3,
    Evidence.ASSUMED: 2,
    Evidence.UNKNOWN: 1,
    Evidence.REFUTED: 0,
}


@dataclass(frozen=True)
class Fact:
    """A statement with its evidence.

    Attributes:
        evidence: What it rests on.
        words: The statement, or what is missing.
    """

    evidence: Evidence
    words: str

    @property
    def is_proved(self) -> bool:
        """Whether it was proved."""
        return self.evidence is Evidence.PROVED

    @property
    def is_refuted(self) -> bool:
        """Whether it is known to be false."""
        return self.evidence is Evidence.REFUTED

    def premise(self, name: str) -> Premise:
        """The fact as a premise of a theorem."""
        return Premise(name, self.evidence, self.words)


def proved(words: str) -> Fact:
    """A fact that holds by construction or exact algebra."""
    return Fact(Evidence.PROVED, words)


def assumed(words: str) -> Fact:
    """A fact that is granted, not shown."""
    return Fact(Evidence.ASSUMED, words)


def unknown(words: str) -> Fact:
    """A statement of which nothing is known."""
    return Fact(Evidence.UNKNOWN, words)


def refuted(words: str) -> Fact:
    """A statement known to be false."""
    return Fact(Evidence.REFUTED, words)


def decided(holds: bool, yes: str, no: str) -> Fact:
    """Proved or refuted, with the words of either."""
    return proved(yes) if holds else refuted(no)


def all_of(*facts: Fact) -> Fact:
    """The conjunction: as strong as its weakest part, in the words of the weakest (of all, if all are proved)."""
    least = min(_RANK[fact.evidence] for fact in facts)
    told = [fact for fact in facts if _RANK[fact.evidence] == least]
    return Fact(told[0].evidence, _joined(told, "; "))


def any_of(*facts: Fact) -> Fact:
    """The disjunction: as strong as its strongest part, in the words of the first of these (of all, if none holds)."""
    most = max(_RANK[fact.evidence] for fact in facts)
    told = [fact for fact in facts if _RANK[fact.evidence] == most]
    if most > _RANK[Evidence.UNKNOWN]:
        return told[0]
    return Fact(told[0].evidence, _joined(told, "; nor: "))


def _joined(facts: list[Fact], separator: str) -> str:
    return separator.join(dict.fromkeys(fact.words for fact in facts if fact.words))
