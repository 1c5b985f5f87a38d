"""Two modes: even targets that are neither log-concave nor unimodal, fitted below alpha = 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...divergences import Alpha, ReverseKL
from ...families import LocationScale
from ...groups import PointReflection
from ..theorems import Growth, Symmetry, Target, log_concave, proved, unimodal
from ..theorems.theorem import CURVED
from .displaced import Displaced
from .quadrature import line

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

MODES = (TWO_MODES, TWO_MODES_BETWEEN)

__all__ = ["GIVEN", "MODES", "TWO_MODES", "TWO_MODES_BETWEEN", "even", "two_normals"]
