"""What advice rests on, in sentences."""

from __future__ import annotations

import inspect
import math

from ...guides import OrbitMixture
from ..thresholds import CommitteeThresholds
from ._spec import CommitteeSpec

NEAR = 1.5
"""A ratio n/d within this factor of a threshold may fall on either side of it at finite d."""
_NAMES = {"information": "information-theoretic", "algorithmic": "algorithmic"}
_OPTIONS = inspect.signature(OrbitMixture).parameters
MOST_COPIES, DRAWN = int(_OPTIONS["max_order"].default), int(_OPTIONS["num_elements"].default)


def caveats(spec: CommitteeSpec, ratio: float, d: int, guide: str, thresholds: CommitteeThresholds) -> tuple[str, ...]:
    """The sentences, those about this committee first."""
    names: dict[float | None, list[str]] = {}
    for name in ("information", "algorithmic"):
        names.setdefault(getattr(thresholds, name), []).append(_NAMES[name])
    near = [
        f"the {' and the '.join(called)} threshold ({value:.4g})"
        for value, called in names.items()
        if value and value / NEAR <= ratio <= value * NEAR
    ]
    found = [*_known(spec), *(_sentence(str(note)) for note in thresholds.notes)]
    if near and spec.copies > 1:
        found.append(
            f"n/d is within a factor {NEAR} of {' and of '.join(near)}: at d = {d:,} the change is gradual, and either "
            "guide may win."
        )
    found += [*_symmetry(spec, guide), *_gap(spec, thresholds.exponent)]
    found.append(
        "Assumed: standard normal inputs, data from this very committee with weights from the prior, known activation "
        "and noise variance, n and d large at fixed n/d and number of units. Real data meet none of this exactly."
    )
    found.append(
        "Algorithmic means message passing, the best first-order method known here: hardness for every fast method is "
        "a conjecture. Guides fitted by gradient ascent may need more data. Judge a guide by its predictions on data "
        "kept back: a guide whose units differ can have the higher evidence lower bound by fitting noise."
    )
    return tuple(found)


def _known(spec: CommitteeSpec) -> list[str]:
    """How the algorithmic threshold is known, where the notes of the thresholds do not say it."""
    if spec.units == 1 or spec.degree == 1:
        return []
    if spec.link.parity == "even":
        return [f"The algorithmic threshold is exact at {spec.units} units for message passing, as n and d grow."]
    return [
        "The algorithmic threshold is where the solution with all units alike becomes unstable under state evolution "
        f"at {spec.units} units: our derivation, a heuristic for activations that are not even, not proved."
    ]


def _symmetry(spec: CommitteeSpec, guide: str) -> list[str]:
    found = []
    if spec.units == 1:
        found.append(
            "One unit has no permutation symmetry; its sign is one, since the activation is even. Tied stands for a "
            "guide centred at 0, and the mixture holds both signs."
            if spec.copies > 1
            else "One unit has no permutation symmetry, and no sign since the activation is not even."
        )
    if spec.degree == 2 and spec.units > 1:
        found.append(
            "The activation is a polynomial of degree two: the posterior is invariant under rotations of the units "
            "too, so that the data show the space they span but no axes in it. An orbit mixture over permutations "
            "covers only a part of that continuum."
        )
    if spec.copies > 1 and spec.degree != 1:
        order = f"2^{spec.units} {spec.units}!" if spec.link.parity == "even" else f"{spec.units}!"
        gain = math.log(spec.copies)
        text = (
            f"The orbit mixture holds {order} = {spec.copies:,} copies; its evidence lower bound exceeds that of one "
            f"copy by at most log({order}) = {gain:.3g} nats."
        )
        if spec.copies > MOST_COPIES:
            text += (
                f" That is more than OrbitMixture's max_order = {MOST_COPIES}: it then takes {DRAWN} elements drawn at "
                f"random, still a lower bound, with at most log({DRAWN}) = {math.log(DRAWN):.3g} nats gained."
            )
        found.append(text)
    if guide != "tied":
        found.append("A tied guide stays at the unspecialised solution under gradient ascent, whatever n is.")
    return found


def _gap(spec: CommitteeSpec, exponent: float | None) -> list[str]:
    if spec.units == 1 or exponent is None or not math.isfinite(exponent):
        return []
    if exponent == 1:
        return [
            "Both thresholds grow like the number of units (exponent 1): no gap opens, though a constant factor may "
            "remain between them. ReLU, GELU, SiLU and their like nearly always give this answer."
        ]
    source = (
        "Defilippis, Krzakala, Loureiro and Maillard 2026, arXiv 2603.17896"
        if spec.link.parity == "even"
        else "our derivation, conditioned on the mean direction"
    )
    return [
        f"The algorithmic threshold grows like p^{exponent} with the number p of units, the information-theoretic one "
        f"like p ({source})."
    ]


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:].rstrip('.')}."
