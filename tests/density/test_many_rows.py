"""Data so long that derivatives are computed in parts, against closed forms."""

import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.density import LogDensity

ROWS = 100_000


def logistic(predictors, response):
    beta = pyro.sample("beta", dist.Normal(0.0, 2.0).expand([3]).to_event(1))
    with pyro.plate("rows", len(response)):
        pyro.sample("y", dist.Bernoulli(logits=predictors @ beta), obs=response)


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    predictors = torch.randn(ROWS, 3, dtype=torch.float64, generator=generator)
    return predictors, (predictors[:, 0] > 0).double()


def test_the_hessian_is_exact_where_it_is_computed_in_parts(data):
    """Minus the Hessian is X^T diag(p (1 - p)) X + I / 4; one part has two directions, the other one."""
    density = LogDensity.from_model(logistic, *data)
    assert 1 < density._rows < density.dim
    z = torch.tensor([[0.3, -0.2, 0.1], [0.0, 0.5, 0.0]], dtype=torch.float64)
    for point, hessian in zip(z, density.hessian(z), strict=True):
        p = torch.sigmoid(data[0] @ point)
        exact = -(data[0].mT * (p * (1 - p))) @ data[0] - torch.eye(3, dtype=torch.float64) / 4
        torch.testing.assert_close(hessian, exact, rtol=1e-10, atol=1e-8)


def test_parts_and_whole_agree_where_both_fit(data):
    density = LogDensity.from_model(logistic, data[0][:50], data[1][:50])
    z = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
    whole = density.hessian(z)
    density._rows = 1
    torch.testing.assert_close(density.hessian(z), whole, rtol=1e-12, atol=1e-12)
