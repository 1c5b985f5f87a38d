"""Tables of the documentation, computed from the theorems: which statistics are right, and which guide to choose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from pyro_symvi.divergences import Alpha, ChiSquare, Divergence, ForwardKL, ReverseKL
from pyro_symvi.families import Family, LocationScale, VonMisesFisherFamily
from pyro_symvi.groups import (
    Antipodal,
    AxialRotation,
    AxisFlips,
    ConditionalReflection,
    CoordinatePermutation,
    EllipticalRotation,
    LinearAction,
    PointReflection,
)
from pyro_symvi.recovery import Verdict, guarantees
from pyro_symvi.recovery.theorems import (
    Decreasing,
    Growth,
    Guarantee,
    Setting,
    Symmetry,
    Target,
    proved,
)

DIM = 3
YES = proved("given")
_SHAPE = torch.tensor([[2.0, 0.6, 0.2], [0.6, 1.0, -0.3], [0.2, -0.3, 1.5]], dtype=torch.float64)
_AXIS = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)

DIVERGENCES: dict[str, Divergence] = {
    "reverse KL": ReverseKL(),
    "alpha = 1/2": Alpha(0.5),
    "forward KL": ForwardKL(),
    "chi-square": ChiSquare(),
}
"""Columns: alpha = 0, 1/2, 1 and 2."""

GUIDES: dict[str, Family] = {
    "normal, full": LocationScale(DIM),
    "normal, diagonal": LocationScale(DIM, scale="diagonal"),
    "normal, isotropic": LocationScale(DIM, scale="isotropic"),
    "normal, low rank": LocationScale(DIM, scale="low_rank"),
    "Student-t(5), full": LocationScale(DIM, "student_t", "full", df=5.0),
    "Student-t(5), diagonal": LocationScale(DIM, "student_t", "diagonal", df=5.0),
    "Laplace, diagonal": LocationScale(DIM, "laplace", "diagonal"),
    "logistic, diagonal": LocationScale(DIM, "logistic", "diagonal"),
    "uniform ball, full": LocationScale(DIM, "uniform_ball", "full"),
}
"""Rows of the full table."""

SPHERE: dict[str, Family] = {"von Mises-Fisher": VonMisesFisherFamily(DIM)}


@dataclass(frozen=True)
class Kind:
    """A kind of posterior: words, and the facts they stand for.

    Attributes:
        words: What is known of it.
        target: The same as facts, in three dimensions.
    """

    words: str
    target: Target

    @property
    def families(self) -> dict[str, Family]:
        """Guides that live where it does."""
        return SPHERE if self.target.on_sphere else GUIDES


def _kind(words: str, *actions: LinearAction, profile: bool = False, **facts: object) -> Kind:
    radial = {"profile": YES, "strict_profile": YES} if profile else {}
    symmetries = tuple(Symmetry(action, YES, **radial) for action in actions)
    return Kind(words, Target(DIM, symmetries, proper=YES, **facts))  # type: ignore[arg-type]


_SMOOTH = {"positive": YES, "growth": Growth("polynomial", 2.0)}
_CURVED = {"log_concave": YES, **_SMOOTH}
_STRONG = {"strongly_log_concave": YES, **_SMOOTH}
_MOMENTS = {"second_moment": YES, **_SMOOTH}
_HEAVY = {"log_moment": YES, "positive": YES, "growth": Growth("polynomial", 1.0)}
_ON_SPHERE = {"on_sphere": True, "bounded": YES, "positive": YES}
_FALLING = {"convex_levels": YES, "decreasing": YES}

KINDS: dict[str, Kind] = {
    "any": _kind("two moments, no symmetry", **_MOMENTS),
    "curved": _kind("log-concave, no symmetry", **_CURVED),
    "even": _kind("even, two moments; several modes allowed", PointReflection(), **_MOMENTS),
    "even, heavy": _kind("even, tails like a power; several modes allowed", PointReflection(), **_HEAVY),
    "even, unimodal": _kind(
        "even, falling away from its centre along every ray, superlevel sets convex, two moments",
        PointReflection(),
        **_MOMENTS,
        **_FALLING,
    ),
    "even, curved": _kind("even and log-concave", PointReflection(), **_CURVED),
    "even, strong": _kind("even and strongly log-concave", PointReflection(), **_STRONG),
    "flips": _kind("unchanged by the sign of each coordinate, log-concave", AxisFlips(), **_CURVED),
    "elliptical": _kind("elliptical, two moments; a ring is allowed", EllipticalRotation(shape=_SHAPE), **_MOMENTS),
    "elliptical, falling": _kind(
        "elliptical, falling with the radius, two moments",
        EllipticalRotation(shape=_SHAPE),
        profile=True,
        **_MOMENTS,
        **_FALLING,
    ),
    "elliptical, heavy": _kind(
        "elliptical, falling with the radius, tails like a power",
        EllipticalRotation(shape=_SHAPE),
        profile=True,
        **_HEAVY,
        **_FALLING,
    ),
    "elliptical, curved": _kind("elliptical and log-concave", EllipticalRotation(shape=_SHAPE), **_CURVED),
    "one coordinate": _kind(
        "one coordinate even and unimodal whatever the others are, two moments",
        PointReflection(coordinates=[1]),
        coordinates=(Decreasing(1, YES, YES),),
        **_MOMENTS,
    ),
    "exchangeable": _kind("exchangeable coordinates, two moments", CoordinatePermutation(DIM), **_MOMENTS),
    "exchangeable, curved": _kind("exchangeable coordinates, log-concave", CoordinatePermutation(DIM), **_CURVED),
    "regression": _kind(
        "one coordinate symmetric about a line in the others, log-concave",
        ConditionalReflection([0], 0.5, [[0.7, -0.2]]),
        **_CURVED,
    ),
    "zonal": _kind("on the sphere, unchanged by rotations about an axis", AxialRotation(_AXIS), **_ON_SPHERE),
    "zonal, rising": _kind(
        "on the sphere, rising towards a pole, the same all round it",
        AxialRotation(_AXIS),
        increasing_profile=YES,
        has_direction=YES,
        **_ON_SPHERE,
    ),
    "antipodal": _kind("on the sphere, the same at x and -x", Antipodal(DIM), **_ON_SPHERE),
}
"""Kinds of posterior, in the order of the tables."""


_ORDER = (
    "mean",
    "centre",
    "covariance",
    "variances",
    "correlation",
    "shape",
    "contrasts",
    "slope",
    "direction",
    "axis",
    "escort direction",
)
_IMPLIED = {"correlation": "covariance", "axis": "direction", "escort direction": "axis"}
"""Not said again where the other is said."""
NOTHING = "-"


def told(kind: Kind, family: Family, divergence: Divergence) -> tuple[Guarantee, ...]:
    """What theory says of the minimiser."""
    return guarantees(Setting(kind.target, family, divergence))


def cell(found: Iterable[Guarantee]) -> str:
    """What is proved, what holds if the optimum is unique (in brackets), what is refuted."""
    found = tuple(found)
    infinite = [g for g in found if g.theorem is not None and g.theorem.name == "infinite divergence"]
    if infinite:
        return "infinite"
    exact = _scopes(g for g in found if g.verdict is Verdict.PROVED)
    granted = _scopes(g for g in found if g.verdict is Verdict.CONDITIONAL)
    refuted = {g.statistic for g in found if g.verdict is Verdict.REFUTED}
    said = [_words(s, exact[s]) for s in _ORDER if s in exact and _IMPLIED.get(s) not in exact]
    said += [f"({_words(s, granted[s])})" for s in _ORDER if s in granted and s not in exact]
    said += [f"not the {s}" for s in _ORDER if s in refuted]
    return ", ".join(said) or NOTHING


def _scopes(found: Iterable[Guarantee]) -> dict[str, bool]:
    """Statistics, and whether all of each is meant."""
    items: dict[str, set[object]] = {}
    whole: dict[str, bool] = {}
    for g in found:
        items.setdefault(g.statistic, set()).update(g.items)
        whole[g.statistic] = whole.get(g.statistic, False) or not g.items
    count = {"mean": DIM, "centre": DIM, "correlation": DIM * (DIM - 1) // 2, "shape": DIM * (DIM - 1) // 2}
    return {s: whole[s] or len(items[s]) >= count.get(s, 0) for s in items}


def _words(statistic: str, whole: bool) -> str:
    if whole:
        return statistic
    return {"mean": "mean of that one", "centre": "centre of that one"}.get(statistic, f"its {statistic}s")


def _rows(cells: Iterable[Iterable[str]], head: Iterable[str]) -> list[str]:
    """A table in Markdown, its columns padded."""
    table = [list(head), *(list(row) for row in cells)]
    wide = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = ["| " + " | ".join(text.ljust(w) for text, w in zip(row, wide, strict=True)) + " |" for row in table]
    return [lines[0], "|" + "|".join("-" * (w + 2) for w in wide) + "|", *lines[1:]]


_README = {
    "any": "normal, full",
    "even": "Laplace, diagonal",
    "even, heavy": "Student-t(5), full",
    "even, curved": "normal, diagonal",
    "elliptical, falling": "Student-t(5), full",
    "one coordinate": "Student-t(5), diagonal",
    "exchangeable, curved": "normal, full",
    "regression": "normal, full",
    "zonal, rising": "von Mises-Fisher",
}


def readme_table() -> str:
    """The short guarantee table in Markdown, with its legend: nine kinds of posterior, a guide for each."""
    columns = ("reverse KL", "alpha = 1/2", "forward KL")
    cells = []
    for name, guide in _README.items():
        kind = KINDS[name]
        found = [cell(told(kind, kind.families[guide], DIVERGENCES[column])) for column in columns]
        cells.append((kind.words, guide, *found))
    return "\n".join([*_rows(cells, ("posterior", "guide, scale", *columns)), "", LEGEND])


LEGEND = (
    "What the minimiser of each divergence has in common with the posterior, whatever else is wrong with it: computed\n"
    "from the theorems by `docs/tables.py`. Every posterior here is proper and positive, and -log p grows at most\n"
    "like a square; *even* means symmetric about a point. `-`: nothing is proved."
)
