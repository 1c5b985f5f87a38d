"""The verdict on fitted regressions of a block on the other coordinates: slopes and intercepts (Theorem R)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from ..analysis.findings import AffineCenter
from ..report.entry import Entry
from ..theorems.pinned import CONDITIONAL_REFLECTION
from ..verdicts import Premise
from .base import Claim, Statistic, judge, unknown
from .facts import Facts

WIDEST = 0.5
"""Farther than this from the exact one, a slope (in sd ratios) or an intercept (in sds) is refuted, not bounded."""


@dataclass(frozen=True)
class Regression:
    """E(z_x | rest) = a + B z_y, as proved.

    Attributes:
        center: Exact intercepts and slopes.
        group: x in words.
        invariance: The premise.
        slope: The fitted slopes ``[|x|, |y|]``; nan where nothing was fitted.
        intercept: The fitted intercepts ``[|x|]``.
    """

    center: AffineCenter
    group: str
    invariance: Premise
    slope: torch.Tensor
    intercept: torch.Tensor


def regressions(facts: Facts) -> list[Regression]:
    """One a block whose proved centre moves with other coordinates; blocks disjoint, the largest first."""
    facts.exploration  # noqa: B018  first, as it may take proofs back
    if facts.symmetry is not None:
        return []
    out: list[Regression] = []
    for center in facts.proofs.affine_centers():
        taken = {i for r in out for i in r.center.coordinates}
        if center.is_constant or taken & set(center.coordinates):
            continue
        group = facts.names(center.coordinates)
        invariance = facts.proofs.reflected_given(center, group, facts.names(center.on))
        out.append(Regression(center, group, invariance, *fitted_regression(facts, center.coordinates, center.on)))
    return out


def fitted_regression(facts: Facts, x: Sequence[int], y: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Slopes :math:`B = S_{xr} S_{rr}^{-1}` of x on all others r, those on y; intercepts :math:`\nu_x - B\nu_r`."""
    loc, root = facts.subject.loc, facts.subject.root
    scatter = root @ root.mT
    inside, on = torch.tensor(list(x)), torch.tensor(list(y))
    rest = torch.tensor([i for i in range(len(loc)) if i not in set(x)])
    unit = scatter.diagonal().sqrt()
    scaled = scatter / torch.outer(unit, unit)
    if bool(torch.isnan(scaled).any()):
        nothing = torch.full((len(inside), len(on)), torch.nan, dtype=torch.float64)
        return nothing, nothing[:, 0] if len(on) else torch.full((len(inside),), torch.nan, dtype=torch.float64)
    full = torch.linalg.solve(scaled[rest][:, rest], scaled[rest][:, inside]).mT
    full = full * unit[inside][:, None] / unit[rest]
    places = [rest.tolist().index(j) for j in on.tolist()]
    return full[:, places], loc[inside] - full @ loc[rest]


class Slope(Statistic):
    """B of E(z_x | rest) = a + B z_y, in units of sd(z_x) / sd(z_y)."""

    name: ClassVar[str] = "slope"

    def _entries(self, facts: Facts) -> Sequence[tuple[int, Entry]]:
        names = facts.subject.density.coordinates
        out = []
        for found in regressions(facts):
            for a, i in enumerate(found.center.coordinates):
                for b, j in enumerate(found.center.on):
                    exact, value = float(found.center.slope[a][b]), float(found.slope[a, b])
                    unit = facts.unit(i) / facts.unit_high(j)
                    out.append(
                        (
                            i,
                            _entry(
                                facts, f"slope of {names[i]} on {names[j]}", value, exact, unit, found, i, " sd ratios"
                            ),
                        )
                    )
        return out or _nothing(facts, "slope")


class Intercept(Statistic):
    """a of E(z_x | rest) = a + B z_y, in units of sd(z_x)."""

    name: ClassVar[str] = "intercept"

    def _entries(self, facts: Facts) -> Sequence[tuple[int, Entry]]:
        names = facts.subject.density.coordinates
        out = []
        for found in regressions(facts):
            for a, i in enumerate(found.center.coordinates):
                exact, value = float(found.center.intercept[a]), float(found.intercept[a])
                out.append((i, _entry(facts, f"intercept of {names[i]}", value, exact, facts.unit(i), found, i, " sd")))
        return out or _nothing(facts, "intercept")


def _entry(
    facts: Facts, label: str, value: float, exact: float, unit: float, found: Regression, i: int, unit_name: str
) -> Entry:
    claim = Claim(
        exact=exact,
        premises=(found.invariance, facts.moments(1, [i])),
        theorem=CONDITIONAL_REFLECTION,
        why=f"the mean of ({found.group}) given the rest is linear",
        unit=unit,
        unit_name=unit_name,
        widest=WIDEST,
        proof=True,
        caveat="if the posterior is proper and its mean exists",
    )
    return judge(facts, label, value, claim)


def _nothing(facts: Facts, what: str) -> list[tuple[int, Entry]]:
    names = facts.subject.density.coordinates
    reason = "no block was proved to have a mean that is a linear function of the other coordinates"
    return [(i, unknown(f"{what} of {name}", math.nan, reason)) for i, name in enumerate(names)]
