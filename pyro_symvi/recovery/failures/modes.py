"""Two modes: even targets that are neither log-concave nor unimodal, fitted below alpha = 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...divergences import Alpha, ReverseKL
from ...families import LocationScale
from ...families.scales import Fixed
from ...groups import CoordinatePermutation, PointReflection
from ..theorems import Growth, Symmetry, Target, contrasts, log_concave, proved, unimodal
from ..theorems.theorem import CURVED, STRICT, UNIMODAL, UNIQUE
from .displaced import Displaced
from .failure import Optimum
from .quadrature import hermite, line, plane
from .read import Read

GIVEN = proved("by construction")


def two_normals(half: float, sd: float = 1.0) -> Callable[[Tensor], Tensor]:
    """Log of 1/2 N(-half, sd^2) + 1/2 N(half, sd^2), for ``z [..., 1]``."""

    def log_p(z: Tensor) -> Tensor:
        x = z[..., 0]
        pair = torch.logaddexp(-0.5 * ((x - half) / sd) ** 2, -0.5 * ((x + half) / sd) ** 2)
        return pair - math.log(2 * sd) - 0.5 * math.log(2 * math.pi)

    return log_p


def even(dim: int = 1) -> Target:
    """What is true of an even target with moments that is positive everywhere, -log p at most quadratic."""
    return Target(
        dim,
        (Symmetry(PointReflection(), GIVEN),),
        proper=GIVEN,
        positive=GIVEN,
        second_moment=GIVEN,
        bounded=GIVEN,
        growth=Growth("polynomial", 2.0),
    )


TWO_MODES = Displaced(
    name="two modes",
    lesson=(
        "Reverse KL of a normal guide to two normals at -3 and 3: the guide at the centre, wide enough for both, is a "
        "local optimum; one on a single mode is better. The target is even but not log-concave."
    ),
    theorems=(
        log_concave.REVERSE,
        log_concave.CONVEX,
        unimodal.UNIMODAL_MEAN,
        unimodal.LOG_CONCAVE_PAIR_MEAN,
        unimodal.UNIMODAL_NOT_STRICT,
    ),
    premise=CURVED,
    family=LocationScale(1, scale="diagonal"),
    divergence=ReverseKL(),
    target=even(),
    log_p=two_normals(3.0),
    space=line(-14.0, 14.0),
    noise=line(-9.0, 9.0, 801),
    starts=(((-3.0,), (0.0,)), ((3.0,), (0.0,)), ((0.0,), (1.0,))),
    reach=5.0,
)

TWO_MODES_BETWEEN = Displaced(
    name="two modes, alpha between 0 and 1",
    lesson=(
        "Alpha = 1/2 of a normal guide to two normals at -5 and 5. Below alpha = 0.522 one mode is better than both; "
        "above it the centre is, without log-concavity having anything to do with it."
    ),
    theorems=(log_concave.BETWEEN, log_concave.CONVEX, unimodal.UNIMODAL_MEAN, unimodal.LOG_CONCAVE_PAIR_MEAN),
    premise=CURVED,
    family=LocationScale(1, scale="diagonal"),
    divergence=Alpha(0.5),
    target=even(),
    log_p=two_normals(5.0),
    space=line(-30.0, 30.0, 3001),
    starts=(((-5.0,), (0.0,)), ((5.0,), (0.0,)), ((0.0,), (1.5,))),
    reach=8.0,
)

STATIONARY_CENTRE = Displaced(
    name="two modes, unit scale",
    lesson=(
        "Reverse KL of N(location, 1) to two normals at -2 and 2. At the centre the slope is zero, so a fit that "
        "starts there stays; but it is a maximum, as soon as half the distance of the modes exceeds 1.461."
    ),
    theorems=(unimodal.UNIMODAL_MEAN, unimodal.UNIMODAL_NOT_STRICT),
    premise=UNIMODAL,
    family=LocationScale(1, scale=Fixed(1.0)),
    divergence=ReverseKL(),
    target=even(),
    log_p=two_normals(2.0),
    space=line(-12.0, 12.0, 1201),
    noise=line(-9.0, 9.0, 401),
    starts=(((-2.0,), ()), ((2.0,), ())),
    reach=4.0,
)


def exchangeable(half: float) -> Callable[[Tensor], Tensor]:
    """Log density of 1/2 N((half, -half), I) + 1/2 N((-half, half), I), for ``z [..., 2]``."""

    def log_p(z: Tensor) -> Tensor:
        x, y = z[..., 0], z[..., 1]
        pair = [-0.5 * ((x - s * half) ** 2 + (y + s * half) ** 2) for s in (1, -1)]
        return torch.logaddexp(*pair) - math.log(4 * math.pi)

    return log_p


_SWAPPED = Target(
    2,
    (Symmetry(CoordinatePermutation(2), GIVEN),),
    proper=GIVEN,
    positive=GIVEN,
    second_moment=GIVEN,
    growth=Growth("polynomial", 2.0),
)


def contrast(optimum: Optimum) -> float:
    """The first location less the second."""
    return optimum.location[0] - optimum.location[1]


EXCHANGEABLE = Read(
    name="exchangeable modes",
    lesson=(
        "Reverse KL of a full normal guide to two normals at (2, -2) and (-2, 2), as label switching makes them: "
        "swapping coordinates leaves the target unchanged, so their means are equal; it maps one optimum to the other."
    ),
    theorems=(contrasts.CONTRASTS,),
    premise=UNIQUE,
    statistic="contrasts",
    family=LocationScale(2),
    divergence=ReverseKL(),
    target=_SWAPPED,
    log_p=exchangeable(2.0),
    space=plane(line(-8.0, 8.0, 81), line(-8.0, 8.0, 81)),
    noise=plane(hermite(30), hermite(30)),
    centre=(0.0, 0.0),
    coordinates=(0, 1),
    direction=(1.0, -1.0),
    starts=(((2.0, -2.0), (0.0, 0.0, 0.0)), ((-2.0, 2.0), (0.0, 0.0, 0.0)), ((0.0, 0.0), (0.8, -0.8, 0.0))),
    reach=3.5,
    read=contrast,
    truth=0.0,
    unit=math.sqrt(18.0),
)

EXCHANGEABLE_BETWEEN = Read(
    name="exchangeable modes, alpha between 0 and 1",
    lesson=(
        "Alpha = 1/2 of an isotropic normal guide to two normals at (4, -4) and (-4, 4): neither side is the whole "
        "story, and without log-concavity the guide takes one."
    ),
    theorems=(contrasts.CONTRASTS_BETWEEN,),
    premise=STRICT,
    statistic="contrasts",
    family=LocationScale(2, scale="isotropic"),
    divergence=Alpha(0.5),
    target=_SWAPPED,
    log_p=exchangeable(4.0),
    space=plane(line(-16.0, 16.0, 97), line(-16.0, 16.0, 97)),
    centre=(0.0, 0.0),
    coordinates=(0, 1),
    direction=(1.0, -1.0),
    starts=(((4.0, -4.0), (0.0,)), ((-4.0, 4.0), (0.0,)), ((0.0, 0.0), (1.2,))),
    reach=6.0,
    read=contrast,
    truth=0.0,
    unit=math.sqrt(66.0),
)

MODES = (TWO_MODES, TWO_MODES_BETWEEN, STATIONARY_CENTRE, EXCHANGEABLE, EXCHANGEABLE_BETWEEN)

__all__ = ["GIVEN", "MODES", "even", "exchangeable", "two_normals"]
