"""Student-t guides that prefer one cluster: few degrees of freedom, a fixed scale, one scale for each coordinate."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...distributions.bases import StudentT
from ...divergences import ForwardKL
from ...families import LocationScale
from ...families.scales import Fixed
from ..theorems import student
from ..theorems.theorem import UNIQUE
from .displaced import Displaced
from .modes import even, two_normals
from .quadrature import joined, line, plane

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

TAILS = (FEW_DEGREES, FIXED_SCALE, DIAGONAL_SCALE)

__all__ = ["DIAGONAL_SCALE", "FEW_DEGREES", "FIXED_SCALE", "TAILS", "two_clusters"]
