"""Whether a group leaves a prior as it is, with the reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preservation:
    """True or false as a condition; ``reason`` says why in words.

    A group that leaves both the function of the network and the prior as they are is a symmetry of the posterior.
    """

    layer: str
    group: str
    holds: bool
    reason: str

    def __bool__(self) -> bool:
        return self.holds
