"""The answer to "is this family closed under that action?"."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Closure:
    """Whether a family is closed under an action: is the image of each of its laws, under every element, one of them?

    Attributes:
        holds: The answer; the truth value of this object.
        reason: Why, or why not, in one sentence.
        moves_scale: Whether some element changes the shape of the law (its scale, its concentration), not its location
            alone. Where it is False, uniqueness of the location at a fixed scale is enough for the location theorems.
    """

    holds: bool
    reason: str
    moves_scale: bool = True

    def __bool__(self) -> bool:
        return self.holds
