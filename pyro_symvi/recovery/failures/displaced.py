"""Failures whose optimum lies elsewhere: off the centre, on a plateau, on one of two modes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ...families import LocationScale, Parameters
from .failure import Curve, Failure, Optimum
from .quadrature import Rule, divergence, minimum, vector

_AS_GOOD = 1e-7
"""Optima whose values differ by less, relatively, are one value."""
_APART = 1e-3
"""Locations further apart are two optima."""


@dataclass(frozen=True, kw_only=True)
class Displaced(Failure):
    r"""A location-scale guide whose best location is not the target's.

    The objective is :math:`D_\alpha(P\Vert Q_{\nu,C})` by quadrature, for alpha = 0 on nodes that move with the guide
    (``noise``) where these are given. The curve shows, for each location on a line, the smallest value over scales.

    Attributes:
        starts: Where optimisers start: a location and the unconstrained numbers of the scale
            (`LocationScale.scale_from_vector`).
        noise: A rule for the base law.
        direction: Of the line, ``[d]``.
        reach: How far it goes.
    """

    starts: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]
    noise: Rule | None = field(default=None, repr=False, compare=False)
    direction: tuple[float, ...] = (1.0,)
    reach: float = 5.0

    @property
    def guide(self) -> LocationScale:
        """The family."""
        if not isinstance(self.family, LocationScale):
            raise TypeError(f"expected a location-scale family, got {self.family!r}, because its location moves")
        return self.family

    def parameters(self, location: Tensor, scale: Tensor) -> Parameters:
        """Parameters of the family for a location ``[d]`` and unconstrained numbers of the scale."""
        return {"loc": location, "scale": self.guide.scale_from_vector(scale)}

    def value(self, location: Tensor, scale: Tensor) -> Tensor:
        """The objective, a scalar."""
        parameters, guide = self.parameters(location, scale), self.guide
        alpha = float(self.divergence.alpha)
        if self.noise is None:
            log_q = guide.log_prob(self.space[0], parameters)
            return divergence(alpha, self.log_density, log_q, self.space[1])
        nodes, log_weights = self.noise
        log_base, stretch = guide.log_base(nodes, parameters), guide.log_det(parameters["scale"])
        z = location + guide.apply(parameters["scale"], nodes)
        return divergence(alpha, self.log_p(z), log_base - stretch, log_weights + stretch)

    def curve(self, nodes: int = 61) -> Curve:
        """The objective against the location, at the best scale that the scales of the starts lead to.

        Optima that lie on the line are among the places.
        """
        if nodes < 2:
            raise ValueError(f"expected nodes >= 2, got {nodes}, because a curve has two ends; try nodes=61")
        steps = torch.linspace(-self.reach, self.reach, nodes, dtype=torch.float64)
        steps = torch.cat([steps, vector(*self._steps_of_optima())]).unique()
        line = self._origin() + steps[:, None] * vector(*self.direction)
        label = "location" if self.dim == 1 else _label(self._moving, self.direction)
        values = vector(*(self._best_scale(location, slope=1e-5)[1] for location in line))
        return Curve(line[:, self._moving], values, label)

    def _origin(self) -> Tensor:
        """Where the line passes: the centre; without one, a point level with the mean, on a line to an optimum."""
        centre = vector(*self.centre)
        if any(symmetry.fact.is_proved for symmetry in self.target.symmetries):
            return centre
        optimum, along = vector(*self.optima()[0].location), vector(*self.direction)
        return optimum + along * (centre - optimum)[self._moving] / along[self._moving]

    def _steps_of_optima(self) -> list[float]:
        """Where the optima lie on the line, those that do."""
        along = vector(*self.direction)
        found = []
        for optimum in self.optima():
            gap = vector(*optimum.location) - self._origin()
            step = gap @ along / (along @ along)
            if float((gap - step * along).abs().max()) < _APART:
                found.append(float(step))
        return found

    def _best_scale(self, location: Tensor, slope: float = 1e-9) -> tuple[Tensor, float]:
        """The best scale at a location, among those that the distinct scales of the starts lead to."""
        found = []
        for start in dict.fromkeys(scale for _, scale in self.starts):
            x, value = minimum(lambda scale: self.value(location, scale), start, slope)
            found.append((torch.from_numpy(x.copy()), value))
        return min(found, key=lambda pair: pair[1])

    @cached_property
    def _optima(self) -> tuple[Optimum, ...]:
        d = self.dim
        found = []
        for location, scale in self.starts:
            x, value = minimum(lambda x: self.value(x[:d], x[d:]), (*location, *scale))
            loc, rest = torch.from_numpy(x[:d].copy()), torch.from_numpy(x[d:].copy())
            found.append(Optimum(tuple(loc.tolist()), self.parameters(loc, rest), value))
        least = min(optimum.value for optimum in found)
        kept: list[Optimum] = []
        for optimum in found:
            good = optimum.value <= least + _AS_GOOD * max(1.0, abs(least))
            if good and all(_distance(optimum, other) > _APART for other in kept):
                kept.append(optimum)
        return tuple(kept)

    def optima(self) -> tuple[Optimum, ...]:
        """From every start; those of the smallest value, each once."""
        return self._optima

    def symmetric(self) -> Optimum:
        """The best guide at the centre."""
        location = vector(*self.centre)
        scale, value = self._best_scale(location)
        return Optimum(self.centre, self.parameters(location, scale), value)

    @property
    def symmetric_name(self) -> str:
        """What the best guide at the centre is called."""
        even = any(symmetry.fact.is_proved for symmetry in self.target.symmetries)
        return "best guide at the centre" if even else "best guide at the mean"

    def place(self, optimum: Optimum) -> float:
        """Where a guide lies on the curve: its coordinate that moves most along the line."""
        return optimum.location[self._moving]

    @property
    def _moving(self) -> int:
        return max(range(self.dim), key=lambda i: abs(self.direction[i]))

    def error(self) -> float:
        """Distance of the worst optimum from the mean in any coordinate concerned, in standard deviations."""
        index = torch.tensor(self.coordinates)
        gaps = [(vector(*optimum.location) - self.mean).abs() / self.sd for optimum in self.optima()]
        return max(float(gap[index].max()) for gap in gaps)


def _label(moving: int, direction: tuple[float, ...]) -> str:
    others = "" if sum(x != 0 for x in direction) == 1 else ", along (" + ", ".join(f"{x:g}" for x in direction) + ")"
    return f"location of coordinate {moving + 1}{others}"


def _distance(a: Optimum, b: Optimum) -> float:
    return max(abs(x - y) for x, y in zip(a.location, b.location, strict=True))


__all__ = ["Displaced"]
