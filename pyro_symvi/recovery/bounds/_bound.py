"""What every bound returns: numbers in posterior standard deviations, their premises, or why there are none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..verdicts import Evidence, Premise

WIDEST = 1.0
"""A bound above this many posterior standard deviations says nothing and is withheld."""
WEAK = 0.3
"""Above this one it is called weak."""

_ORDER = (Evidence.REFUTED, Evidence.UNKNOWN, Evidence.ASSUMED, Evidence.VERIFIED, Evidence.PROVED)


@dataclass(frozen=True)
class Bound:
    r"""Numbers :math:`b_j` with :math:`|E_p z_j - c_j| \le b_j\,\mathrm{sd}_p(z_j)` for the coordinates J of one claim.

    Attributes:
        name: The theorem.
        coordinates: J. Nothing is said of others.
        values: ``[|J|]``, in posterior standard deviations; nan where withheld.
        premises: What it rests on, each with its evidence.
        how: In a few words, how the numbers came about.
        refusal: Why they are withheld; empty if they are not.
    """

    name: str
    coordinates: tuple[int, ...]
    values: torch.Tensor
    premises: tuple[Premise, ...] = ()
    how: str = ""
    refusal: str = ""

    @property
    def usable(self) -> bool:
        """Whether numbers are given."""
        return not self.refusal

    @property
    def evidence(self) -> Evidence:
        """That of the weakest premise; ``UNKNOWN`` where the bound is withheld."""
        if self.refusal or not self.premises:
            return Evidence.UNKNOWN
        return min((p.evidence for p in self.premises), key=_ORDER.index)

    def at(self, i: int) -> float:
        """The bound of flat coordinate i; nan where none is given."""
        return float(self.values[self.coordinates.index(i)]) if i in self.coordinates else math.nan


def refused(name: str, coordinates: Sequence[int], reason: str, premises: tuple[Premise, ...] = ()) -> Bound:
    """A bound that is withheld."""
    values = torch.full((len(coordinates),), math.nan, dtype=torch.float64)
    return Bound(name, tuple(coordinates), values, premises, "", reason)


def judged(
    name: str, coordinates: Sequence[int], values: torch.Tensor, premises: tuple[Premise, ...], how: str
) -> Bound:
    """The bound, withheld where a premise is unknown or refuted, or where no coordinate has a number below one sd."""
    broken = [p for p in premises if p.evidence in (Evidence.UNKNOWN, Evidence.REFUTED)]
    if broken:
        return refused(name, coordinates, f"{broken[0].name}: {broken[0].statement}", premises)
    values = values.to(torch.float64)
    if not bool((values <= WIDEST).any()):  # nan compares as False
        least = float(values.min()) if bool(torch.isfinite(values).any()) else math.inf
        return refused(name, coordinates, f"the bound, {least:.2g} sd, is wider than the posterior", premises)
    shown = torch.where(values <= WIDEST, values, torch.full_like(values, math.nan))
    return Bound(name, tuple(coordinates), shown, premises, how)
