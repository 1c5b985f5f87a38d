"""The verdict on fitted contrasts: differences of exchangeable coordinates, and combinations that the user names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar

import torch

from ..bounds.reflection import reflection_bound
from ..report.entry import Entry
from ..theorems import REFLECTION_BOUND
from ..theorems.pinned import PERMUTATION_MEAN
from ..verdicts import Evidence, Premise, Verdict
from .base import ESTABLISHED, Claim, Statistic, judge, unknown
from .facts import Facts
from .permutations import Orbit, orbits


class Contrast(Statistic):
    """E a.z: zero where a sums to zero over every set of exchangeable coordinates; plus the centres of reflections.

    Reported are z_j - z_i for the first i and every other j of each exchangeable set, and the contrasts of the user.
    """

    name: ClassVar[str] = "contrast"

    def _entries(self, facts: Facts) -> Sequence[tuple[int, Entry]]:
        dim, names = facts.subject.density.dim, facts.subject.density.coordinates
        found = orbits(facts)
        vectors: list[tuple[str, torch.Tensor]] = []
        for orbit in found:
            for j in orbit.coordinates[1:]:
                vector = torch.zeros(dim, dtype=torch.float64)
                vector[j], vector[orbit.coordinates[0]] = 1.0, -1.0
                vectors.append((f"{names[j]} - {names[orbit.coordinates[0]]}", vector))
        vectors += list(facts.contrasts.items())
        if not vectors:
            reason = "no exchangeable coordinates were found, and no contrast was named (contrasts=...)"
            return [(0, unknown("contrast of all coordinates", math.nan, reason))]
        return [(int(vector.abs().argmax()), _entry(facts, name, vector, found)) for name, vector in vectors]


def _entry(facts: Facts, name: str, vector: torch.Tensor, found: Sequence[Orbit]) -> Entry:
    label = f"contrast of {name}"
    support = [i for i in range(len(vector)) if float(vector[i]) != 0]
    value = float(vector @ facts.subject.loc) if facts.subject.kind != "target" else math.nan
    pinned = _pinned(facts, support, vector, found)
    if pinned is None:
        return _bounded(facts, label, value, support, vector)
    exact, invariance, why, proof = pinned
    claim = Claim(
        exact=float(exact),
        premises=(*invariance, facts.moments(1, support)),
        theorem=PERMUTATION_MEAN,
        why=why,
        unit=facts.unit_along(vector),
        unit_name=" sd",
        proof=proof,
        caveat="if the posterior is proper and its mean exists",
    )
    return judge(facts, label, value, claim)


def _pinned(
    facts: Facts, support: Sequence[int], vector: torch.Tensor, found: Sequence[Orbit]
) -> tuple[Fraction, tuple[Premise, ...], str, bool] | None:
    """The mean of the contrast, with the premises: exchangeable sets where the sum is zero, centres for the rest."""
    left, exact = set(support), Fraction(0)
    premises: dict[Premise, None] = {}
    why: dict[str, None] = {}
    proof = True
    for orbit in found:
        inside = [i for i in orbit.coordinates if i in left]
        if inside and sum(Fraction(float(vector[i])) for i in inside) == 0:
            left -= set(inside)
            premises[orbit.invariance] = None
            why[f"exchangeable ({orbit.group})"] = None
            proof &= orbit.invariance.evidence is Evidence.PROVED
    for i in sorted(left):
        pin = facts.pin(i)
        if pin is None:
            return None
        center = pin.proof.center[i] if pin.proof is not None else Fraction(pin.center)
        exact += Fraction(float(vector[i])) * center
        premises[pin.invariance] = None
        why[f"even in ({pin.group})"] = None
        proof &= pin.proof is not None
    return exact, tuple(premises), ", ".join(why), proof


def _bounded(facts: Facts, label: str, value: float, support: Sequence[int], vector: torch.Tensor) -> Entry:
    """Bound B0 holds for all linear functions of the coordinates reflected."""
    found = facts.exploration
    if found is None or facts.subject.kind == "target":
        return unknown(label, value, "no symmetry that was found pins it")
    density = facts.subject.density
    options = dict.fromkeys([tuple(support), tuple(range(density.dim))])
    bounds = [reflection_bound(density, found.draws, facts.subject.loc, option) for option in options]
    usable = [bound for bound in bounds if bound.usable]
    if not usable:
        return unknown(label, value, f"no symmetry that was found pins it; no bound: {bounds[0].refusal}")
    best = min(usable, key=lambda bound: bound.bound)
    moments = found.moments(2, best.coordinates)
    if moments.evidence not in ESTABLISHED:
        return unknown(label, value, "no symmetry that was found pins it; second moments are not established")
    reason = f"bound from reflecting ({found.names(best.coordinates)})"
    return Entry(label, Verdict.BOUNDED, value, best.bound, reason, REFLECTION_BOUND.name, (moments,))


def checked_contrasts(given: Any, dim: int) -> dict[str, torch.Tensor]:
    """Vectors ``{name: [d]}``, float64.

    Raises:
        TypeError: Neither a mapping nor a tensor.
        ValueError: A vector of another length, zero, or not finite.
    """
    if given is None:
        return {}
    if isinstance(given, torch.Tensor):
        rows = given[None] if given.ndim == 1 else given
        given = {f"contrast {k}": row for k, row in enumerate(rows)}
    if not isinstance(given, Mapping):
        raise TypeError(
            f"expected contrasts as {{name: vector}} or a tensor [m, {dim}], got {type(given).__name__}, because each "
            "is a linear combination of coordinates; try contrasts={'b - a': torch.tensor([-1.0, 1.0])}"
        )
    out = {}
    for name, row in given.items():
        vector = torch.as_tensor(row).detach().double()
        if vector.shape != (dim,) or not bool(torch.isfinite(vector).all()) or not bool(vector.any()):
            raise ValueError(
                f"expected the contrast {name!r} as {dim} finite numbers, not all zero, got {vector.tolist()}, because "
                "it has a coefficient for every flat coordinate; try density.coordinates for their order"
            )
        out[str(name)] = vector
    return out
