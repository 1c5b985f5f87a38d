"""The verdict on each fitted median, on the scale of the user's sites."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import ClassVar

import torch

from ...density import LogDensity
from ..report.entry import Entry
from ..theorems import REFLECTION_MEDIAN
from .base import Claim, Statistic, judge, unknown
from .elementwise import Elementwise, elementwise_maps
from .facts import Facts


class Median(Statistic):
    """Medians of constrained values: tau(c) at the centre c of a reflection, tau the strictly monotone map of a site.

    Gaps are those of the unconstrained coordinate, in posterior standard deviations.
    """

    name: ClassVar[str] = "median"

    def _entries(self, facts: Facts) -> Sequence[tuple[int, Entry]]:
        density = facts.subject.density
        maps = elementwise_maps(density)
        labels = constrained_names(density, maps)
        return [(i, _entry(facts, i, labels[i], maps[i])) for i in range(density.dim)]


def constrained_names(density: LogDensity, maps: Sequence[Elementwise]) -> list[str]:
    """``sigma`` for ``log sigma``; the unconstrained name where a map mixes coordinates."""
    out = []
    for site in density.sites:
        indices = itertools.product(*(range(n) for n in site.unconstrained_shape))
        plain = [site.name + ("[" + ",".join(map(str, k)) + "]" if k else "") for k in indices]
        for i, name in zip(range(density.dim)[site.slice], plain, strict=True):
            out.append(density.coordinates[i] if maps[i].refusal else name)
    return out


def _entry(facts: Facts, i: int, name: str, tau: Elementwise) -> Entry:
    subject = facts.subject
    label = f"median of {name}"
    if tau.refusal:
        return unknown(label, math.nan, tau.refusal)
    value = _value(facts, i, tau)
    pin = facts.pin(i)
    if pin is None:
        why = "no reflection holds that moves it"
        if facts.exploration is None:
            why = "no centre of symmetry was proved; nothing else was looked at (numerics=True does)"
        return unknown(label, value, why)
    # P(z_i) has positive density near c where log p is finite everywhere, which a plain analysis has shown
    only = facts.proofs.trusted
    which = "the centre is the median" if only else "the centre is a median (the only one if it has mass nearby)"
    claim = Claim(
        exact=pin.center,
        premises=(pin.invariance, facts.proper()),
        theorem=REFLECTION_MEDIAN,
        why=f"even in ({pin.group}): {which}",
        unit=facts.unit(i),
        unit_name=" sd",
        proof=pin.proof is not None,
        caveat="if the posterior is proper",
    )
    here = subject.value(i) if subject.kind != "draws" else tau.inverse(value)
    entry = judge(facts, label, here, claim)
    exact = tau(pin.center)
    shown = exact if subject.kind == "target" else value
    reason = entry.reason.replace(f"gives {pin.center:.6g}", f"gives {exact:.6g}")
    return Entry(label, entry.verdict, shown, entry.bound, reason, entry.theorem, entry.premises, exact)


def _value(facts: Facts, i: int, tau: Elementwise) -> float:
    """That of the fitted law, whose marginals are symmetric about its location; the sample median of draws."""
    subject = facts.subject
    if subject.draws is not None:
        z = subject.draws.reshape(-1, subject.draws.shape[-1])[:, i]
        return tau(float(torch.quantile(z, 0.5)))
    return tau(subject.value(i))
