"""Objectives that are not a divergence that is minimised: coupled tuples, negative orders, sample averages."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...divergences import Alpha, ReverseKL
from ...families import LocationScale
from ...groups import PointReflection
from ..theorems import Growth, Objective, Symmetry, Target, a_posteriori, log_concave, refuted, unimodal
from ..theorems.theorem import EXISTS, FITTED, OBJECTIVE
from .displaced import Displaced
from .modes import GIVEN
from .quadrature import line, plane, vector
from .tails import standard
from .unbounded import Unbounded


def logistic(z: Tensor) -> Tensor:
    """Log density of the logistic law, ``z [..., 1]``."""
    y = z[..., 0].abs()
    return -y - 2 * torch.nn.functional.softplus(-y)


_CURVED = Target(
    1,
    (Symmetry(PointReflection(), GIVEN),),
    proper=GIVEN,
    strictly_log_concave=GIVEN,
    positive=GIVEN,
    convex_levels=GIVEN,
    decreasing=GIVEN,
    growth=Growth("polynomial", 1.0),
)


@dataclass(frozen=True, kw_only=True)
class Coupled(Displaced):
    """The importance-weighted bound with two draws, the second being minus the first before shift and scale."""

    def value(self, location: Tensor, scale: Tensor) -> Tensor:
        """-E log of the average of the two weights."""
        if self.noise is None:
            return super().value(location, scale)
        parameters, (nodes, log_weights) = self.parameters(location, scale), self.noise
        log_base = self.guide.log_base(nodes, parameters)
        weights = []
        for noise in (nodes, -nodes):
            z = location + self.guide.apply(parameters["scale"], noise)
            weights.append(self.log_p(z) - log_base + self.guide.log_det(parameters["scale"]))
        return -((log_base + log_weights).exp() * (torch.logaddexp(*weights) - math.log(2))).sum()


COUPLED = Coupled(
    name="an antithetic pair inside a tuple",
    lesson=(
        "The importance-weighted bound with two draws at xi and -xi, on a logistic target. Target, guide and draws are "
        "all symmetric, and the optimum is not: the pair is another functional. Put the symmetry across tuples."
    ),
    theorems=(unimodal.UNIMODAL_MEAN, log_concave.BETWEEN),
    premise=OBJECTIVE,
    family=LocationScale(1, scale="diagonal"),
    divergence=Alpha.from_pyro(0.0),
    objective=Objective.renyi_elbo(0.0, 2, independent=False),
    target=_CURVED,
    log_p=logistic,
    space=line(-40.0, 40.0, 2001),
    noise=line(-9.0, 9.0, 1201),
    starts=(((1.2,), (0.7,)), ((-1.2,), (0.7,)), ((0.0,), (0.7,))),
    reach=3.0,
)


@dataclass(frozen=True, kw_only=True)
class Sampled(Displaced):
    """The average over given draws in place of the divergence; ``noise`` holds them, its weights do not count."""

    def value(self, location: Tensor, scale: Tensor) -> Tensor:
        """The average of log q - log p."""
        if self.noise is None:
            return super().value(location, scale)
        parameters, nodes = self.parameters(location, scale), self.noise[0]
        z = location + self.guide.apply(parameters["scale"], nodes)
        log_q = self.guide.log_base(nodes, parameters) - self.guide.log_det(parameters["scale"])
        return (log_q - self.log_p(z)).mean()


_DRAWS = torch.randn(8, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(4))

FEW_DRAWS = Sampled(
    name="eight draws",
    lesson=(
        "Reverse KL as an average over eight fixed independent draws, on a logistic target. The divergence has its "
        "minimum at the centre, the average has one of its own. Eight draws and their negatives would be exact."
    ),
    theorems=(a_posteriori.REFLECTION_MEAN,),
    premise=FITTED,
    family=LocationScale(1, scale="diagonal"),
    divergence=ReverseKL(),
    target=_CURVED,
    log_p=logistic,
    space=line(-40.0, 40.0, 2001),
    noise=(_DRAWS, torch.zeros(8, dtype=torch.float64)),
    starts=(((0.0,), (0.4,)),),
    reach=3.0,
    judged_by="certificate",
)


def _renyi(location: Tensor) -> Tensor:
    """R of order -1 of N(0, 1) and N(location, 0.64): -log(integral of q^2 / p) / 2, in closed form."""
    c = 1 / 0.64
    a = c - 0.5
    log_integral = 0.5 * math.log(math.pi / a) - math.log(0.64 * math.sqrt(2 * math.pi))
    return -0.5 * (log_integral + location**2 * (c**2 / a - c))


NEGATIVE_ORDER = Unbounded(
    name="a Renyi divergence of negative order",
    lesson=(
        "R_alpha(P || Q) with alpha = -1 falls where D_alpha rises: minimised, it drives the guide away from the "
        "centre without end. So does RenyiELBO with alpha below 0."
    ),
    theorems=(log_concave.REVERSE,),
    premise=OBJECTIVE,
    family=LocationScale(1, scale="diagonal"),
    divergence=Alpha.from_renyi(-1.0),
    objective=Objective.renyi_divergence(-1.0),
    target=replace(_CURVED, strongly_log_concave=GIVEN, growth=Growth("polynomial", 2.0)),
    log_p=standard,
    space=line(-8.0, 8.0, 801),
    growth=_renyi,
    span=(-3.0, 3.0),
    label="location",
    quantity="R of order -1",
    guide_at={"loc": vector(0.0), "scale": vector(0.8)},
)


def _one_pair(stretch: Tensor) -> Tensor:
    """-log|C| + |C xi|^2 / 2 for the pair +-xi, xi = (1, 1/2), C = I + stretch v v^T, v orthogonal to xi."""
    return -torch.log1p(stretch) + 0.5 * 1.25


FEW_PAIRS = Unbounded(
    name="one antithetic pair in the plane",
    lesson=(
        "Reverse KL as an average over one pair of draws, +-(1, 1/2), with a full scale in two dimensions: stretching "
        "the guide across them moves no draw and raises log|C|. A full scale in d dimensions needs d pairs."
    ),
    theorems=(log_concave.REVERSE, log_concave.SCATTER),
    premise=EXISTS,
    family=LocationScale(2),
    divergence=ReverseKL(),
    objective=Objective(ReverseKL(), exists=refuted("fewer pairs than coordinates")),
    target=replace(_CURVED, dim=2, strongly_log_concave=GIVEN, growth=Growth("polynomial", 2.0)),
    log_p=standard,
    space=plane(line(-4.0, 4.0, 61), line(-4.0, 4.0, 61)),
    centre=(0.0, 0.0),
    coordinates=(0, 1),
    growth=_one_pair,
    span=(0.0, 50.0),
    label="stretch across the two draws",
    guide_at={
        "loc": vector(0.0, 0.0),
        "scale": torch.linalg.cholesky(
            torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
            + 8 * torch.tensor([[0.2, -0.4], [-0.4, 0.8]], dtype=torch.float64)
        ),
    },
)

OBJECTIVES = (COUPLED, FEW_DRAWS, NEGATIVE_ORDER, FEW_PAIRS)

__all__ = ["OBJECTIVES", "Coupled", "Sampled", "logistic"]
