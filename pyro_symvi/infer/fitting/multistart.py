"""Several starts of one fit, and what their ends say of each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...density._laplace import Laplace, laplace_approximation
from ...families import LocationScale, Parameters
from .chart import Chart, Outcome
from .result import FitStatus, Optima
from .symmetry_maps import SymmetryMap, holds

Solve = Callable[[Chart], Outcome]
Compare = Callable[[list[Parameters]], list[float]]
_SPREAD = (2.0, 6.0, 20.0)
"""Random starts lie so many scales out, in turn: modes further away than that need a location given."""


_FAILED = (FitStatus.NOT_FINITE, FitStatus.UNBOUNDED)


@dataclass(frozen=True)
class Resolution:
    """What differences mean: below them two ends are one optimum, or two objectives the same.

    Attributes:
        apart: Of parameters, in scales of the guide.
        slack: Of the objective, relative to one plus its size.
    """

    apart: float
    slack: float


EXACT = Resolution(apart=1e-2, slack=1e-7)
"""For one fixed objective, closed under the symmetry."""
SAMPLED = Resolution(apart=0.3, slack=1e-2)
"""Where each run draws its own samples, and the objective is estimated afterwards."""


@dataclass(frozen=True)
class Start:
    """Where one run begins, and why there."""

    kind: str
    chart: Chart


def starting_points(
    main: Chart, laplace: Laplace, starts: int | Tensor | None, generator: torch.Generator
) -> list[Start]:
    """The charts of all runs.

    None: the mode that the Laplace search found. A tensor ``[n, d]``: these locations, nothing else. A number n: the
    mode; then, up to n, further modes to which the search climbs from points drawn 2, 6 and 20 scales out; one wide
    start about all modes; and those points themselves.
    """
    if starts is None:
        return [Start("mode", main)]
    if isinstance(starts, Tensor):
        return [Start("given", replace(main, point=row)) for row in starts.detach().double()]
    dim = main.family.dim
    found, drawn = [Start("mode", main)], list[Tensor]()
    modes = [laplace]
    for k in range(starts - 1):
        x = torch.randn(dim, dtype=torch.float64, generator=generator)
        x = x * (_SPREAD[k % len(_SPREAD)] * dim**0.5 / x.norm())
        point = laplace.point + _times(laplace.root, x)
        drawn.append(point)
        if not bool(torch.isfinite(main.density(point))):
            continue
        climbed = laplace_approximation(main.density, point, large=True)
        if climbed.is_mode and all(_distance(m, climbed.point) > 0.1 for m in modes):
            modes.append(climbed)
    found += [Start("mode", replace(main, point=m.point, root=m.root)) for m in modes[1:]]
    if len(modes) > 1:
        found.append(Start("wide", _wide(main, modes)))
    found += [Start("random", replace(main, point=point)) for point in drawn]
    return found[: max(starts, 1)]


def _times(root: Tensor, x: Tensor) -> Tensor:
    return root * x if root.ndim == 1 else root @ x


def _distance(mode: Laplace, point: Tensor) -> float:
    moved = point - mode.point
    if mode.root.ndim == 1:
        return float((moved / mode.root).norm())
    return float(torch.linalg.solve_triangular(mode.root, moved[:, None], upper=False).norm())


def _wide(main: Chart, modes: Sequence[Laplace]) -> Chart:
    """A chart about the average of the modes, as wide as their spread."""
    points = torch.stack([mode.point for mode in modes])
    center = points.mean(0)
    if modes[0].root.ndim == 1:
        inner = torch.stack([mode.root.square() for mode in modes]).mean(0)
        return replace(main, point=center, root=(inner + (points - center).square().mean(0)).sqrt())
    within = torch.stack([mode.root @ mode.root.mT for mode in modes]).mean(0)
    between = (points - center).mT @ (points - center) / len(points)
    return replace(main, point=center, root=torch.linalg.cholesky(within + between))


def best_of(
    starts: list[Start], solve: Solve, maps: Sequence[SymmetryMap], compare: Compare, resolution: Resolution
) -> tuple[Outcome, Optima]:
    """Run all starts, and from the images of the best end under a symmetry; the best outcome and the record.

    From one start alone the images are not run from, only looked at.

    Args:
        starts: Where to begin.
        solve: One run.
        maps: Maps of the symmetry, if there is one.
        compare: The objective of several parameters, on one footing.
        resolution: What counts as a difference.
    """
    family, density = starts[0].chart.family, starts[0].chart.density
    apart, slack = resolution.apart, resolution.slack
    kinds, outcomes = [s.kind for s in starts], [solve(s.chart) for s in starts]
    alone = len(starts) == 1
    values = [*outcomes[0].history[-1:], float("inf")][:1] if alone else _judged(outcomes, compare)
    chosen = min(range(len(values)), key=values.__getitem__)
    best = outcomes[chosen]
    sound = maps if best.status not in _FAILED else ()
    moved = [(g, image) for g in sound if (image := g.image(family, best.parameters)) is not None]
    far = [(g, image) for g, image in moved if _apart(family, best.parameters, image, apart)]
    if alone:
        status, details = best.status, ""
        if far and status is FitStatus.CONVERGED:
            here, *there = compare([best.parameters, *(image for _, image in far)])
            same = any(holds(density, g, family, best.parameters) for g, _ in far)
            status, details = _against_images(here, there, slack, same)
    else:
        chart = starts[chosen].chart
        outcomes += [solve(replace(chart, point=image["loc"], start=image)) for _, image in far]
        kinds += ["image"] * len(far)
        values, first = _judged(outcomes, compare), chosen
        chosen = min(
            range(len(values)), key=lambda k: values[k] - (slack * (1 + abs(values[k])) if k == first else 0.0)
        )
        chosen = _settled(outcomes, values, chosen, slack)
        best = outcomes[chosen]
        status, details = _verdict(family, outcomes, values, chosen, resolution)
    optima = Optima(
        kinds=tuple(kinds),
        objectives=tuple(values),
        locations=torch.stack([o.parameters["loc"] for o in outcomes]),
        statuses=tuple(o.status for o in outcomes),
        distinct=len(_distinct(family, outcomes, values, apart)),
        chosen=chosen,
    )
    if details:
        best = replace(best, status=status, details=f"{details}; {best.details}")
    return best, optima


def _judged(outcomes: list[Outcome], compare: Compare) -> list[float]:
    """The objective at each end; infinite where the run failed."""
    sound = [k for k, outcome in enumerate(outcomes) if outcome.status not in _FAILED]
    values = [float("inf")] * len(outcomes)
    if sound:
        for k, value in zip(sound, compare([outcomes[k].parameters for k in sound]), strict=True):
            values[k] = value if value == value else float("inf")
    return values


def _settled(outcomes: list[Outcome], values: list[float], chosen: int, slack: float) -> int:
    """The chosen one if it converged; else the best of those that did, where one is as good up to rounding.

    On a flat rim of optima, rounding decides which runs reach the tolerance of the gradient.
    """
    if outcomes[chosen].status is FitStatus.CONVERGED:
        return chosen
    least = values[chosen] + min(slack, EXACT.slack) * (1 + abs(values[chosen]))
    tied = [k for k, value in enumerate(values) if value <= least and outcomes[k].status is FitStatus.CONVERGED]
    return min(tied, key=values.__getitem__, default=chosen)


def _apart(family: LocationScale, a: Parameters, b: Parameters, least: float) -> bool:
    """Whether two laws are different optima."""
    moved = family.pattern.solve(a["scale"], b["loc"] - a["loc"]).abs().max()
    grown = (family.log_det(b["scale"]) - family.log_det(a["scale"])).abs()
    spread = torch.tensor(0.0)
    if family.pattern.mixes and family.dim <= 500:
        here, there = family.matrix(a["scale"]), family.matrix(b["scale"])
        unit = here.square().sum(-1).sqrt()
        spread = ((there @ there.mT - here @ here.mT) / torch.outer(unit, unit)).abs().max()
    return bool(max(float(moved), float(grown), float(spread)) > least)


def _distinct(family: LocationScale, outcomes: list[Outcome], values: list[float], least: float) -> list[int]:
    """Indices of optima that differ from all before them, best first; runs that did not end at one are left out."""
    kept: list[int] = []
    for k in sorted(range(len(values)), key=values.__getitem__):
        sound = outcomes[k].status in (FitStatus.CONVERGED, FitStatus.FLAT) and values[k] < float("inf")
        if sound and all(_apart(family, outcomes[j].parameters, outcomes[k].parameters, least) for j in kept):
            kept.append(k)
    return kept


def _verdict(
    family: LocationScale, outcomes: list[Outcome], values: list[float], chosen: int, resolution: Resolution
) -> tuple[FitStatus, str]:
    """The status of the chosen one in the light of the others."""
    best = outcomes[chosen]
    if best.status is not FitStatus.CONVERGED:
        return best.status, ""
    apart, margin = resolution.apart, resolution.slack * (1 + abs(values[chosen]))
    others = _distinct(family, outcomes, values, apart)
    rivals = [k for k in others if _apart(family, best.parameters, outcomes[k].parameters, apart)]
    ties = [k for k in rivals if values[k] - values[chosen] <= margin]
    if ties:
        return FitStatus.SEVERAL_OPTIMA, f"{1 + len(ties)} optima with the objective {values[chosen]:.6g}"
    if rivals:
        worse = f"the next best is {values[rivals[0]] - values[chosen]:.3g} higher"
        return best.status, f"the lowest of {1 + len(rivals)} optima from {len(outcomes)} starts, {worse}"
    return best.status, f"one optimum from {len(outcomes)} starts"


def _against_images(here: float, there: list[float], slack: float, same: bool) -> tuple[FitStatus, str]:
    """The status of an optimum from the objective at its images under a symmetry, all of them apart from it.

    ``same``: the target was seen to have the symmetry, so that the divergence is the same at the image.
    """
    margin = slack * (1 + abs(here))
    if not same and any(value < here - margin for value in there):
        return FitStatus.BETTER_ELSEWHERE, f"the objective is {here - min(there):.3g} lower at an image"
    if same or any(value <= here + margin for value in there):
        return FitStatus.SEVERAL_OPTIMA, "an image under the symmetry, apart from it, has the same objective"
    return FitStatus.CONVERGED, ""


def residual(family: LocationScale, parameters: Parameters, maps: Sequence[SymmetryMap]) -> float | None:
    """The largest fixed-point residual over the maps; None for none."""
    return max((g.residual(family, parameters) for g in maps), default=None)
