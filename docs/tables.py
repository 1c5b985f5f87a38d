"""Tables of the documentation, computed from the theorems: which statistics are right, and which guide to choose."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from pyro_symvi import LogDensity, examples
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
from pyro_symvi.recovery import Verdict, analyze, guarantees
from pyro_symvi.recovery.theorems import (
    Decreasing,
    Growth,
    Guarantee,
    Setting,
    Symmetry,
    Target,
    Theorem,
    proved,
)
from pyro_symvi.recovery.theorems.advice import AdviceRow
from pyro_symvi.recovery.theorems.advise import rank
from pyro_symvi.recovery.theorems.facts_from_analysis import target_of

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


def slug(name: str) -> str:
    """The label of a theorem on the page of theorems."""
    return "theorem-" + re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")


def linked(theorem: Theorem) -> str:
    """A link to a theorem; its heading is the text."""
    return f"{{ref}}`{slug(theorem.name)}`"


def guarantee_tables() -> str:
    """Every kind of posterior, guide and divergence in MyST Markdown, and the theorems that decide."""
    lines = []
    for kind in KINDS.values():
        found = {(g, d): told(kind, f, v) for g, f in kind.families.items() for d, v in DIVERGENCES.items()}
        cells = ((guide, *(cell(found[guide, column]) for column in DIVERGENCES)) for guide in kind.families)
        lines += [
            f"**{kind.words[0].upper()}{kind.words[1:]}.**",
            "",
            *_rows(cells, ("guide, scale", *DIVERGENCES)),
            "",
        ]
        used = {g.theorem.name: g.theorem for each in found.values() for g in each if g.theorem and decides(g)}
        lines += [f"By {'; '.join(linked(used[name]) for name in sorted(used))}.", ""]
    return "\n".join(lines)


def decides(found: Guarantee) -> bool:
    """Whether a guarantee is shown in a cell."""
    return found.verdict in (Verdict.PROVED, Verdict.CONDITIONAL, Verdict.REFUTED)


def _gets(row: AdviceRow) -> str:
    return cell(g for g in row.guarantees if g.verdict is Verdict.PROVED)


def _first_reverse(rows: Iterable[AdviceRow]) -> str:
    """The best guide under reverse KL, and what it gets."""
    best = next(row for row in rows if row.divergence == ReverseKL())
    got = _gets(best)
    return got if got == NOTHING else f"{got} ({best.guide})"


def decision_table() -> str:
    """If your posterior is ..., use ...: what `advise` ranks first on the facts of each kind, in Markdown."""
    cells = []
    for kind in (kind for kind in KINDS.values() if not kind.target.on_sphere):
        rows, _ = rank(kind.target)
        best = rows[0]
        cells.append((kind.words, best.guide, str(best.divergence), _gets(best), best.how, _first_reverse(rows)))
    head = ("if your posterior is", "guide", "divergence", "the optimum's", "how near a fit comes", "reverse KL gets")
    return "\n".join(_rows(cells, head))


EXAMPLES = ("challenger", "darwin", "eight-schools", "nile", "stackloss", "stackloss-robust")


def example_row(name: str) -> tuple[str, ...]:
    """What static analysis proves of a built-in posterior, and what is ranked first on these facts alone."""
    example = examples.get(name)
    known = target_of(analyze(LogDensity.from_model(example.model, *example.args))).with_implications()
    held = [_symmetry(symmetry, known.dim) for symmetry in known.symmetries if symmetry.fact.is_proved]
    held += ["log-concave"] if known.log_concave.is_proved else []
    held += ["two moments"] if known.second_moment.is_proved else []
    best = rank(known)[0][0]
    got = [f"{best.exact(s)} {s}s" for s in ("mean", "correlation") if best.exact(s)]
    told = ", ".join(dict.fromkeys(held)) or "nothing"
    return (name, str(known.dim), told, best.guide, str(best.divergence), ", ".join(got) or NOTHING)


def _symmetry(symmetry: Symmetry, dim: int) -> str:
    action = symmetry.action
    kind = {"PointReflection": "even", "EllipticalRotation": "elliptical", "AxisFlips": "flips"}.get(
        type(action).__name__
    )
    if kind is None:
        return "regression" if isinstance(action, ConditionalReflection) else type(action).__name__
    return f"{kind} in {len(action.resolve_coordinates(dim))}"  # type: ignore[attr-defined]


def examples_table() -> str:
    """The built-in posteriors, in Markdown."""
    head = ("posterior", "coordinates", "proved of it", "guide", "divergence", "right at its optimum")
    return "\n".join(_rows((example_row(name) for name in EXAMPLES), head))
