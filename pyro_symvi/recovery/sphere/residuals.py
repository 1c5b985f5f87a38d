r"""Testing a symmetry of a density on the sphere by its residuals :math:`r_g(x) = \log p(gx) - \log p(x)`.

One residual beyond its rounding bound refutes the symmetry. Residuals within it verify it on the points visited: on
the circle and the sphere of R^3 they are a grid with a known spacing, the maxima found by climbing, and the points
where an ascent on the residual along great circles ended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from ..evidence.residuals import RESOLUTION, rounding_level
from ..verdicts import Evidence, Premise
from .density import SphereDensity, great_circle, random_directions, tangent
from .peaks import Peaks

AXIS_RESOLUTION = 1e-9
"""Axes are claimed to this many radians, or to what changes log p by `_SHIFT` where it is steep, no finer."""
_SHIFT = 1e-7
_GRID = {2: 4096, 3: 8192}
_POINTS = 4096
_NEAR = 64
_WORST = 24
_STEPS = 24
_LEAST_DECIDED = 0.9


@dataclass(frozen=True)
class SphereSymmetry:
    """A set of orthogonal maps, with a name: what a residual test tests.

    Attributes:
        name: In words.
        matrices: ``[k, n, n]``.
        axis: The one axis they fix ``[n]``, if there is one.
        found: Whether the axis was found by numerics, and is known to `AXIS_RESOLUTION` only.
    """

    name: str
    matrices: torch.Tensor
    axis: torch.Tensor | None = None
    found: bool = False

    @property
    def coordinates(self) -> tuple[int, ...]:
        """All coordinates of the space around the sphere."""
        return tuple(range(self.matrices.shape[-1]))


@dataclass(frozen=True)
class SphereTest:
    """Outcome of a residual test; the fields are those of `ResidualTest` where they mean the same.

    Attributes:
        action: What was tested.
        evidence: ``VERIFIED``, ``REFUTED`` or ``UNKNOWN``.
        points: Residuals known to `RESOLUTION`.
        largest: The largest of them, in nats.
        reach: Spacing of the grid in radians (nan where there is none, above three dimensions).
        doubt: Why nothing was decided.
        witness: The violating point with the largest residual.
        witness_residual: The residual there.
        screened: Weighted draws looked through (none).
        distances: Angles of the points with a known residual, in radians, from the axis of the symmetry (from the
            highest maximum where it has none), ``[n]`` (for plots).
        residuals: Their residuals.
        bounds: What rounding may make of each.
    """

    action: SphereSymmetry
    evidence: Evidence
    points: int
    largest: float
    reach: float
    doubt: str
    witness: torch.Tensor | None
    witness_residual: float
    screened: int = 0
    distances: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.float64))
    residuals: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.float64))
    bounds: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.float64))

    def premise(self, name: str, what: str) -> Premise:
        """The premise "p is invariant", in words."""
        if self.evidence is Evidence.VERIFIED:
            where = (
                f"a grid of the whole sphere with spacing {self.reach:.2g} rad"
                if math.isfinite(self.reach)
                else "random points and the maxima found"
            )
            text = (
                f"{what}: |log p(gx) - log p(x)| <= {self.largest:.1e} at {self.points} points, {where}, a search for "
                "violations included; not seen: mass narrower than the gaps between them"
            )
        elif self.evidence is Evidence.REFUTED:
            text = f"{what}: log p(gx) - log p(x) = {self.witness_residual:.3g} at the witness"
        else:
            text = f"{what}: not decided, because {self.doubt}"
        return Premise(name, self.evidence, text)


def sphere_test(
    density: SphereDensity, symmetry: SphereSymmetry, peaks: Peaks, generator: torch.Generator
) -> SphereTest:
    """Residuals on the grid, at the peaks and around them, and where an ascent on them ends."""
    x, spacing = test_points(density.dim, peaks, generator)
    matrices = symmetry.matrices
    pick = torch.arange(len(x)) % len(matrices)
    g = matrices[pick]
    first = _residuals(density, symmetry, g, x, generator)
    worst = torch.where(first.finite, first.residual.abs() / first.bound, -1.0).topk(min(_WORST, len(x))).indices
    climbed = _ascend(density, g[worst], x[worst])
    second = _residuals(density, symmetry, g[worst], climbed, generator)
    tested = _Residuals(*(torch.cat([a, b]) for a, b in zip(first, second, strict=True)))
    known = tested.finite & (tested.bound <= RESOLUTION)
    residuals, count = tested.residual[known], int(known.sum())
    witness, value, doubt = None, 0.0, ""
    if bool(tested.violates.any()):
        index = int(torch.where(tested.violates, tested.residual.abs(), -1.0).argmax())
        witness, value, evidence = tested.x[index], float(tested.residual[index]), Evidence.REFUTED
    else:
        decided = float((known | tested.outside)[: len(x)].double().mean())
        if decided < _LEAST_DECIDED or count == 0:
            doubt = f"rounding hides residuals, or log p is undefined, at {1 - decided:.0%} of the points"
        evidence = Evidence.UNKNOWN if doubt else Evidence.VERIFIED
    largest = float(residuals.abs().max()) if count else math.nan
    pole = symmetry.axis if symmetry.axis is not None else peaks.x[0]
    angles = (tested.x[known] @ pole / pole.norm()).clamp(-1, 1).acos()
    seen = {"distances": angles, "residuals": residuals, "bounds": tested.bound[known]}
    return SphereTest(symmetry, evidence, count, largest, spacing, doubt, witness, value, **seen)


def test_points(dim: int, peaks: Peaks, generator: torch.Generator) -> tuple[torch.Tensor, float]:
    """A grid of the sphere (with its spacing), points about each peak at its own width, and the peaks."""
    if dim == 2:
        angle = torch.arange(_GRID[2], dtype=torch.float64) * (2 * math.pi / _GRID[2]) + 0.1234
        grid, spacing = torch.stack([angle.cos(), angle.sin()], -1), math.pi / _GRID[2]
    elif dim == 3:
        grid, spacing = _spiral(_GRID[3]), 1.7 / math.sqrt(_GRID[3])
    else:
        grid, spacing = random_directions(_POINTS, dim, generator), math.nan
    parts = [grid, peaks.x, peaks.near]
    for point, width in zip(peaks.x[:12], peaks.width[:12], strict=True):
        v = tangent(point, torch.randn(_NEAR, dim, dtype=torch.float64, generator=generator))
        scale = width * 10 ** (torch.rand(_NEAR, 1, dtype=torch.float64, generator=generator) * 2 - 1)
        parts.append(great_circle(point.expand(_NEAR, dim), (v / math.sqrt(dim - 1) * scale).clamp(-1.5, 1.5)))
    return torch.cat(parts), spacing


def _spiral(count: int) -> torch.Tensor:
    """Points of a golden spiral on the sphere of R^3 (Swinbank & Purser, 2006): gaps about 1.7 / sqrt(count) rad."""
    i = torch.arange(count, dtype=torch.float64)
    z = 1 - (2 * i + 1) / count
    phi = i * (math.pi * (3 - math.sqrt(5)))
    s = (1 - z * z).sqrt()
    return torch.stack([s * phi.cos(), s * phi.sin(), z], -1)


class _Residuals(tuple[torch.Tensor, ...]):
    """Points, residuals, their bounds, and which are finite, zero on both sides, violations."""

    def __new__(cls, *parts: torch.Tensor) -> _Residuals:
        return super().__new__(cls, parts)

    x = property(lambda self: self[0])
    residual = property(lambda self: self[1])
    bound = property(lambda self: self[2])
    finite = property(lambda self: self[3])
    outside = property(lambda self: self[4])
    violates = property(lambda self: self[5])


def _residuals(
    density: SphereDensity, symmetry: SphereSymmetry, g: torch.Tensor, x: torch.Tensor, generator: torch.Generator
) -> _Residuals:
    image = _image(g, x)
    value, gradient = density.value_and_grad(x)
    value_image, gradient_image = density.value_and_grad(image)
    residual = value_image - value
    slope = gradient.norm(dim=-1) + gradient_image.norm(dim=-1)
    bound = (
        rounding_level(density, x, value, gradient, generator)  # type: ignore[arg-type]
        + rounding_level(density, image, value_image, gradient_image, generator)  # type: ignore[arg-type]
        + 16 * 2.0**-52 * slope
    )
    if symmetry.found:
        bound = bound + (2 * AXIS_RESOLUTION * slope).clamp_max(_SHIFT)
    finite = torch.isfinite(value) & torch.isfinite(value_image) & torch.isfinite(bound)
    outside = (value == -torch.inf) & (value_image == -torch.inf)
    # a support that ends on one side only: a step of the resolution to either side must not change that
    hole = (value == -torch.inf) ^ (value_image == -torch.inf)
    hole &= torch.isfinite(torch.where(value == -torch.inf, value_image, value))
    hole &= ~_at_an_edge(density, x, image, hole)
    residual = torch.where(hole, residual.nan_to_num(posinf=1e300, neginf=-1e300), residual)
    violates = hole | (finite & (residual.abs() > bound))
    bound = torch.where(finite, bound, torch.inf).clamp_min(1e-300)
    return _Residuals(x, residual, bound, finite, outside, violates)


def _at_an_edge(density: SphereDensity, x: torch.Tensor, image: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
    """Whether the support's edge lies within 1e-6 radians of x or of its image."""
    edge = torch.zeros_like(hole)
    if not bool(hole.any()):
        return edge
    generator = torch.Generator().manual_seed(8)
    for points in (x[hole], image[hole]):
        here = density(points) == -torch.inf
        for _ in range(6):
            v = tangent(points, random_directions(len(points), points.shape[1], generator))
            moved = density(great_circle(points, 1e-6 * v / v.norm(dim=-1, keepdim=True).clamp_min(1e-12)))
            edge[hole] |= (moved == -torch.inf) != here
    return edge


def _image(g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    y = (g @ x[:, :, None])[:, :, 0]
    return y / y.norm(dim=-1, keepdim=True)


def _ascend(density: SphereDensity, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Normalised ascent on |r| along great circles, from where the symmetry looks worst."""
    best, best_value = x.clone(), torch.zeros(len(x), dtype=torch.float64)
    length = 0.3
    for _ in range(_STEPS):
        value, gradient = density.value_and_grad(x)
        value_image, gradient_image = density.value_and_grad(_image(g, x))
        residual = value_image - value
        better = torch.isfinite(residual) & (residual.abs() > best_value)
        best = torch.where(better[:, None], x, best)
        best_value = torch.where(better, residual.abs(), best_value)
        slope = tangent(x, (g.mT @ gradient_image[:, :, None])[:, :, 0] - gradient) * residual.sign()[:, None]
        slope = slope.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        norm = slope.norm(dim=-1, keepdim=True)
        x = great_circle(x, torch.where(norm > 0, length * slope / norm.clamp_min(1e-300), torch.zeros_like(slope)))
        length *= 0.85
    return best
