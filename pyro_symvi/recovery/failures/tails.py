"""Tails: Student-t guides that prefer one cluster, divergences that are infinite, a posterior without an integral."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ...distributions.bases import StudentT
from ...divergences import Alpha, ForwardKL, ReverseKL
from ...families import LocationScale
from ...families.scales import Fixed
from ...groups import PointReflection
from ..theorems import Growth, Symmetry, Target, log_concave, refuted, student
from ..theorems.theorem import FINITE, PROPER, UNIQUE
from .displaced import Displaced
from .modes import GIVEN, even, two_normals
from .quadrature import joined, line, plane, vector
from .unbounded import Unbounded

_SPIKES = joined(line(-8.0, 0.0, 401), line(0.0, 8.0, 401))

FEW_DEGREES = Displaced(
    name="Student-t guide with half a degree of freedom",
    lesson=(
        "Forward KL of a Student-t guide to two normals of sd 1/2 at -4 and 4. Above one degree of freedom its optimum "
        "is unique, and at the centre; at 1/2 the tails are so heavy that covering one cluster and writing off the "
        "other is better."
    ),
    theorems=(student.STUDENT_MEAN,),
    premise=UNIQUE,
    family=LocationScale(1, "student_t", "diagonal", df=0.5),
    divergence=ForwardKL(),
    target=even(),
    log_p=two_normals(4.0, 0.5),
    space=_SPIKES,
    starts=(((4.0,), (-0.6,)), ((-4.0,), (-0.6,)), ((0.0,), (1.3,))),
    reach=6.0,
)

FIXED_SCALE = Displaced(
    name="Student-t guide of fixed scale",
    lesson=(
        "Forward KL of t_3(location, 1) to two normals of sd 1/2 at -4 and 4: with the scale held at 1 the optimum is "
        "near one of them. With the scale free it is at the centre."
    ),
    theorems=(student.STUDENT_MEAN,),
    premise=UNIQUE,
    family=LocationScale(1, "student_t", Fixed(1.0), df=3.0),
    divergence=ForwardKL(),
    target=even(),
    log_p=two_normals(4.0, 0.5),
    space=_SPIKES,
    starts=(((3.4,), ()), ((-3.4,), ()), ((0.1,), ())),
    reach=6.0,
)


def two_clusters(z: Tensor) -> Tensor:
    """Log density of 1/2 N((5, 5), 0.04 I) + 1/2 N(-(5, 5), 0.04 I), ``z [..., 2]``."""
    pair = [-0.5 * ((z + s * 5) / 0.2).square().sum(-1) for s in (1, -1)]
    return torch.logaddexp(*pair) - math.log(2 * 0.04 * 2 * math.pi)


_CLUSTER = [plane(line(s * 5 - 1.6, s * 5 + 1.6, 41), line(s * 5 - 1.6, s * 5 + 1.6, 41)) for s in (-1, 1)]

DIAGONAL_SCALE = Displaced(
    name="multivariate Student-t guide of diagonal scale",
    lesson=(
        "Forward KL of a bivariate t with 1.5 degrees of freedom and a diagonal scale to two narrow clusters at "
        "(5, 5) and -(5, 5): it settles on one. More than one degree of freedom is enough with a full scale, not here."
    ),
    theorems=(student.STUDENT_MEAN,),
    premise=UNIQUE,
    family=LocationScale(2, StudentT(1.5, spherical=True), "diagonal"),
    divergence=ForwardKL(),
    target=even(2),
    log_p=two_clusters,
    space=joined(*_CLUSTER),
    centre=(0.0, 0.0),
    coordinates=(0, 1),
    direction=(1.0, 1.0),
    starts=(((4.9, 4.9), (-0.6, -0.6)), ((-4.9, -4.9), (-0.6, -0.6)), ((0.0, 0.0), (1.5, 1.5))),
    reach=7.0,
)

_UNIT = {"loc": vector(0.0), "scale": vector(1.0)}
_NORMAL = replace(even(), strongly_log_concave=GIVEN)


def standard(z: Tensor) -> Tensor:
    """Log density of the standard normal law, ``z [..., d]``."""
    return -0.5 * z.square().sum(-1) - 0.5 * z.shape[-1] * math.log(2 * math.pi)


def _outside(half: Tensor) -> Tensor:
    """Logarithm to base 10 of the normal mass beyond the half-width on either side."""
    return torch.special.erfc(half / math.sqrt(2)).log10()


COMPACT = Unbounded(
    name="forward KL of a uniform guide",
    lesson=(
        "Forward KL of a uniform guide to a normal target is infinite whatever its half-width: some mass of the target "
        "always lies where the guide is zero. Even, log-concave, symmetric: and there is nothing to minimise."
    ),
    theorems=(log_concave.FORWARD,),
    premise=FINITE,
    family=LocationScale(1, "uniform_ball", "diagonal"),
    divergence=ForwardKL(),
    target=_NORMAL,
    log_p=standard,
    space=line(-8.0, 8.0, 801),
    growth=_outside,
    span=(0.2, 6.0),
    label="half-width of the guide",
    quantity="log10 of the mass outside",
    guide_at={"loc": vector(0.0), "scale": vector(2.0)},
)

_T5 = LocationScale(1, "student_t", "diagonal", df=5.0)


def _log_integral(radius: Tensor) -> Tensor:
    """Log of the integral of q^2 / p over [-radius, radius], p normal and q a Student-t law with 5 degrees."""
    z, log_weights = line(-float(radius.max()), float(radius.max()), 4001)
    terms = 2 * _T5.log_prob(z, _UNIT) - standard(z) + log_weights
    inside = z[:, 0].abs() <= radius[:, None] + 1e-12
    return torch.where(inside, terms, -torch.inf).logsumexp(-1)


HEAVY_GUIDE = Unbounded(
    name="heavy-tailed guide, alpha below 0",
    lesson=(
        "Alpha = -1 of a Student-t guide to a normal target: the integral of q^2 / p is infinite for every location "
        "and scale, because 1/p grows faster than any power falls. A finite sample never shows it."
    ),
    theorems=(log_concave.REVERSE,),
    premise=FINITE,
    family=_T5,
    divergence=Alpha(-1.0),
    target=_NORMAL,
    log_p=standard,
    space=line(-8.0, 8.0, 801),
    growth=_log_integral,
    span=(0.5, 12.0),
    label="integrated from -R to R, R =",
    quantity="log of the integral of q^2 / p",
    guide_at=_UNIT,
)


def one_sum(z: Tensor) -> Tensor:
    """Log density -(z1 + z2)^2 / 2: two predictors that are one, flat priors; it has no integral."""
    return -0.5 * (z[..., 0] + z[..., 1]) ** 2


def _stretched(stretch: Tensor) -> Tensor:
    """Reverse KL, up to a constant, of N(0, C C^T), C = exp(stretch) along (1, -1) and 1 / sqrt(2) across."""
    return 0.5 - stretch + 0.5 * math.log(2)


_C = torch.tensor([[1.6, 0.0], [-1.3, 0.9]], dtype=torch.float64)

IMPROPER = Unbounded(
    name="an improper posterior",
    lesson=(
        "Two predictors that are copies of each other under flat priors: log p depends on the sum of the slopes alone. "
        "It is even and concave and has no integral; reverse KL falls for ever as the guide stretches along (1, -1)."
    ),
    theorems=(log_concave.REVERSE,),
    premise=PROPER,
    family=LocationScale(2),
    divergence=ReverseKL(),
    target=Target(
        2,
        (Symmetry(PointReflection(), GIVEN),),
        proper=refuted("log p is constant along (1, -1)"),
        log_concave=GIVEN,
        positive=GIVEN,
        growth=Growth("polynomial", 2.0),
    ),
    log_p=one_sum,
    space=plane(line(-6.0, 6.0, 61), line(-6.0, 6.0, 61)),
    centre=(0.0, 0.0),
    coordinates=(0, 1),
    growth=_stretched,
    span=(0.0, 6.0),
    label="log of the guide's scale along (1, -1)",
    quantity="objective, up to a constant",
    guide_at={"loc": vector(0.0, 0.0), "scale": _C},
)

TAILS = (FEW_DEGREES, FIXED_SCALE, DIAGONAL_SCALE, COMPACT, HEAVY_GUIDE, IMPROPER)

__all__ = ["TAILS", "one_sum", "standard", "two_clusters"]
