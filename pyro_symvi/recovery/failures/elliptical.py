"""Elliptical targets: a ring that does not fall with the radius; scales too poor for correlations and variances."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...divergences import ForwardKL, ReverseKL
from ...families import LocationScale
from ...groups import EllipticalRotation
from ..theorems import Growth, Symmetry, Target, elliptical, general, log_concave, moments
from ..theorems.theorem import CLOSED, PROFILE, SCALE
from .displaced import Displaced
from .failure import Optimum
from .modes import GIVEN
from .quadrature import hermite, line, plane
from .read import Read

_RADIUS, _WIDTH = 5.0, 0.5
_BELOW = 0.5 * (1 + math.erf(_RADIUS / _WIDTH / math.sqrt(2)))
_LOG_RING = math.log(
    2
    * math.pi
    * (_WIDTH**2 * math.exp(-0.5 * (_RADIUS / _WIDTH) ** 2) + _RADIUS * _WIDTH * math.sqrt(2 * math.pi) * _BELOW)
)


def ring(z: Tensor) -> Tensor:
    """Log density proportional to exp(-2 (|z| - 5)^2), normalised, ``z [..., 2]``."""
    radius = (z.square().sum(-1) + 1e-300).sqrt()
    return -0.5 * ((radius - _RADIUS) / _WIDTH) ** 2 - _LOG_RING


def _target(shape: Tensor, **facts: object) -> Target:
    return Target(
        2,
        (Symmetry(EllipticalRotation(shape=shape), GIVEN),),
        proper=GIVEN,
        positive=GIVEN,
        second_moment=GIVEN,
        growth=Growth("polynomial", 2.0),
        **facts,  # type: ignore[arg-type]
    )


RING = Displaced(
    name="a ring",
    lesson=(
        "Reverse KL of a diagonal normal guide to a ring of radius 5: unchanged by every rotation, but not falling "
        "with the radius. The guide lies on the ring, and any turn of it would do as well; its mean is the middle."
    ),
    theorems=(elliptical.ELLIPTICAL_MEAN, elliptical.ELLIPTICAL_SCATTER, general.CONNECTED),
    premise=PROFILE,
    family=LocationScale(2, scale="diagonal"),
    divergence=ReverseKL(),
    target=_target(torch.eye(2, dtype=torch.float64)),
    log_p=ring,
    space=plane(line(-8.0, 8.0, 161), line(-8.0, 8.0, 161)),
    noise=plane(line(-7.0, 7.0, 85), line(-7.0, 7.0, 85)),
    centre=(0.0, 0.0),
    coordinates=(0, 1),
    direction=(1.0, 0.0),
    starts=(((4.7, 0.0), (-0.6, 0.5)), ((-4.7, 0.0), (-0.6, 0.5)), ((0.0, 0.0), (1.17, 1.17))),
    reach=6.0,
)

_CORRELATED = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
_PRECISION = torch.linalg.inv(_CORRELATED)


def correlated(z: Tensor) -> Tensor:
    """Log density of a normal law with variances 1 and correlation 0.9, ``z [..., 2]``."""
    return -0.5 * (z @ _PRECISION * z).sum(-1) - 0.5 * math.log(0.19) - math.log(2 * math.pi)


def _no_correlation(optimum: Optimum) -> float:
    return 0.0


DIAGONAL = Read(
    name="correlation of a diagonal guide",
    lesson=(
        "A diagonal normal guide of a normal target with correlation 0.9: the means are right, the correlation is zero "
        "by construction, and under reverse KL the variances are 0.19 in place of 1."
    ),
    theorems=(log_concave.SCATTER, elliptical.ELLIPTICAL_SCATTER, moments.MOMENT_COVARIANCE),
    premise=CLOSED,
    statistic="correlation",
    family=LocationScale(2, scale="diagonal"),
    divergence=ReverseKL(),
    target=_target(_CORRELATED, strongly_log_concave=GIVEN),
    log_p=correlated,
    space=plane(line(-6.0, 6.0, 121), line(-6.0, 6.0, 121)),
    noise=plane(hermite(10), hermite(10)),
    centre=(0.0, 0.0),
    coordinates=(0, 1),
    direction=(1.0, 1.0),
    starts=(((0.3, -0.2), (-0.8, -0.8)),),
    reach=2.0,
    read=_no_correlation,
    truth=0.9,
    unit_name="",
)


def stretched(z: Tensor) -> Tensor:
    """Log density of N(0, diag(1, 9)), ``z [..., 2]``."""
    return -0.5 * (z[..., 0] ** 2 + (z[..., 1] / 3) ** 2) - math.log(6 * math.pi)


def _variance(optimum: Optimum) -> float:
    return float(optimum.parameters["scale"]) ** 2


ISOTROPIC = Read(
    name="variances of an isotropic guide",
    lesson=(
        "Forward KL of an isotropic normal guide to N(0, diag(1, 9)): moment matching gives it the average variance, "
        "5, for both coordinates; each would need a scale of its own."
    ),
    theorems=(moments.MOMENT_VARIANCES, moments.MOMENT_COVARIANCE),
    premise=SCALE,
    statistic="variances",
    family=LocationScale(2, scale="isotropic"),
    divergence=ForwardKL(),
    target=_target(torch.diag(torch.tensor([1.0, 9.0], dtype=torch.float64)), strongly_log_concave=GIVEN),
    log_p=stretched,
    space=plane(line(-7.0, 7.0, 81), line(-21.0, 21.0, 121)),
    centre=(0.0, 0.0),
    coordinates=(0, 1),
    direction=(1.0, 0.0),
    starts=(((0.3, -0.2), (0.0,)),),
    reach=4.0,
    read=_variance,
    truth=1.0,
    unit_name="",
)

ELLIPTICAL = (RING, DIAGONAL, ISOTROPIC)

__all__ = ["ELLIPTICAL", "correlated", "ring", "stretched"]
