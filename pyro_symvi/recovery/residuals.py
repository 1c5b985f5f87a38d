r"""Testing a symmetry by its residuals :math:`r_g(z) = \log p(gz) + \log|\det| - \log p(z)`.

One residual beyond its rounding bound refutes the symmetry, rigorously up to that bound. Residuals within it, however
many, verify it on the region visited and nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ..density import LogDensity
from ..groups import AffineAction
from .verdicts import Evidence, Premise

RESOLUTION = 1e-6
"""A residual known only to more than this (in nats) says nothing in favour of a symmetry."""
CENTER_RESOLUTION = 1e-9
"""Centres (and shapes) are claimed to this many scales, no finer."""
_LEAST_POINTS = 200
_EPS = 2.0**-52


@dataclass(frozen=True)
class Scale:
    """Where to look: ``center + root x``, ``[d]`` and ``[d, d]`` (a rough mean and square root of the covariance)."""

    center: torch.Tensor
    root: torch.Tensor


@dataclass(frozen=True)
class ResidualTest:
    """Outcome of a residual test.

    Attributes:
        action: The symmetry tested, with its centre.
        evidence: ``VERIFIED``, ``REFUTED`` or ``UNKNOWN``.
        points: Residuals that were known to `RESOLUTION`.
        largest: The largest of them, in nats.
        reach: Distance from the centre, in scales, of the farthest of them.
        witness: The violating point ``[d]`` nearest the centre, if any.
        witness_residual: The residual there.
        distances: Distances of all informative points, in scales (for plots).
        residuals: Their residuals.
    """

    action: AffineAction
    evidence: Evidence
    points: int
    largest: float
    reach: float
    witness: torch.Tensor | None
    witness_residual: float
    distances: torch.Tensor
    residuals: torch.Tensor

    def premise(self, name: str, what: str) -> Premise:
        """The premise "p is invariant", in words."""
        if self.evidence is Evidence.VERIFIED:
            bulk = 3 / self.points
            text = (
                f"{what}: |log p(gz) - log p(z)| <= {self.largest:.1e} at {self.points} points within {self.reach:.0e} "
                f"scales of the centre, an adversarial search included; violations fill less than {bulk:.1e} of the "
                "region sampled (95 %); mass that no point came near, such as a narrow or far mode, is not seen"
            )
        elif self.evidence is Evidence.REFUTED:
            text = f"{what}: log p(gz) - log p(z) = {self.witness_residual:.3g} at the witness"
        else:
            text = f"{what}: rounding hides residuals ({self.points} of them are known to {RESOLUTION:g} nats)"
        return Premise(name, self.evidence, text)


def rounding_level(density: LogDensity, z: torch.Tensor, values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Rounding error of log p at ``z[n, d]``, ``[n]``: what its values do when z moves by units in the last place.

    Eight random perturbations of relative size 2^-52 to 2^-51 (a difference table of order zero; compare More & Wild,
    2011, "Estimating computational noise"), times 16, plus 64 units in the last place of the value itself.
    """
    signs = torch.randint(-2, 3, (8, *z.shape), generator=generator, dtype=torch.int64).to(z.dtype)
    moved = density(z * (1 + _EPS * signs)).detach()
    spread = (moved - values).abs().amax(0)
    return 16 * spread + 64 * _EPS * values.abs()


def residual_test(
    density: LogDensity,
    action: AffineAction,
    scale: Scale,
    *,
    num_points: int = 768,
    generator: torch.Generator,
) -> ResidualTest:
    r"""Residuals of a bound action at random, far-out and adversarial points.

    Points: a third from a Student-t(5) with the given scale; a third at log-uniform distances from 10^-3 to 10^3 scales
    in random directions; a third with only the moved coordinates displaced, to 10^12 scales. Then 30 steps of ascent on
    the residual from the worst dozen. Group elements are Haar draws (the non-trivial element for a reflection).

    Args:
        density: The target.
        action: A bound action.
        scale: Where to look.
        num_points: Random points, before the ascent.
        generator: Random state.
    """
    z = _points(action, scale, num_points, generator)
    g = _elements(action, len(z), generator)
    tested = _residuals(density, action, scale, g, z, generator)
    worst = torch.where(tested.informative, tested.residual.abs() / tested.bound, -1.0).topk(min(12, len(z))).indices
    climbed = _ascend(density, action, scale, g[worst], z[worst])
    tested = tested.joined(_residuals(density, action, scale, g[worst], climbed, generator))

    violated = tested.violates
    informative = tested.informative & (tested.bound <= RESOLUTION)
    count = int(informative.sum())
    distances = tested.distance[informative]
    residuals = tested.residual[informative]
    if bool(violated.any()):
        index = int(torch.where(violated, tested.distance, torch.inf).argmin())  # the one nearest the bulk tells most
        evidence, witness, value = Evidence.REFUTED, tested.z[index], float(tested.residual[index])
    else:
        near = int((distances < 10).sum())
        evidence = Evidence.VERIFIED if count >= _LEAST_POINTS and near >= _LEAST_POINTS // 2 else Evidence.UNKNOWN
        witness, value = None, 0.0
    return ResidualTest(
        action=action,
        evidence=evidence,
        points=count,
        largest=float(residuals.abs().max()) if count else math.nan,
        reach=float(distances.max()) if count else 0.0,
        witness=witness,
        witness_residual=value,
        distances=distances,
        residuals=residuals,
    )


@dataclass(frozen=True)
class _Residuals:
    z: torch.Tensor
    residual: torch.Tensor
    bound: torch.Tensor
    informative: torch.Tensor
    violates: torch.Tensor
    distance: torch.Tensor

    def joined(self, other: _Residuals) -> _Residuals:
        return _Residuals(*(torch.cat([getattr(self, f), getattr(other, f)]) for f in self.__dataclass_fields__))


def _residuals(
    density: LogDensity,
    action: AffineAction,
    scale: Scale,
    g: torch.Tensor,
    z: torch.Tensor,
    generator: torch.Generator,
) -> _Residuals:
    image = action.act(g, z)
    value, gradient = density.value_and_grad(z)
    value_image, gradient_image = density.value_and_grad(image)
    residual = value_image + action.log_abs_det(g, z) - value
    distance = _whiten(scale, z - scale.center).norm(dim=-1)
    distance_image = _whiten(scale, image - scale.center).norm(dim=-1)
    # log p changes by |gradient| x displacement when the centre moves by its resolution (and the shape by its own)
    displaced = 2.0 if action.group.order == 2 else 2 + distance + distance_image
    slope = (gradient @ scale.root).norm(dim=-1) + (gradient_image @ scale.root).norm(dim=-1)
    bound = (
        rounding_level(density, z, value, generator)
        + rounding_level(density, image, value_image, generator)
        + CENTER_RESOLUTION * slope * displaced
    )
    finite = torch.isfinite(value) & torch.isfinite(value_image)
    informative = finite & torch.isfinite(bound)
    # zero density on one side only, near the bulk: the support is not symmetric (overflow far out is no witness)
    one_sided = torch.isfinite(value) ^ torch.isfinite(value_image)
    hole = one_sided & ((value == -torch.inf) | (value_image == -torch.inf)) & (torch.maximum(distance, distance_image) < 50)
    residual = torch.where(hole, residual.nan_to_num(posinf=1e300, neginf=-1e300), residual)
    violates = (informative & (residual.abs() > bound)) | hole
    return _Residuals(z, residual, bound.clamp_min(1e-300), informative, violates, distance)


def _whiten(scale: Scale, offset: torch.Tensor) -> torch.Tensor:
    return torch.linalg.solve_triangular(scale.root, offset.mT, upper=False).mT


def _points(action: AffineAction, scale: Scale, count: int, generator: torch.Generator) -> torch.Tensor:
    third, dim = count // 3, len(scale.center)

    def normal(n: int) -> torch.Tensor:
        return torch.randn(n, dim, dtype=torch.float64, generator=generator)

    def power(n: int, low: float, high: float) -> torch.Tensor:
        return 10 ** (low + (high - low) * torch.rand(n, 1, dtype=torch.float64, generator=generator))

    def sphere(n: int) -> torch.Tensor:
        x = normal(n)
        return x / x.norm(dim=-1, keepdim=True)

    chi2 = torch.randn(third, 5, dtype=torch.float64, generator=generator).square().sum(-1, keepdim=True)
    bulk = normal(third) * (5 / chi2).sqrt()
    spread = sphere(third) * power(third, -3, 3)
    moved = torch.zeros(dim, dtype=torch.bool)
    moved[action.resolve_coordinates(dim)] = True
    far = normal(count - 2 * third) @ scale.root.mT
    away = (sphere(count - 2 * third) * power(count - 2 * third, -1, 12)) @ scale.root.mT
    last = scale.center + torch.where(moved, away, far)
    return torch.cat([scale.center + bulk @ scale.root.mT, scale.center + spread @ scale.root.mT, last])


def _elements(action: AffineAction, count: int, generator: torch.Generator) -> torch.Tensor:
    if action.group.order == 2:
        identity = action.group.identity(dtype=torch.float64)
        other = [g for g in action.group.elements(dtype=torch.float64) if not torch.equal(g, identity)]
        return other[0].expand(count, *other[0].shape)
    return action.group.sample(count, dtype=torch.float64, generator=generator)


def _ascend(
    density: LogDensity, action: AffineAction, scale: Scale, g: torch.Tensor, z: torch.Tensor
) -> torch.Tensor:
    """Normalised gradient ascent on |r| in whitened coordinates: from where the symmetry looks worst, look for worse."""
    x = _whiten(scale, z - scale.center)
    length = 0.3 * (1 + x.norm(dim=-1, keepdim=True)).clamp_max(10)
    best, best_value = z.clone(), torch.zeros(len(z), dtype=torch.float64)
    for _ in range(30):
        leaf = x.detach().requires_grad_()
        point = scale.center + leaf @ scale.root.mT
        residual = (density(action.act(g, point)) - density(point)).abs()
        (gradient,) = torch.autograd.grad(residual.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).sum(), leaf)
        better = torch.isfinite(residual) & (residual.detach() > best_value)
        best = torch.where(better[:, None], point.detach(), best)
        best_value = torch.where(better, residual.detach(), best_value)
        norm = gradient.norm(dim=-1, keepdim=True)
        step = torch.where(norm > 0, length * gradient / norm.clamp_min(1e-300), torch.zeros_like(gradient))
        x = leaf.detach() + step.nan_to_num(nan=0.0)
        length = 0.9 * length
    return best
