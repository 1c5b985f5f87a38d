"""Errors of the group layer, and the one sentence form they share."""

from __future__ import annotations


class UnsupportedError(TypeError):
    """A member that this group or action cannot provide; the message says what to use instead."""


class InfiniteGroupError(UnsupportedError):
    """The elements of an infinite group were asked for."""


class NonCompactGroupError(UnsupportedError):
    """Normalised Haar measure was asked of a non-compact group, which has none."""


def sentence(expected: str, got: object, because: str, remedy: str) -> str:
    """The form of every error message here: ``expected ..., got ..., because ...; try ...``."""
    return f"expected {expected}, got {got}, because {because}; try {remedy}"
