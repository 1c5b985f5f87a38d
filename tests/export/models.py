"""Models with known answers for the tests of exports."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

F64 = torch.float64
SIGMA, TAU = 0.8, 2.0
Y = torch.tensor([1.9, 0.3, 1.1, 2.4, 0.9, -0.2, 1.5, 0.7, 1.3, 2.0], dtype=F64)


def known_variance(y: Tensor) -> None:
    """mu ~ N(0, 2^2), y_i ~ N(mu, 0.8^2): everything is known."""
    mu = pyro.sample("mu", dist.Normal(0.0, TAU))
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(mu, SIGMA), obs=y)


def exact(y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the posterior of `known_variance`."""
    precision = 1 / TAU**2 + len(y) / SIGMA**2
    return y.sum() / SIGMA**2 / precision, torch.as_tensor(1 / precision, dtype=F64)


def leave_one_out(y: Tensor) -> Tensor:
    """log p(y_i | the others), exactly."""
    found = []
    for i in range(len(y)):
        m, v = exact(torch.cat([y[:i], y[i + 1 :]]))
        found.append(torch.distributions.Normal(m, (v + SIGMA**2).sqrt()).log_prob(y[i]))
    return torch.stack(found)


COUNTS = torch.tensor([[2.0, 0.0, 3.0], [1.0, 4.0, 1.0]], dtype=F64)
WEIGHTS = torch.tensor([0.2, -0.5, 1.3, 0.8], dtype=F64)


def several(weights: Tensor, counts: Tensor, offset: float = 0.5) -> None:
    """Two observed sites, a simplex, a vector event, a factor, a deterministic site, a scaled likelihood."""
    beta = pyro.sample("beta", dist.Normal(torch.zeros(2), 1.0).to_event(1))
    share = pyro.sample("share", dist.Dirichlet(torch.ones(3)))
    with pyro.plate("groups", 2, dim=-2):
        rate = pyro.sample("rate", dist.Gamma(2.0, 1.0))
        with pyro.plate("times", 3, dim=-1):
            pyro.sample("counts", dist.Poisson(rate * share * 3), obs=counts)
    total = pyro.deterministic("total", beta.sum() + offset)
    pyro.factor("tilt", -0.1 * beta[0] ** 2)
    with pyro.plate("rows", len(weights)), pyro.poutine.scale(scale=2.0):
        pyro.sample("weights", dist.StudentT(4.0, total, 1.5), obs=weights)
