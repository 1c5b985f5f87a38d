"""Does the divergence that was minimised hold the fitted value where it is? A veto, not a premise.

A reflection says where the target's mean lies, whatever was fitted. A fit may sit on that value by accident: on a
saddle, where it began; on a plateau, where nothing moves it; in a local optimum while a better one lies off centre. Its
next run would end elsewhere, so it did not *recover* the value, and nothing exact is said of it. Where the divergence
is not known the question has no answer and is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from ...density import LogDensity
from ...density._proposal import Scale
from ...divergences import Divergence
from ...families import LocationScale, Parameters
from ...infer import FitStatus, Optima, fit
from ...infer.fitting._common_value import common_values
from ..analysis import Analysis
from ..subject import Subject
from .coupling import coupled_with
from .location_curvature import base_draws, location_curvature
from .surroundings import Surroundings

_RIVALS = 3
_OPTIMISED = 3
_APART, _FAR = 0.1, 1.0
_MARGIN = 1e-3
_DRAWS, _FEW = 4096, 256
_OUTSIDE = 0.01
"""Less may be a function of the exponential that overflows far out."""
_WIDTHS = (1.0, 3.0)
_LARGE = 50
"""Beyond this dimension fits start from other modes only, not from the one that the fitted location climbs to."""
_FAULTS = (FitStatus.SADDLE, FitStatus.FLAT, FitStatus.SEVERAL_OPTIMA, FitStatus.BETTER_ELSEWHERE)


@dataclass(frozen=True)
class Optimum:
    """What is known of the fitted location as an optimum of its divergence.

    Attributes:
        doubts: By coordinate, why the divergence does not hold the location there.
        held: Coordinates held by the structure of target, family and divergence: no numerics were needed.
        note: One line for the report; empty if the divergence is not known.
    """

    doubts: dict[int, str] = field(default_factory=dict)
    held: tuple[int, ...] = ()
    note: str = ""

    def doubt(self, *coordinates: int) -> str:
        """Why one of these coordinates is not held; empty if nothing speaks against them."""
        return next((self.doubts[j] for j in coordinates if j in self.doubts), "")


def check_optimum(around: Surroundings, generator: torch.Generator) -> Optimum:
    r"""Look for what would move the fitted location: a direction of fall, a flat one, a better optimum.

    1. Structure. alpha <= 0 (reverse KL) and a log p proved concave, p > 0 and q > 0 everywhere: the location is the
       only optimum. alpha <= 0 and a block proved Gaussian given the rest, about a centre that does not depend on it:
       the objective is strictly convex in its location, and every mode has it there. alpha >= 1 and a strictly
       log-concave base (forward KL with a normal one: the mean itself): strictly convex.
    2. Draws of the guide at which p = 0 (alpha <= 0): the divergence is infinite.
    3. What the fit found (`FitStatus`): a saddle, a flat stretch, several optima, a better one at an image.
    4. `location_curvature`.
    5. The objective at other modes of the target, and at the ends of short fits from them; in more than 50 dimensions,
       where the curvature of 4. is positive and no other mode was found, without the fits.

    Args:
        around: The target about the fitted law; its modes and draws are made where they are needed.
        generator: Random state.
    """
    subject, analysis = around.subject, around.analysis
    family, parameters = subject.family, subject.parameters
    if subject.divergence is None or not subject.divergence.in_alpha_family or family is None or parameters is None:
        return Optimum()
    alpha, density, every = float(subject.divergence.alpha), subject.density, range(subject.density.dim)
    held, why = held_by_structure(family, analysis, alpha)
    words = f"{subject.divergence!r}"
    if len(held) == density.dim:
        return Optimum({}, held, f"{words} holds the fitted location: {why}")
    doubts: dict[int, str] = {}

    def doubt(coordinates: tuple[int, ...], text: str) -> None:
        for j in coordinates:
            if j not in held:
                doubts.setdefault(j, text)

    if alpha <= 0 and (outside := _mass_outside(density, family, dict(parameters), generator)) > _OUTSIDE:
        doubt(tuple(every), f"it is infinite: p = 0 on a share of {outside:.2g} of the guide's draws")
    draws = around.draws if alpha > 0 else None
    curvature = location_curvature(density, family, dict(parameters), alpha, draws, generator)
    definite = curvature is not None and curvature.least - 4 * curvature.error > 1e-6
    for weak in () if curvature is None else curvature.weak:
        if weak.falls:
            doubt(weak.moved(), f"it falls to both sides (curvature {weak.least:.2g} along one direction)")
        else:
            doubt(weak.moved(), "it does not change when the location is moved (no curvature along one direction)")
    if subject.status in _FAULTS and not (subject.status is FitStatus.FLAT and definite):
        text = f"the fit ended {subject.status.name}: {_SAID[subject.status]}"
        doubt(_rivals_apart(subject, subject.optima) or tuple(every), text)
    if not doubts:
        modes = [around.main, *around.modes]
        curved = curvature is not None and curvature.least > 3 * curvature.error
        fits = not (curved and density.dim > _LARGE and not around.modes)
        found = better_elsewhere(subject, subject.divergence, modes, generator, fits=fits)
        if found is not None:
            coordinates, gain = found
            doubt(coordinates, f"it is {gain:.2g} lower at an optimum elsewhere")
    if doubts:
        for text in dict.fromkeys(doubts.values()):
            about = tuple(j for j, why in doubts.items() if why == text)
            doubt(_with_coupled(subject, about, parameters, generator), text)
        return Optimum(doubts, held, "")
    if curvature is None:
        return Optimum({}, held, f"whether {words} holds the fitted location was not decided")
    seen = f"least curvature {curvature.least:.2g} +- {curvature.error:.1g}, "
    seen += f"no better optimum from {1 + len(around.modes)} modes"
    return Optimum({}, held, f"nothing was found that would move the fitted location off under {words}: {seen}")


_SAID = {
    FitStatus.SADDLE: "the objective falls to both sides",
    FitStatus.FLAT: "the location can be moved without change of the objective",
    FitStatus.SEVERAL_OPTIMA: "other locations do as well",
    FitStatus.BETTER_ELSEWHERE: "the objective is lower at an image of this law",
}


def held_by_structure(family: LocationScale, analysis: Analysis, alpha: float) -> tuple[tuple[int, ...], str]:
    """Coordinates whose fitted location is the only optimum by what target, family and divergence are, and why."""
    every = tuple(range(family.dim))
    law = family.law
    if alpha >= 1 and law.strictly_log_concave and law.full_support:
        return every, f"the objective is strictly convex in it, for a {law.name} base and any target"
    concave = analysis.concavity
    usable = not analysis.refusal and analysis.gradient_agrees
    if alpha <= 0 and usable and concave is not None and concave.joint and concave.full_support and law.full_support:
        return every, "the objective is strictly convex in it, for log p is concave on all of space"
    if alpha > 0 or not usable:
        return (), ""
    blocks = [b for b in analysis.blocks if b.is_gaussian and b.is_symmetric]
    held = {j for block in blocks for j in block.coordinates}
    return tuple(sorted(held)), "log p is a concave quadratic in it, about one centre, for every value of the rest"


def _mass_outside(
    density: LogDensity, family: LocationScale, parameters: Parameters, generator: torch.Generator
) -> float:
    """The share of draws of the fitted law at which p = 0: D_alpha(P || Q) is infinite there for alpha <= 0."""
    noise = base_draws(family, _FEW, generator).flatten(0, 1)
    values = density(parameters["loc"] + family.apply(parameters["scale"], noise)).detach()
    return float((values == -torch.inf).double().mean())


def _rivals_apart(subject: Subject, optima: Optima | None) -> tuple[int, ...]:
    """Coordinates in which an optimum as good as the chosen one differs from it; none if no such end is known."""
    if optima is None or len(optima.objectives) < 2:
        return ()
    best = optima.objectives[optima.chosen]
    unit = subject.root.square().sum(-1).sqrt()
    gaps = ((optima.locations - subject.loc).abs() / unit) > _APART
    close = torch.tensor([value <= best + _MARGIN * (1 + abs(best)) for value in optima.objectives])
    return tuple(torch.nonzero((gaps & close[:, None]).any(0)).flatten().tolist())


def better_elsewhere(
    subject: Subject,
    divergence: Divergence,
    modes: list[Scale],
    generator: torch.Generator,
    *,
    fits: bool = True,
) -> tuple[tuple[int, ...], float] | None:
    """Coordinates and gain of a law of the family with a lower divergence and another location; None if none is found.

    The coordinates are those in which it differs and all that depend on them: the rival of a ring lies on one of its
    axes by chance, and any other point of the ring does as well.

    Tried: laws at the modes, with their curvature; for alpha <= 0 also the ends of fits that start there, unless
    ``fits`` is false.
    """
    family, parameters, density = subject.family, subject.parameters, subject.density
    if family is None or parameters is None or not modes:
        return None
    unit = subject.root.square().sum(-1).sqrt()
    far = [m for m in modes if _distance(m, subject.loc, unit) > _FAR]
    laws: list[Parameters] = []
    for mode in far[:_RIVALS]:
        for width in _WIDTHS:
            try:
                scale = family.pattern.from_root(width * mode.root)
            except (ValueError, RuntimeError):
                scale = parameters["scale"]
            laws.append({**parameters, "loc": mode.center, "scale": scale})
        laws.append({**parameters, "loc": mode.center})
    if divergence.alpha <= 0 and far and fits:
        starts = torch.stack([m.center for m in far[:_OPTIMISED]])
        laws += _fitted(density, family, divergence, starts)
    if not laws:
        return None
    try:
        gain, error = _gains(density, family, divergence, dict(parameters), laws, generator)
    except RuntimeError:  # a scatter without a Cholesky factor
        return None
    sure = gain - 4 * error - _MARGIN
    best = int(sure.argmax())
    apart = (laws[best]["loc"] - subject.loc).abs() / unit > _APART
    if not bool(sure[best] > 0) or not bool(apart.any()):
        return None
    moved = tuple(torch.nonzero(apart).flatten().tolist())
    return _with_coupled(subject, moved, laws[best], generator), float(gain[best])


def _with_coupled(
    subject: Subject, coordinates: tuple[int, ...], rival: Mapping[str, torch.Tensor], generator: torch.Generator
) -> tuple[int, ...]:
    """These coordinates and all whose optimum depends on theirs: through the target, and for alpha > 0 the base law."""
    family, divergence = subject.family, subject.divergence
    mine = subject.parameters
    if family is None or mine is None or divergence is None:
        return coordinates
    if divergence.alpha > 0 and family.law.spherical and family.law.name != "normal":
        return tuple(range(family.dim))
    noise = base_draws(family, _FEW, generator).flatten(0, 1)
    here = mine["loc"] + family.apply(mine["scale"], noise)
    there = rival["loc"] + 3 * family.apply(rival["scale"], noise.roll(7, 0))
    return coupled_with(subject.density, coordinates, here, there)


def _distance(mode: Scale, point: torch.Tensor, unit: torch.Tensor) -> float:
    """In units of the smaller of two scales, the largest over the coordinates."""
    return float(((mode.center - point).abs() / torch.minimum(unit, mode.root.square().sum(-1).sqrt())).max())


def _fitted(
    density: LogDensity, family: LocationScale, divergence: Divergence, starts: torch.Tensor
) -> list[Parameters]:
    found = []
    for start in starts:
        try:
            ended = fit(density, family, divergence=divergence, starts=start[None], max_steps=100)
        except (ValueError, RuntimeError):  # no fit from there: not a rival
            continue
        if ended.status not in (FitStatus.NOT_FINITE, FitStatus.UNBOUNDED):
            found.append(ended.parameters)
    return found


def _gains(
    density: LogDensity,
    family: LocationScale,
    divergence: Divergence,
    here: Parameters,
    laws: list[Parameters],
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """How much lower the objective is at each law, and standard errors, ``[n]`` each."""
    if divergence.alpha > 0:
        values = torch.tensor(common_values(density, family, divergence, [here, *laws]), dtype=torch.float64)
        gain = (values[0] - values[1:]).nan_to_num(nan=-torch.inf)
        return gain, 0.01 * (1 + values[1:].abs().nan_to_num(posinf=0.0))
    noise = base_draws(family, _DRAWS if density.vectorized else _FEW, generator)
    values = torch.stack([_objectives(density, family, divergence, law, noise) for law in [here, *laws]])
    each = values[0] - values[1:]
    gain = each.mean(-1).nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    return gain, (each.std(-1) / each.shape[-1] ** 0.5).nan_to_num(nan=torch.inf)


def _objectives(
    density: LogDensity, family: LocationScale, divergence: Divergence, law: Parameters, noise: torch.Tensor
) -> torch.Tensor:
    """The objective at a law on each set of base draws ``[sets, n, d]``, ``[sets]``."""
    z = law["loc"] + family.apply(law["scale"], noise)
    log_w = density(z).detach() - family.log_base(noise, law) + family.log_det(law["scale"])
    return torch.stack([divergence.objective(row) for row in log_w])


def with_divergence(subject: Subject, divergence: Divergence | None) -> Subject:
    """The subject, the divergence that the user named recorded where none was known."""
    return subject if divergence is None or subject.divergence is not None else replace(subject, divergence=divergence)
