"""Von Mises-Fisher guides that point elsewhere: an antipodal pair, a profile that is not monotone, a small circle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from ...density import LogDensity
from ...divergences import ChiSquare, ReverseKL
from ...families import Parameters, VonMisesFisherFamily
from ...groups import Antipodal, AxialRotation
from ..sphere import SphereDensity
from ..theorems import Fact, Symmetry, Target, refuted, sphere
from ..theorems.theorem import PROFILE, UNIQUE
from .failure import Curve, Failure, Optimum
from .modes import GIVEN
from .quadrature import Rule, divergence, minimum, panels, vector

_AS_GOOD, _NO_MEAN = 1e-7, 1e-6


def cosines(edges: Sequence[float], nodes: int = 24, angles: int = 48) -> Rule:
    """Points ``[n, 3]`` of the sphere: Gauss-Legendre in the cosine of the angle to e_3, equal steps around it."""
    t, log_t = panels(edges, nodes)
    around = torch.arange(angles, dtype=torch.float64) * 2 * math.pi / angles
    t = t.expand(-1, angles)
    r = (1 - t.square()).sqrt()
    points = torch.stack([r * around.cos(), r * around.sin(), t], -1).reshape(-1, 3)
    return points, (log_t[:, None] + math.log(2 * math.pi / angles)).expand(-1, angles).reshape(-1)


@dataclass(frozen=True, kw_only=True)
class Directed(Failure):
    """A von Mises-Fisher guide on the sphere whose direction is not the target's.

    Attributes:
        starts: Natural parameters (concentration times direction) where optimisers start.
        along: The curve: against the concentration along the axis, signed; or against the angle to it, at the best
            concentration for each.
        reach: How far it goes: a concentration, or degrees.
    """

    starts: tuple[tuple[float, float, float], ...]
    along: Literal["concentration", "angle"] = "concentration"
    reach: float = 8.0

    def parameters(self, natural: Tensor) -> Parameters:
        """Direction and concentration of a natural parameter ``[3]``; at zero the direction is e_3."""
        moved = natural + vector(0.0, 0.0, 1e-12)
        return {"direction": moved / moved.norm(), "concentration": moved.norm()}

    def value(self, natural: Tensor) -> Tensor:
        """The divergence, a scalar."""
        log_q = self.family.log_prob(self.space[0], self.parameters(natural))
        return divergence(float(self.divergence.alpha), self.log_density, log_q, self.space[1])

    def curve(self, nodes: int = 61) -> Curve:
        """The divergence along the axis, or against the tilt."""
        at = torch.linspace(-self.reach, self.reach, nodes, dtype=torch.float64)
        if self.along == "concentration":
            values = [float(self.value(vector(0.0, 0.0, s))) for s in at.tolist()]
            return Curve(at, vector(*values), "concentration along the axis, signed")
        return Curve(at, vector(*(self._best(angle) for angle in at.tolist())), "angle to the axis (degrees)")

    def _best(self, degrees: float) -> float:
        angle = math.radians(degrees)
        direction = vector(math.sin(angle), 0.0, math.cos(angle))
        found = [minimum(lambda x: self.value(x.exp() * direction), [start], 1e-6)[1] for start in (1.0, 3.0)]
        return min(found)

    @cached_property
    def _optima(self) -> tuple[Optimum, ...]:
        found = []
        for start in self.starts:
            x, value = minimum(self.value, start)
            natural = torch.from_numpy(x.copy())
            found.append(Optimum(tuple(natural.tolist()), self.parameters(natural), value))
        least = min(optimum.value for optimum in found)
        return tuple(optimum for optimum in found if optimum.value <= least + _AS_GOOD)

    def optima(self) -> tuple[Optimum, ...]:
        """From every start; those of the smallest value."""
        return self._optima

    def symmetric(self) -> Optimum:
        """The uniform guide; where the curve is one of angles, the best guide on the axis."""
        natural = vector(0.0, 0.0, 0.0)
        if self.along == "angle":
            x, _ = minimum(lambda x: self.value(x * vector(0.0, 0.0, 1.0)), [3.0])
            natural = vector(0.0, 0.0, float(x[0]))
        return Optimum(tuple(natural.tolist()), self.parameters(natural), float(self.value(natural)))

    @property
    def symmetric_name(self) -> str:
        """What that guide is called."""
        return "best guide on the axis" if self.along == "angle" else "uniform guide"

    def place(self, optimum: Optimum) -> float:
        """Where a guide lies on the curve: its signed concentration, or its angle to the axis in degrees."""
        x, _, z = optimum.location
        return z if self.along == "concentration" else math.degrees(math.atan2(x, z))

    def error(self) -> float:
        """The largest angle between a fitted direction and that of the mean, in radians; infinite if there is none."""
        if float(self.mean.norm()) < _NO_MEAN:
            return math.inf
        unit = self.mean / self.mean.norm()
        return max(math.acos(max(-1.0, min(1.0, float(o.parameters["direction"] @ unit)))) for o in self.optima())

    @property
    def outcome(self) -> str:
        """The angle in degrees."""
        error = self.error()
        return "undefined, the mean is zero" if math.isinf(error) else f"off by {math.degrees(error):.0f} degrees"

    def density(self) -> LogDensity:
        """The target for `certify`, on the sphere."""
        return SphereDensity.from_callable(self.log_p, 3)  # type: ignore[return-value]


def _target(*symmetries: Symmetry, profile: Fact, direction: Fact) -> Target:
    return Target(
        3,
        symmetries,
        proper=GIVEN,
        bounded=GIVEN,
        positive=GIVEN,
        on_sphere=True,
        increasing_profile=profile,
        has_direction=direction,
    )


_ZONAL = Symmetry(AxialRotation(vector(0.0, 0.0, 1.0)), GIVEN)


def bipolar(x: Tensor) -> Tensor:
    """Log density 4 t^2, t the third coordinate, ``x [..., 3]``."""
    return 4 * x[..., 2] ** 2


ANTIPODAL = Directed(
    name="an antipodal pair",
    lesson=(
        "Reverse KL of a von Mises-Fisher guide to exp(4 t^2), the same at both poles: the mean is zero, so there is "
        "no direction, and the guide shows one of two. Its axis is right; the uniform guide, though symmetric, is "
        "worse."
    ),
    theorems=(sphere.DIRECTION_MONOTONE,),
    premise=PROFILE,
    statistic="direction",
    family=VonMisesFisherFamily(3),
    divergence=ReverseKL(),
    target=_target(
        _ZONAL,
        Symmetry(Antipodal(3), GIVEN),
        profile=refuted("the profile falls and rises"),
        direction=refuted("E x = 0"),
    ),
    log_p=bipolar,
    space=cosines([-1.0, -0.8, 0.0, 0.8, 1.0]),
    centre=(0.0, 0.0, 0.0),
    starts=((0.0, 0.0, 4.0), (0.0, 0.0, -4.0)),
)


def cap_and_half(x: Tensor) -> Tensor:
    """Log of 0.8 on the upper half, 10 on a small cap about the lower pole, 0.0001 between, ``x [..., 3]``."""
    t = x[..., 2]
    return torch.where(t >= 0, math.log(0.8), torch.where(t <= -0.98, math.log(10.0), math.log(1e-4))).to(x)


OTHER_WAY = Directed(
    name="a direction the other way",
    lesson=(
        "Chi-square of a von Mises-Fisher guide to a law with most of its mass on the upper half and a dense cap about "
        "the lower pole. The axis is right; the sign is that of the escort mean, in which dense places count for more."
    ),
    theorems=(sphere.DIRECTION_MONOTONE,),
    premise=PROFILE,
    statistic="direction",
    family=VonMisesFisherFamily(3),
    divergence=ChiSquare(),
    target=_target(_ZONAL, profile=refuted("the profile falls and rises"), direction=GIVEN),
    log_p=cap_and_half,
    space=cosines([-1.0, -0.98, -0.5, 0.0, 0.5, 1.0], 16, 24),
    centre=(0.0, 0.0, 0.0),
    starts=((0.0, 0.0, -0.7), (0.0, 0.0, 0.7)),
    reach=1.8,
)


def small_circle(x: Tensor) -> Tensor:
    """Log density -50 (t - 1/2)^2, ``x [..., 3]``."""
    return -50 * (x[..., 2] - 0.5) ** 2


SMALL_CIRCLE = Directed(
    name="a small circle",
    lesson=(
        "Reverse KL of a von Mises-Fisher guide to a small circle about e_3. The target is unchanged by every turn "
        "about the axis; the optimum is not unique, lies on the circle, and is turned around with it. Forward KL "
        "points along the axis."
    ),
    theorems=(sphere.AXIS, sphere.AXIS_CONNECTED),
    premise=UNIQUE,
    statistic="axis",
    family=VonMisesFisherFamily(3),
    divergence=ReverseKL(),
    target=_target(_ZONAL, profile=refuted("the profile rises and falls"), direction=GIVEN),
    log_p=small_circle,
    space=cosines([-1.0, 0.0, 0.3, 0.5, 0.7, 1.0], 20, 96),
    centre=(0.0, 0.0, 0.0),
    starts=((28.0, 0.0, 18.0), (-28.0, 0.0, 18.0)),
    along="angle",
    reach=100.0,
)

SPHERE = (ANTIPODAL, OTHER_WAY, SMALL_CIRCLE)

__all__ = ["SPHERE", "Directed", "bipolar", "cap_and_half", "cosines", "small_circle"]
