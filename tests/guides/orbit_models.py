"""Models whose posteriors have a copy of one mode at each group element, and their evidence by quadrature."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import optimize
from torch import Tensor

from pyro_symvi.density import LogDensity


def means(y: Tensor, k: int = 2) -> None:
    """Normal mixture with k unknown means, equal weights, unit scales: invariant under all k! relabellings."""
    mu = pyro.sample("mu", dist.Normal(0.0, 3.0).expand([k]).to_event(1))
    parts = dist.Normal(mu, 1.0)
    with pyro.plate("data", len(y)):
        pyro.sample("y", dist.MixtureSameFamily(dist.Categorical(torch.ones(k) / k), parts), obs=y)


def two_components(y: Tensor) -> None:
    """Means, scales and a weight: relabelling swaps the first two and takes the weight theta to 1 - theta."""
    mu = pyro.sample("mu", dist.Normal(0.0, 2.0).expand([2]).to_event(1))
    sigma = pyro.sample("sigma", dist.HalfNormal(2.0).expand([2]).to_event(1))
    theta = pyro.sample("theta", dist.Beta(5.0, 5.0))
    weights = dist.Categorical(torch.stack([theta, 1 - theta], -1))
    with pyro.plate("data", len(y)):
        pyro.sample("y", dist.MixtureSameFamily(weights, dist.Normal(mu, sigma)), obs=y)


def factor(y: Tensor) -> None:
    """y_ij = l_i z_j + noise: invariant under (l, z) -> (-l, -z)."""
    loadings = pyro.sample("loadings", dist.Normal(0.0, 1.0).expand([y.shape[1]]).to_event(1))
    with pyro.plate("rows", len(y)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("y", dist.Normal(z[..., None] * loadings[..., None, :], 0.4).to_event(1), obs=y)


def clusters(centers: list[float], n: int = 8, seed: int = 0) -> Tensor:
    noise = torch.randn(len(centers), n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (torch.tensor(centers, dtype=torch.float64)[:, None] + noise).reshape(-1)


def to_laplace(guide: Any, density: LogDensity, start: Tensor) -> None:
    """The wrapped guide at a mode, with the inverse Hessian as scatter."""

    def negative(x: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        value, gradient = density.value_and_grad(torch.as_tensor(x))
        return -float(value), -gradient.numpy()

    mode = torch.as_tensor(optimize.minimize(negative, start.double().numpy(), jac=True, method="BFGS").x)
    root = torch.linalg.cholesky(torch.linalg.inv(-density.hessian(mode)))
    guide.set_parameters({"loc": mode, "scale": root})


def bound(law: Any, density: LogDensity, n: int = 4000) -> tuple[float, float]:
    """The evidence bound E_q[log p - log q], and its standard error."""
    with torch.no_grad():
        z = law.sample((n,))
        terms = density(z.double()) - law.log_prob(z)
    return float(terms.mean()), float(terms.std()) / n**0.5


def by_quadrature(guide: Any, density: LogDensity, y: Tensor) -> tuple[float, float, float]:
    """log Z and the bounds of the wrapped guide and of the mixture, on a grid in the plane: no sampling error."""
    axis = torch.linspace(-8.0, 8.0, 481)
    z = torch.cartesian_prod(axis, axis)
    cell = float(axis[1] - axis[0]) ** 2
    with torch.no_grad():
        log_p = density(z)
        bounds = []
        for law in (guide.component.get_posterior(y), guide.get_posterior(y)):
            log_q = law.log_prob(z)
            q = log_q.exp() * cell
            assert float(q.sum()) == pytest.approx(1.0, abs=1e-9)
            bounds.append(float((q * (log_p - log_q)).sum()))
    return float(log_p.logsumexp(0)) + math.log(cell), bounds[0], bounds[1]


def swap() -> Tensor:
    matrix = torch.zeros(5, 5, dtype=torch.float64)
    for i, j, value in [(0, 1, 1.0), (1, 0, 1.0), (2, 3, 1.0), (3, 2, 1.0), (4, 4, -1.0)]:
        matrix[i, j] = value
    return matrix
