"""Which guide and which divergence would give the strongest certificate for a target, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from ...density import LogDensity
from ...density._laplace import laplace_approximation
from ...divergences import Alpha, ChiSquare, Divergence, ForwardKL, ReverseKL
from ...families import LocationScale, Parameters
from ...groups import LinearAction
from ...infer.fitting.tails import require_finite_divergence
from ..analysis import Analysis, analyze
from ..verdicts import Evidence, Verdict
from .advice import Advice, AdviceRow
from .facts import Fact, assumed, proved, refuted
from .facts_from_analysis import target_of
from .finiteness import finite
from .guarantees import Guarantee
from .guide import Guide
from .pins import standard
from .setting import Objective, Setting
from .table import guarantees
from .target import Symmetry, Target

_GUIDES: tuple[dict[str, Any], ...] = (
    {"base": "normal", "scale": "full"},
    {"base": "student_t", "scale": "full", "df": 5.0},
    {"base": "normal", "scale": "diagonal"},
    {"base": "laplace", "scale": "diagonal"},
    {"base": "logistic", "scale": "diagonal"},
    {"base": "student_t", "scale": "diagonal", "df": 5.0},
)
_DIVERGENCES: tuple[Divergence, ...] = (ReverseKL(), ForwardKL(), Alpha(0.5), ChiSquare())
_LARGEST_FULL = 200
"""Beyond this many coordinates a full scale is not proposed: it has too many numbers."""
_POINTS = 16
_TELLING = 1e-7
"""Log densities at a point and its image that differ by more, relatively, refute a symmetry."""
_WIDER = 1.5
"""Scale of the guide at which tails are compared, in units of a Laplace approximation."""


def advise(target: Any, *args: Any, symmetry: LinearAction | None = None, **kwargs: Any) -> Advice:
    r"""Rank guides and divergences by what theory proves of their optimum on this target, before any fit.

    The model is read by `analyze`; what it proves (log-concavity, symmetries with exact centres, moments, growth) are
    the facts on which the theorems of `recovery.theorems` are tried, for each of six guides and four divergences.
    Ranked by how many means are proved; then by how near a fit comes to the optimum (a symmetry under which the noise
    is closed leaves no sampling error in the location; importance weights do); then by correlations, and by cost.

    An infinite divergence is never proposed: it is left out where tails prove it infinite, or where the integrand grows
    along a ray.

    Args:
        target: A `LogDensity`; or a Pyro model, followed by its arguments.
        *args: Arguments of the model.
        symmetry: A symmetry you know of. It is proved by substitution if that is possible, else granted:
            conclusions from it are then ``CONDITIONAL``.
        **kwargs: Keyword arguments of the model.

    Returns:
        An `Advice`; ``advice.best.options`` go to `AutoLocationScale`, ``advice.best.divergence`` to `fit`.

    Raises:
        TypeError: A target that `analyze` refuses; a symmetry that is no linear action.
        ValueError: The model is no flat density; a symmetry of another dimension.

    Example:
        >>> density = LogDensity.from_callable(lambda z: -((z[0] - z[1]).abs()) - z.square().sum(), dim=2)
        >>> best = advise(density).best
        >>> best.guide, best.divergence, best.exact("mean")
        ('normal, full', ReverseKL(), 2)
    """
    if symmetry is not None and not isinstance(symmetry, LinearAction):
        raise TypeError(
            f"expected symmetry as a linear action, got {symmetry!r}, because families move with affine maps; try "
            "PointReflection() from pyro_symvi.groups, or none"
        )
    density = target if isinstance(target, LogDensity) or not callable(target) else None
    if density is None:
        density, args, kwargs = LogDensity.from_model(target, *args, **kwargs), (), {}
    analysis = analyze(density, *args, **kwargs)
    known = target_of(analysis)
    if symmetry is not None:
        known = replace(known, symmetries=(*known.symmetries, given_symmetry(symmetry, analysis, density)))
    start = laplace_approximation(density)

    def finite_here(family: LocationScale, divergence: Divergence) -> Fact:
        return _finite(density, family, _parameters(family, start.point, start.root), divergence, known)

    ranked, excluded = rank(known, finite_here)
    notes = list(analysis.conditions)
    if not analysis.refusal and not analysis.gradient_agrees:
        notes.append("the gradient that an optimiser sees is not that of log p, so a fit need not reach the minimiser")
    return Advice(analysis.coordinates, ranked, excluded, tuple(_help(analysis, known, ranked)), tuple(notes))


def rank(
    known: Target, finite_for: Callable[[LocationScale, Divergence], Fact] | None = None
) -> tuple[tuple[AdviceRow, ...], tuple[str, ...]]:
    """The guides and divergences that `advise` weighs, ranked on facts alone, and those left out, with the reason.

    Args:
        known: What is known of the target.
        finite_for: Whether a divergence is finite for a family; by default what tails say.
    """
    rows, excluded = [], []
    for options in _GUIDES:
        if options["scale"] == "full" and (known.dim > _LARGEST_FULL or known.dim == 1):
            continue
        family = LocationScale(known.dim, **options)
        guide = Guide.of(family)
        for divergence in _DIVERGENCES:
            found = finite(Setting(known, family, divergence)) if finite_for is None else finite_for(family, divergence)
            if found.is_refuted:
                excluded.append(f"{divergence!r} with {options['base']}, {options['scale']}: {found.words}")
                continue
            told = guarantees(Setting(known, guide, Objective(divergence, finite=found)))
            rows.append(AdviceRow(family, dict(options), divergence, told, _how(told, divergence)))
    return tuple(sorted(rows, key=_rank)), tuple(excluded)


def given_symmetry(symmetry: LinearAction, analysis: Analysis, density: LogDensity | None = None) -> Symmetry:
    """A symmetry the user named: proved by substitution, refuted at a point, else granted.

    Raises:
        ValueError: It acts on another number of coordinates; a regression of unknown slope.
    """
    dim = len(analysis.coordinates)
    if symmetry.dim is not None and symmetry.dim != dim:
        raise ValueError(
            f"expected a symmetry on {dim} coordinates, got one on {symmetry.dim}, because it moves the flat vector; "
            f"try "
            "an unbound action, or one with that dimension"
        )
    granted = assumed(f"assumed: the target is unchanged by {symmetry!r}")
    if getattr(symmetry, "center", 0) is None or getattr(symmetry, "shape", 0) is None:
        return Symmetry(symmetry, granted)
    action = standard(symmetry, dim)
    witness = _difference(action, density) if density is not None else 0.0
    if witness:
        words = f"log p is not unchanged by {action!r}: it differs by {witness:.2g} at a point and its image"
        return Symmetry(action, refuted(words))
    if not action.group.is_finite or analysis.refusal:
        return Symmetry(action, granted)
    origin = torch.zeros(dim, dtype=torch.float64)
    for g in action.group.generators(dtype=torch.float64):
        shown = analysis.prove_invariance(action.matrix(g), action.act(g, origin))
        if not shown.proved or shown.idealisations:
            return Symmetry(action, granted)
    return Symmetry(action, proved(f"the target is unchanged by {action!r} (by substitution)"))


def _difference(action: LinearAction, density: LogDensity) -> float:
    """The largest difference of log p between points and their images, if it is beyond rounding; else 0."""
    generator = torch.Generator().manual_seed(6)
    z = torch.randn(_POINTS, density.dim, dtype=torch.float64, generator=generator)
    before = density(z).detach()
    largest = 0.0
    for g in action.group.generators(dtype=torch.float64):
        after = density(action.act(g, z)).detach()
        finite = torch.isfinite(before) & torch.isfinite(after)
        size = 1 + before.abs() + after.abs()
        gap = torch.where(finite, (after - before).abs(), 0.0)
        largest = max(largest, float(torch.where(gap > _TELLING * size, gap, 0.0).max()))
    return largest


def _parameters(family: LocationScale, point: torch.Tensor, root: torch.Tensor) -> Parameters:
    matrix = _WIDER * (torch.diag(root) if root.ndim == 1 else root)
    return {**family.initial(1.0, point), "loc": point, "scale": family.pattern.from_root(matrix)}


def _finite(
    density: LogDensity, family: LocationScale, parameters: Parameters, divergence: Divergence, known: Target
) -> Fact:
    """Worked out from tails where that is possible; else no growth along rays, which is verified at most."""
    found = finite(Setting(known, family, divergence))
    if found.evidence not in (Evidence.UNKNOWN, Evidence.VERIFIED):
        return found
    try:
        require_finite_divergence(density, family, parameters, divergence)
    except ValueError as error:
        return refuted(str(error).split(", because ")[-1].split("; try")[0])
    return Fact(Evidence.VERIFIED, f"no growth of the integrand was seen along rays ({found.words})")


_ROUNDING = "symmetric locations to rounding (closed noise)"
_WEIGHTED = "symmetric locations without sampling error, given good weights"
_SAMPLED = "up to sampling error"
_WEIGHTS = "up to importance weights, worse in high dimensions"
_NEARNESS = {_ROUNDING: 0.0, _WEIGHTED: 1.0, _SAMPLED: 2.0, _WEIGHTS: 3.0}


def _how(told: tuple[Guarantee, ...], divergence: Divergence) -> str:
    by_symmetry = any(
        g.verdict is Verdict.PROVED and g.statistic in ("mean", "centre") and getattr(g.theorem, "symmetric", False)
        for g in told
    )
    if divergence.alpha <= 0:
        return _ROUNDING if by_symmetry else _SAMPLED
    return _WEIGHTED if by_symmetry else _WEIGHTS


def _rank(row: AdviceRow) -> tuple[float, ...]:
    """Smaller is better: proved means, granted means, nearness of a fit, proved correlations, order of preference."""
    granted = row.count("mean", Verdict.VERIFIED) + 0.5 * row.count("mean", Verdict.CONDITIONAL)
    others = sum(min(row.exact(s), 1) for s in ("contrasts", "slope", "covariance"))
    preference = [type(d) for d in _DIVERGENCES].index(type(row.divergence))
    return (
        -row.exact("mean"),
        -granted,
        _NEARNESS[row.how],
        -row.exact("correlation"),
        -others,
        float(preference),
        float(_GUIDES.index(row.options)),
    )


def _help(analysis: Analysis, known: Target, rows: tuple[AdviceRow, ...]) -> Iterator[str]:
    """What stands in the way."""
    whole = bool(rows) and max(row.exact("mean") for row in rows) == len(analysis.coordinates)
    if whole:
        return
    if analysis.refusal:
        yield f"nothing could be proved of this model: {analysis.refusal}"
        return
    if not known.symmetries:
        yield "no symmetry was proved: name one you know of (symmetry=...), or recode data so that there is one"
    filled = known.with_implications()
    if not filled.log_concave.is_proved:
        yield f"{filled.log_concave.words}: with a log-concave target reverse KL would do"
    if not filled.second_moment.is_proved:
        yield f"moments: {filled.second_moment.words}: with second moments forward KL and a normal guide would do"


__all__ = ["advise", "given_symmetry", "rank"]
