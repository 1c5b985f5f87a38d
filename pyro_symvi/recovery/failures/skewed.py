"""Targets that are not symmetric: skewed, a crescent, a hierarchical model whose centre moves with its scale."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...divergences import ForwardKL, ReverseKL
from ...families import LocationScale
from ...families.scales import Fixed
from ...groups import ConditionalReflection, PointReflection
from ..theorems import Growth, Symmetry, Target, log_concave, moments, partial, refuted
from ..theorems.theorem import BASE, INVARIANCE
from .displaced import Displaced
from .modes import GIVEN
from .quadrature import Rule, hermite, line, panels, plane

_SHAPE = 5.0
_DELTA = _SHAPE / math.sqrt(1 + _SHAPE**2)


def skew_normal(z: Tensor) -> Tensor:
    """Log density 2 phi(z) Phi(5 z), ``z [..., 1]``."""
    x = z[..., 0]
    return -0.5 * x**2 - 0.5 * math.log(2 * math.pi) + torch.special.log_ndtr(_SHAPE * x) + math.log(2)


_EDGES = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 14.0, 18.0, 24.0, 30.0, 40.0)

SKEWED = Displaced(
    name="a skewed target",
    lesson=(
        "Reverse KL of a Laplace guide of scale 1 to a skew-normal law: log-concave, one optimum, everything but a "
        "symmetry, and the location is far from the mean."
    ),
    theorems=(log_concave.REVERSE,),
    premise=INVARIANCE,
    family=LocationScale(1, "laplace", Fixed(1.0)),
    divergence=ReverseKL(),
    target=Target(
        1,
        (Symmetry(PointReflection(), refuted("the target is skewed")),),
        strongly_log_concave=GIVEN,
        positive=GIVEN,
        growth=Growth("polynomial", 2.0),
    ),
    log_p=skew_normal,
    space=line(-9.0, 10.0, 3001),
    noise=panels([*(-x for x in reversed(_EDGES)), *_EDGES[1:]], 16),
    centre=(_DELTA * math.sqrt(2 / math.pi),),
    starts=(((0.5,), ()),),
    reach=3.0,
)


def gumbel(z: Tensor) -> Tensor:
    """Log density -z - exp(-z), ``z [..., 1]``."""
    return -z[..., 0] - torch.exp(-z[..., 0])


OTHER_BASE = Displaced(
    name="forward KL without a normal base",
    lesson=(
        "Forward KL of a logistic guide to a Gumbel law. A normal guide would find the mean of any target; a logistic "
        "one matches another moment, and without a symmetry that is not the mean."
    ),
    theorems=(moments.MOMENT_MEAN,),
    premise=BASE,
    family=LocationScale(1, "logistic", "diagonal"),
    divergence=ForwardKL(),
    target=Target(1, proper=GIVEN, log_concave=GIVEN, positive=GIVEN, growth=Growth("exponential")),
    log_p=gumbel,
    space=line(-4.5, 42.0, 3001),
    centre=(0.5772156649015329,),
    starts=(((0.5,), (0.0,)),),
    reach=2.5,
)


def crescent(z: Tensor) -> Tensor:
    """Log density of z1 ~ N(0, 100), z2 given z1 ~ N(0.03 (z1^2 - 100), 1), ``z [..., 2]``."""
    a, b = z[..., 0], z[..., 1]
    return -0.5 * (a / 10) ** 2 - 0.5 * (b - 0.03 * (a**2 - 100)) ** 2 - math.log(20 * math.pi)


def _on_the_crescent() -> Rule:
    (a, log_a), (b, log_b) = line(-7.0, 7.0, 281), hermite(20)
    z, log_weights = plane((10 * a, log_a + math.log(10)), (b, log_b))
    return torch.stack([z[:, 0], z[:, 1] + 0.03 * (z[:, 0] ** 2 - 100)], -1), log_weights


CRESCENT = Displaced(
    name="a crescent",
    lesson=(
        "Reverse KL of a full normal guide to a crescent: unchanged by z1 -> -z1, so the first mean is right and the "
        "correlation zero. The second coordinate is symmetric about a centre that is no affine function of the first: "
        "its mean is off."
    ),
    theorems=(partial.REGRESSION,),
    premise=INVARIANCE,
    family=LocationScale(2),
    divergence=ReverseKL(),
    target=Target(
        2,
        (
            Symmetry(PointReflection(coordinates=[0]), GIVEN),
            Symmetry(
                ConditionalReflection([1], 0.0, [[0.0]]), refuted("the centre is a square of the first coordinate")
            ),
        ),
        proper=GIVEN,
        positive=GIVEN,
        second_moment=GIVEN,
        growth=Growth("polynomial", 4.0),
    ),
    log_p=crescent,
    space=_on_the_crescent(),
    noise=plane(hermite(12), hermite(12)),
    centre=(0.0, 0.0),
    coordinates=(1,),
    direction=(0.0, 1.0),
    starts=(((0.1, -1.0), (1.0, 0.0, 0.0)),),
    reach=5.0,
)

_DATUM = 3.0


def one_school(z: Tensor) -> Tensor:
    """Log density of (log tau, theta) given 3 ~ N(theta, 1), theta ~ N(0, tau^2), log tau ~ N(0, 1); not normalised."""
    v, theta = z[..., 0], z[..., 1]
    return -0.5 * v**2 - v - 0.5 * (theta * torch.exp(-v)) ** 2 - 0.5 * (_DATUM - theta) ** 2


def _given_the_scale() -> Rule:
    """Nodes at the conditional law of theta: it is normal, with a mean and a variance that grow with tau."""
    z, log_weights = plane(line(-8.0, 7.0, 301), hermite(20))
    shrink = torch.sigmoid(2 * z[:, 0])
    theta = _DATUM * shrink + shrink.sqrt() * z[:, 1]
    return torch.stack([z[:, 0], theta], -1), log_weights + 0.5 * shrink.log()


SHRINKING = Displaced(
    name="a hierarchical scale",
    lesson=(
        "One school of eight: theta ~ N(0, tau^2), seen with error 1 at 3. Given tau, theta is symmetric about a "
        "centre that moves from 0 to 3 as tau grows, so no reflection holds. With a datum of 0 one would, and the "
        "mean of theta would be right under every f-divergence that is finite."
    ),
    theorems=(partial.COORDINATEWISE,),
    premise=INVARIANCE,
    family=LocationScale(2, scale="diagonal"),
    divergence=ReverseKL(),
    target=Target(
        2,
        (Symmetry(PointReflection(coordinates=[1]), refuted("the centre of theta moves with tau")),),
        proper=GIVEN,
        positive=GIVEN,
        second_moment=GIVEN,
        growth=Growth("exponential"),
    ),
    log_p=one_school,
    space=_given_the_scale(),
    noise=plane(hermite(40), hermite(12)),
    centre=(0.6217, 2.1593),
    coordinates=(1,),
    direction=(0.0, 1.0),
    starts=(((0.5, 2.0), (-0.5, 0.0)), ((-1.0, 0.3), (-0.5, -1.0))),
    reach=3.0,
)

SKEWED_TARGETS = (SKEWED, OTHER_BASE, CRESCENT, SHRINKING)

__all__ = ["SKEWED_TARGETS", "crescent", "gumbel", "one_school", "skew_normal"]
