"""Plateaus: objectives that are convex in the location, not strictly: the centre is one optimum of many."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...divergences import ForwardKL, ReverseKL
from ...families import LocationScale
from ...families.scales import Fixed
from ...groups import PointReflection
from ..theorems import Symmetry, Target, log_concave, unimodal
from ..theorems.theorem import STRICT
from .displaced import Displaced
from .modes import GIVEN
from .quadrature import joined, panels

_EVEN = (Symmetry(PointReflection(), GIVEN),)


def two_blocks(z: Tensor) -> Tensor:
    """Log density of the uniform law on [-2, -1] and [1, 2], ``z [..., 1]``."""
    inside = (z[..., 0].abs() >= 1) & (z[..., 0].abs() <= 2)
    return torch.where(inside, -math.log(2), -torch.inf).to(z)


GAP = Displaced(
    name="a target with a gap",
    lesson=(
        "Forward KL of a Laplace guide looks at E|z - location|, which is smallest at every median. A target uniform "
        "on [-2, -1] and [1, 2] has a median at each point of [-1, 1]: the objective is flat there, and an optimiser "
        "may stop anywhere."
    ),
    theorems=(log_concave.FORWARD,),
    premise=STRICT,
    family=LocationScale(1, "laplace", "diagonal"),
    divergence=ForwardKL(),
    target=Target(1, _EVEN, proper=GIVEN, second_moment=GIVEN, bounded=GIVEN),
    log_p=two_blocks,
    space=joined(panels([-2.0, -1.5, -1.0], 60), panels([1.0, 1.5, 2.0], 60)),
    starts=(((-1.0,), (math.log(1.5),)), ((0.0,), (math.log(1.5),)), ((1.0,), (math.log(1.5),))),
    reach=2.5,
)


def uniform(z: Tensor) -> Tensor:
    """Log density of the uniform law on [-5, 5], ``z [..., 1]``."""
    return torch.where(z[..., 0].abs() <= 5, -math.log(10), -torch.inf).to(z)


PLATEAU = Displaced(
    name="uniform in uniform",
    lesson=(
        "Reverse KL of a uniform guide of width 2 to a uniform target of width 10: log 5 wherever the guide lies "
        "inside, infinite elsewhere. Both are log-concave and even; without strictness that is not enough."
    ),
    theorems=(log_concave.REVERSE, unimodal.UNIMODAL_MEAN, unimodal.LOG_CONCAVE_PAIR_MEAN),
    premise=STRICT,
    family=LocationScale(1, "uniform_ball", Fixed(1.0)),
    divergence=ReverseKL(),
    target=Target(1, _EVEN, proper=GIVEN, log_concave=GIVEN),
    log_p=uniform,
    space=panels([-5.0, 0.0, 5.0]),
    noise=panels([-1.0, 0.0, 1.0]),
    starts=(((-4.0,), ()), ((0.0,), ()), ((4.0,), ())),
    reach=6.0,
)

PLATEAUS = (GAP, PLATEAU)

__all__ = ["GAP", "PLATEAU", "PLATEAUS", "two_blocks", "uniform"]
