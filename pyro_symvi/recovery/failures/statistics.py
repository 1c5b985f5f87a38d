"""Right centres, wrong statistics: a far mode, no mean at all, the mean of a scale through its logarithm."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...divergences import ReverseKL
from ...families import LocationScale
from ...groups import PointReflection
from ..theorems import Growth, Symmetry, Target, a_posteriori, approximate, pinned, refuted
from ..theorems.theorem import INVARIANCE, MOMENTS, SUPPORT
from .displaced import Displaced
from .failure import Optimum
from .modes import GIVEN, even
from .quadrature import joined, line, vector
from .read import Read
from .tails import standard
from .unbounded import Unbounded


def far_mode(share: float = 0.05, distance: float = 60.0) -> Displaced:
    """A normal law and a far one with a small share of the mass: what no draw from the fitted guide ever meets.

    Args:
        share: Mass of the far one.
        distance: Where it is, in standard deviations of the near one.
    """

    def log_p(z: Tensor) -> Tensor:
        x = z[..., 0]
        near, far = math.log1p(-share) - 0.5 * x**2, math.log(share) - 0.5 * (x - distance) ** 2
        return torch.logaddexp(near, far) - 0.5 * math.log(2 * math.pi)

    return Displaced(
        name="a far mode",
        lesson=(
            f"{share:.3g} of the mass lies {distance:.3g} standard deviations away. Reverse KL fits the rest; at the "
            "guide's draws every residual of the reflection is exactly zero and all weights are equal, while the mean "
            f"is {share * distance:.3g} of its standard deviations off. A certificate also looks for other modes, and "
            "finds this one; a narrower or further one it may miss."
        ),
        theorems=(approximate.REFLECTION_BOUND, pinned.WEIGHTED_COVARIANCE),
        premise=SUPPORT,
        family=LocationScale(1, scale="diagonal"),
        divergence=ReverseKL(),
        target=Target(
            1,
            (Symmetry(PointReflection(), refuted("the far mode has no counterpart")),),
            proper=GIVEN,
            positive=GIVEN,
            second_moment=GIVEN,
            growth=Growth("polynomial", 2.0),
        ),
        log_p=log_p,
        space=joined(line(-9.0, 9.0, 801), line(distance - 9.0, distance + 9.0, 801)),
        noise=line(-9.0, 9.0, 401),
        centre=(share * distance,),
        starts=(((0.0,), (0.0,)), ((distance,), (0.0,))),
        reach=1.2 * distance,
        judged_by="certificate",
    )


def cauchy(z: Tensor) -> Tensor:
    """Log density of the Cauchy law, ``z [..., 1]``."""
    return -torch.log1p(z[..., 0].square()) - math.log(math.pi)


_LEFT = 1000.0


def window_mean(ratio: Tensor) -> Tensor:
    """Mean of the Cauchy law cut to [-1000, 1000 ratio]: log(ratio) / pi as the window grows."""
    right = _LEFT * ratio
    spread = 0.5 * (torch.log1p(right**2) - math.log1p(_LEFT**2))
    return spread / (torch.atan(right) + math.atan(_LEFT))


_CENTRED = Target(
    1,
    (Symmetry(PointReflection(), GIVEN, GIVEN, GIVEN),),
    proper=GIVEN,
    positive=GIVEN,
    log_moment=GIVEN,
    convex_levels=GIVEN,
    decreasing=GIVEN,
    growth=Growth("polynomial", 1.0),
)

NO_MEAN = Unbounded(
    name="a Cauchy target",
    lesson=(
        "Even, unimodal, and without a mean: what a window gives depends on where it is cut, however wide. The guide's "
        "location is the centre of symmetry, and a median; it is not called a mean."
    ),
    theorems=(a_posteriori.REFLECTION_MEAN,),
    premise=MOMENTS,
    family=LocationScale(1, scale="diagonal"),
    divergence=ReverseKL(),
    target=_CENTRED,
    log_p=cauchy,
    space=line(-60.0, 60.0, 4001),
    growth=window_mean,
    span=(0.05, 10.0),
    label="right end over left end of the window",
    quantity="mean over the window",
    missing="there is no mean",
    claimed=("mean",),
    guide_at={"loc": vector(0.0), "scale": vector(1.633978)},
)


def _exponential(optimum: Optimum) -> float:
    return math.exp(optimum.location[0])


MEAN_OF_SCALE = Read(
    name="the mean of a scale",
    lesson=(
        "A posterior that is normal in log sigma, fitted exactly. Its location 0 is the mean and the median of "
        "log sigma; exp(0) = 1 is the median of sigma. The mean of sigma is exp(1/2) = 1.65: symmetry in log sigma is "
        "none in sigma."
    ),
    theorems=(a_posteriori.REFLECTION_MEAN,),
    premise=INVARIANCE,
    statistic="mean of exp(z)",
    family=LocationScale(1, scale="diagonal"),
    divergence=ReverseKL(),
    target=even(),
    log_p=standard,
    space=line(-9.0, 9.0, 801),
    noise=line(-9.0, 9.0, 401),
    starts=(((0.4,), (0.3,)),),
    reach=3.0,
    read=_exponential,
    truth=math.exp(0.5),
    unit=math.sqrt(math.e * (math.e - 1)),
)

STATISTICS = (far_mode(), NO_MEAN, MEAN_OF_SCALE)

__all__ = ["STATISTICS", "cauchy", "far_mode", "window_mean"]
