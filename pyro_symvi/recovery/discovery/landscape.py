"""What discovery knows of a target before it proposes anything: scales, draws, candidate centres, the sites' axes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ...density import LogDensity
from ...density._importance import WeightedDraws, weighted_draws
from ...density._laplace import laplace_approximation
from ...density._modes import distant_modes
from ...density._proposal import Scale
from .maps import Screen
from .proving import Prover
from .stationary import stationary_point

_DRAWS = 4096
_SAME = 1e-7
_MOST_AXES = 5


@dataclass(frozen=True)
class Axis:
    """One axis of one site's unconstrained array.

    Attributes:
        site: Name of the site.
        number: Which axis.
        slices: For each index along it, the flat coordinates, in the order of the other axes.
    """

    site: str
    number: int
    slices: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.slices)


@dataclass
class Landscape:
    """One target, looked at once; finders propose from it.

    Attributes:
        density: The target.
        generator: Random state.
        loc: A fitted location to start from, if any.
        prover: Exact expression, for proofs.
        scale: Rough mean and root of the covariance.
        draws: Weighted draws.
        modes: Modes found.
        screen: The quick test.
    """

    density: LogDensity
    generator: torch.Generator
    loc: Tensor | None = None
    prover: Prover = field(init=False)
    _hessians: dict[tuple[float, ...], Tensor | None] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        density = self.density
        self.prover = Prover(density)
        mode = laplace_approximation(density, self.loc)
        main = Scale(mode.point, mode.root)
        others = distant_modes(density, main, generator=self.generator)
        self.modes = [main.center, *(m.center for m in others)]
        self.has_mode = mode.is_mode
        self.draws: WeightedDraws = weighted_draws(
            density, main, others=others, num_draws=_DRAWS, generator=self.generator
        )
        adapted = self.draws.effective > max(50, 5 * density.dim)
        self.scale = Scale(self.draws.mean, self.draws.root) if adapted else main
        self.screen = Screen(density, self.scale, self.generator)

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return self.density.dim

    @property
    def unit(self) -> Tensor:
        """Posterior scales ``[d]``."""
        return self.scale.root.square().sum(-1).sqrt()

    @property
    def bulk(self) -> Scale:
        """Where the mass lies."""
        return self.scale

    def screened(self) -> tuple[Tensor | None, Tensor | None]:
        """Draws to look through for violations, if they are reliable, and log p there."""
        return (self.draws.z, self.draws.log_p) if self.draws.reliable else (None, None)

    @cached_property
    def proved_center(self) -> Tensor:
        """Proved centres where there are any, the mode elsewhere."""
        center = self.modes[0].clone()
        for j, found in self.prover.centers.items():
            center[j] = float(found[0])
        return center

    @cached_property
    def centers(self) -> list[Tensor]:
        """Points about which something may be symmetric: proved ones, stationary points, zero; the first is best."""
        d = self.dim
        found = [self.proved_center]
        single = self.has_mode and len(self.modes) == 1
        starts = [self.modes[0], self.scale.center]
        if not single:  # a center may lie between modes, on a saddle or in a pit
            starts.append(torch.zeros(d, dtype=torch.float64))
            starts += [(self.modes[0] + m) / 2 for m in self.modes[1:4]]
        for start in starts:
            point = stationary_point(self.density, start, tuple(range(d)), self.unit)
            found += [] if point is None else [point]
        for start in () if self.has_mode else (self.modes[0], self.scale.center):  # site by site, the rest held
            point = start.clone()
            for site in self.density.sites:
                part = stationary_point(self.density, point, tuple(range(d)[site.slice]), self.unit)
                point = point if part is None else part
            found.append(point)
        found.append(torch.zeros(d, dtype=torch.float64))
        kept: list[Tensor] = []
        for point in found:
            if all(float(((point - other) / self.unit).abs().max()) > _SAME for other in kept):
                kept.append(point)
        return kept

    def hessian(self, point: Tensor) -> Tensor | None:
        """The Hessian, if finite; kept."""
        key = tuple(point.tolist())
        if key not in self._hessians:
            found = self.density.hessian(point)
            self._hessians[key] = found if bool(torch.isfinite(found).all()) else None
        return self._hessians[key]

    @cached_property
    def axes(self) -> list[Axis]:
        """All axes of length two or more of all sites' unconstrained arrays."""
        found = []
        for site in self.density.sites:
            shape = tuple(site.unconstrained_shape)
            places = torch.arange(site.slice.start, site.slice.stop).reshape(shape)
            for number, size in enumerate(shape):
                if size >= 2:
                    rows = places.movedim(number, 0).reshape(size, -1).tolist()
                    found.append(Axis(site.name, number, tuple(tuple(row) for row in rows)))
        return found

    def axis_sets(self) -> list[tuple[Axis, ...]]:
        """Sets of axes of one length, on different sites, largest first: what a plate's or a label's index may move."""
        found: list[tuple[Axis, ...]] = []
        for size in sorted({len(a) for a in self.axes}):
            alike = [a for a in self.axes if len(a) == size][:_MOST_AXES]
            for count in range(len(alike), 0, -1):
                for chosen in itertools.combinations(alike, count):
                    if len({a.site for a in chosen}) == count:
                        found.append(chosen)
        return found

    def names(self, coordinates: tuple[int, ...] | list[int]) -> str:
        """Coordinates in words, whole sites by their names."""
        left, parts = set(coordinates), []
        for site in self.density.sites:
            inside = [i for i in range(self.dim)[site.slice] if i in left]
            if len(inside) == site.slice.stop - site.slice.start:
                parts.append(site.name)
            else:
                parts += [self.density.coordinates[i] for i in inside]
        return ", ".join(parts) if len(parts) <= 6 else f"{', '.join(parts[:5])}, ... ({len(parts)} in all)"
