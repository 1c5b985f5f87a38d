r"""Testing a symmetry by its residuals :math:`r_g(z) = \log p(gz) + \log|\det| - \log p(z)`.

One residual beyond its rounding bound refutes the symmetry, rigorously up to that bound. Residuals within it, however
many, verify it on the region visited and nowhere else. Whatever is neither (a residual that noise may explain, a point
where log p is undefined on one side) leaves the symmetry undecided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from scipy.stats import beta

from ...density import LogDensity
from ...density._proposal import Scale, whiten
from ...groups import AffineAction
from ..verdicts import Evidence, Premise
from .adversary import SCREENED, ascend, between, elements, random_points, screening_points, worst_of

RESOLUTION = 2e-6
"""A residual known only to more than this (in nats) says nothing in favour of a symmetry.

Residuals of at most this size move a mean by at most sinh(RESOLUTION / 2) = 10^-6 posterior sd."""
CENTER_RESOLUTION = 1e-9
"""Centres (and shapes) are claimed to this many scales, no finer."""
NEAR = 50.0
"""Within this many scales a support that ends on one side only is a violation, whatever its depth."""
DEEP = 700.0
"""Farther out it counts unless the density is this many nats below the centre's: there, exponentials overflow."""
_LEAST_POINTS = 200
_NOISE_POINTS = 96
_LEAST_DECIDED = 0.9
_EPS = 2.0**-52


@dataclass(frozen=True)
class ResidualTest:
    """Outcome of a residual test.

    Attributes:
        action: The symmetry tested, with its centre.
        evidence: ``VERIFIED``, ``REFUTED`` or ``UNKNOWN``.
        points: Residuals that were known to `RESOLUTION`.
        screened: Weighted draws of the target whose residuals were looked through for the largest.
        largest: The largest residual known to `RESOLUTION`, in nats.
        reach: Distance from the centre, in scales, of the farthest of them.
        doubt: Why nothing was decided; empty unless ``UNKNOWN``.
        witness: The violating point ``[d]`` nearest the centre, if any.
        witness_residual: The residual there.
        distances: Distances of all informative points, in scales (for plots).
        residuals: Their residuals.
        witness_element: The group element of the violation.
        searched: Points that the search for a violation looked at.
        independent: Of the points, how many were independent draws of one law, a Student-t(5) at the scale given,
            after symmetry and centre were fixed.
        missed: At how many of these the residual was not known to be at most `RESOLUTION`.
        bounds: What rounding and noise may make of each residual, ``[n]`` like ``residuals`` (for plots).
    """

    def mass_bound(self, delta: float = 0.05) -> float:
        r"""An upper confidence limit, of level :math:`1-\delta`, on the share of a law where ``|r| > RESOLUTION``.

        The law is the Student-t(5) that the first third of the points came from, with the Haar measure of the group:
        N independent draws, action and law fixed beforehand. No exceedance leaves at most
        :math:`1-\delta^{1/N}\le\log(1/\delta)/N`; k of them the limit of Clopper & Pearson (1934). It says nothing of
        the posterior's mass where that law has next to none.
        """
        if not 0 < delta < 1:
            raise ValueError(f"expected 0 < delta < 1, got {delta}, because it is a probability of error; try 0.05")
        if self.independent == 0 or self.missed >= self.independent:
            return 1.0
        return float(beta.ppf(1 - delta, self.missed + 1, self.independent - self.missed))

    action: AffineAction
    evidence: Evidence
    points: int
    screened: int
    largest: float
    reach: float
    doubt: str
    witness: torch.Tensor | None
    witness_residual: float
    distances: torch.Tensor
    residuals: torch.Tensor
    witness_element: torch.Tensor | None = None
    searched: int = 0
    independent: int = 0
    missed: int = 0
    bounds: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.float64))

    def premise(self, name: str, what: str) -> Premise:
        """The premise "p is invariant", in words."""
        if self.evidence is Evidence.VERIFIED:
            also = f" and, more coarsely, {self.screened} posterior draws" if self.screened else ""
            text = (
                f"{what}: |log p(gz) - log p(z)| <= {self.largest:.1e} at {self.points} points within {self.reach:.0e} "
                f"scales of the centre{also}, a search for violations included, and (95 % confidence) on all but "
                f"{self.mass_bound():.1%} of a Student-t(5) law at the posterior's scale; not seen: mass that none of "
                "them came near, such as a narrow or far mode"
            )
        elif self.evidence is Evidence.REFUTED:
            text = f"{what}: log p(gz) - log p(z) = {self.witness_residual:.3g} at the witness"
        else:
            text = f"{what}: not decided, because {self.doubt}"
        return Premise(name, self.evidence, text)


def rounding_level(
    density: LogDensity, z: torch.Tensor, values: torch.Tensor, gradients: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    r"""Rounding error of log p at ``z[n, d]``, ``[n]``: what its values do when z moves by units in the last place.

    Two random perturbations of relative size 2^-52 to 2^-51 (a difference table of order zero; compare More & Wild,
    2011, "Estimating computational noise") and the first-order effect of such moves,
    :math:`2^{-52}\sum_j |z_j\,\partial_j \log p|`, times 8; plus 64 units in the last place of the value itself.
    """
    signs = torch.randint(-2, 3, (2, *z.shape), generator=generator, dtype=torch.int64).to(z.dtype)
    moved = density(z * (1 + _EPS * signs)).detach()
    spread = (moved - values).abs().amax(0) + _EPS * (z * gradients).abs().sum(-1)
    return 8 * spread + 64 * _EPS * values.abs()


def noise_level(
    density: LogDensity,
    action: AffineAction,
    scale: Scale,
    g: torch.Tensor,
    z: torch.Tensor,
    generator: torch.Generator,
) -> float:
    r"""Noise of the residual that moving z by units in the last place does not show, such as float32 inside.

    Eight times the median over ``z[n, d]`` of the misfit between values and gradients of r along a short segment,

    .. math:: |r(z+v) - r(z-v) - \tfrac13(r'(z-v) + 4r'(z) + r'(z+v))\cdot v|,\qquad |v| = 10^{-3}\ \text{scales},

    by Simpson's rule. Noise of size q shows as about q, even where values stand still; noise that is the same on both
    sides (in a coordinate that does not move) does not count.
    """
    x = torch.randn(z.shape, dtype=torch.float64, generator=generator)
    v = 1e-3 * (x / x.norm(dim=-1, keepdim=True)) @ scale.root.mT
    misfit = _misfit(density, z, v)
    ahead, behind = action.act(g, z + v), action.act(g, z - v)
    misfit = (_misfit(density, action.act(g, z), (ahead - behind) / 2) - misfit).abs()
    misfit = misfit[torch.isfinite(misfit)]
    return 8 * float(misfit.median()) if len(misfit) else math.inf


def _misfit(density: LogDensity, z: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    value, gradient = density.value_and_grad(torch.cat([z - v, z, z + v]))
    (before, _, after), (left, middle, right) = value.chunk(3), gradient.chunk(3)
    return after - before - ((left + 4 * middle + right) * v).sum(-1) / 3


def residual_test(
    density: LogDensity,
    action: AffineAction,
    scale: Scale,
    *,
    num_points: int = 768,
    draws: torch.Tensor | None = None,
    log_p: torch.Tensor | None = None,
    places: Sequence[torch.Tensor] = (),
    steps: int = 20,
    screen: int = SCREENED,
    generator: torch.Generator,
) -> ResidualTest:
    r"""Residuals of a bound action at random, far-out and adversarial points.

    Points: a third from a Student-t(5) with the given scale; a third at log-uniform distances from 10^-3 to 10^3 scales
    in random directions; a third with only the moved coordinates displaced, to 10^12 scales (some to 10^150: beyond a
    far mode it is that mode which decides log p). If none of them violates the symmetry, a search for one that does:
    draws of the target, if given, ``screen`` further points (`adversary.screening_points`), and ``places`` with points
    on the way to them are looked through for the largest residuals; from these and the worst so far, ``steps`` of
    gradient ascent on the residual. Group elements are Haar draws (the non-trivial element for a reflection).

    Args:
        density: The target.
        action: A bound action.
        scale: Where to look.
        num_points: Random points, before the ascent.
        draws: Weighted draws ``[n, d]`` to screen.
        log_p: The log density at them, ``[n]``.
        places: Points ``[d]`` to look at, such as other modes.
        steps: Steps of the ascent; none leaves the search out.
        screen: Number of further points.
        generator: Random state.
    """
    z = random_points(action, scale, num_points, generator)
    bulk = num_points // 3
    g = elements(action, len(z), generator)
    few = min(bulk, _NOISE_POINTS)
    noise = noise_level(density, action, scale, g[:few], z[:few], generator)
    tested = _residuals(density, action, scale, g, z, noise, generator)
    decided = tested.decided[:bulk].double().mean()
    searched = 0
    if steps and not bool(tested.violates.any()):
        tested, searched = _searched(
            density, action, scale, tested, noise, list(places), draws, log_p, steps, screen, generator
        )
    screened = 0 if draws is None or not searched else len(draws)

    informative = tested.known
    count, near = int(informative.sum()), int((informative & (tested.distance < 10)).sum())
    distances, residuals = tested.distance[informative], tested.residual[informative]
    witness, element, value, doubt = None, None, 0.0, ""
    if bool(tested.violates.any()):
        index = int(torch.where(tested.violates, tested.distance, torch.inf).argmin())  # nearest the bulk tells most
        evidence, witness, element = Evidence.REFUTED, tested.z[index], tested.g[index]
        value = residual_at(density, action, element, witness)
    else:
        doubt = _doubt(
            tested, noise, decided=float(decided), enough=count >= _LEAST_POINTS and 2 * near >= _LEAST_POINTS
        )
        evidence = Evidence.UNKNOWN if doubt else Evidence.VERIFIED
    return ResidualTest(
        action=action,
        evidence=evidence,
        points=count,
        screened=screened,
        largest=float(residuals.abs().max()) if count else math.nan,
        reach=float(distances.max()) if count else 0.0,
        doubt=doubt,
        witness=witness,
        witness_residual=value,
        distances=distances,
        residuals=residuals,
        witness_element=element,
        searched=searched,
        independent=bulk,
        missed=bulk - int((tested.known & (tested.residual.abs() <= RESOLUTION))[:bulk].sum()),
        bounds=tested.bound[informative] + noise,
    )


def residual_at(density: LogDensity, action: AffineAction, g: torch.Tensor, z: torch.Tensor) -> float:
    """The residual at one point ``[d]``, evaluated alone; 10^300 in size where log p is minus infinity on one side."""
    there = density(action.act(g[None], z[None])).detach() + action.log_abs_det(g[None], z[None])
    here = density(z[None]).detach()
    return float((there - here).nan_to_num(nan=math.nan, posinf=1e300, neginf=-1e300))


def rechecked(
    test: ResidualTest, density: LogDensity, scale: Scale, points: torch.Tensor, generator: torch.Generator
) -> ResidualTest:
    """The test with residuals at further points ``[n, d]`` looked at: as it was, or refuted by one of them."""
    g = elements(test.action, len(points), generator)
    noise = noise_level(density, test.action, scale, g, points, generator)
    found = _residuals(density, test.action, scale, g, points, noise, generator)
    if not bool(found.violates.any()):
        return test
    index = int(torch.where(found.violates, found.distance, torch.inf).argmin())
    witness, element = found.z[index], found.g[index]
    return replace(
        test,
        evidence=Evidence.REFUTED,
        witness=witness,
        witness_element=element,
        witness_residual=residual_at(density, test.action, element, witness),
    )


def _searched(
    density: LogDensity,
    action: AffineAction,
    scale: Scale,
    tested: _Residuals,
    noise: float,
    places: list[torch.Tensor],
    draws: torch.Tensor | None,
    log_p: torch.Tensor | None,
    steps: int,
    screen: int,
    generator: torch.Generator,
) -> tuple[_Residuals, int]:
    """The residuals with those of an adversarial search added, and how many points it looked at."""
    size = torch.where(tested.finite, tested.residual.abs() / tested.bound, -1.0)
    worst = size.topk(min(12, len(tested.z))).indices
    starts = [(tested.g[worst], tested.z[worst])]
    count = 0
    if draws is not None:
        starts.append(worst_of(density, action, elements(action, len(draws), generator), draws, log_p))
        count += len(draws)
    further = [between(places, scale.center)]
    if screen:
        further.append(screening_points(density, action, scale, screen, generator))
    z = torch.cat(further)
    if len(z):
        starts.append(worst_of(density, action, elements(action, len(z), generator), z))
        count += len(z)
    g, z = torch.cat([s[0] for s in starts]), torch.cat([s[1] for s in starts])
    new = _residuals(density, action, scale, g, z, noise, generator)
    tested = tested.joined(new)
    if not bool(new.violates.any()):
        climbed = ascend(density, action, scale, g, z, steps)
        tested = tested.joined(_residuals(density, action, scale, g, climbed, noise, generator))
    return tested, count + len(g) * (steps + 1)


@dataclass(frozen=True)
class _Residuals:
    g: torch.Tensor
    z: torch.Tensor
    residual: torch.Tensor
    bound: torch.Tensor
    distance: torch.Tensor
    finite: torch.Tensor  # both sides are numbers
    decided: torch.Tensor  # known to RESOLUTION, or zero density on both sides
    known: torch.Tensor  # to RESOLUTION
    violates: torch.Tensor
    unexplained: torch.Tensor  # beyond its rounding bound, within the noise
    lopsided: torch.Tensor  # defined on one side only, where it may matter

    def joined(self, other: _Residuals) -> _Residuals:
        return _Residuals(*(torch.cat([getattr(self, f), getattr(other, f)]) for f in self.__dataclass_fields__))


def _doubt(tested: _Residuals, noise: float, *, decided: float, enough: bool) -> str:
    """Why nothing is decided, or nothing."""
    if noise > RESOLUTION / 2:
        return f"residuals carry noise of {noise:.0e} nats (float32 inside, or a large constant?)"
    if bool(tested.unexplained.any()):
        return "residuals exceed their rounding bound, but not their noise"
    if bool(tested.lopsided.any()):
        return "log p is undefined or minus infinity on one side only at some points"
    if decided < _LEAST_DECIDED or not enough:
        return f"rounding hides residuals, or log p is undefined, at {1 - decided:.0%} of the points in the bulk"
    return ""


def _residuals(
    density: LogDensity,
    action: AffineAction,
    scale: Scale,
    g: torch.Tensor,
    z: torch.Tensor,
    noise: float,
    generator: torch.Generator,
) -> _Residuals:
    image = action.act(g, z)
    value, gradient = density.value_and_grad(z)
    value_image, gradient_image = density.value_and_grad(image)
    residual = value_image + action.log_abs_det(g, z) - value
    distance = whiten(scale, z - scale.center).norm(dim=-1)
    distance_image = whiten(scale, image - scale.center).norm(dim=-1)
    # log p changes by |gradient| x displacement when the centre moves by its resolution (and the shape by its own)
    displaced = 2.0 if action.group.order == 2 else 2 + distance + distance_image
    slope = (gradient @ scale.root).norm(dim=-1) + (gradient_image @ scale.root).norm(dim=-1)
    bound = (
        rounding_level(density, z, value, gradient, generator)
        + rounding_level(density, image, value_image, gradient_image, generator)
        + CENTER_RESOLUTION * slope * displaced
    )
    finite = torch.isfinite(value) & torch.isfinite(value_image) & torch.isfinite(bound)
    outside = (value == -torch.inf) & (value_image == -torch.inf)

    # a number on one side only: the support is not symmetric, unless an exponential overflowed far out
    one_sided = torch.isfinite(value) ^ torch.isfinite(value_image)
    there = torch.where(torch.isfinite(value), value, value_image)
    close = torch.maximum(distance, distance_image) < NEAR
    matters = one_sided & (close | (there > density(scale.center).detach() - DEEP))
    hole = matters & close & ((value == -torch.inf) | (value_image == -torch.inf))
    residual = torch.where(hole, residual.nan_to_num(posinf=1e300, neginf=-1e300), residual)

    beyond = finite & (residual.abs() > bound)
    violates = hole | (beyond & (residual.abs() > bound + noise))
    bound = torch.where(finite, bound, torch.inf).clamp_min(1e-300)
    known = finite & (bound + noise <= RESOLUTION)
    decided = known | outside
    return _Residuals(
        g, z, residual, bound, distance, finite, decided, known, violates, beyond & ~violates, matters & ~hole
    )
