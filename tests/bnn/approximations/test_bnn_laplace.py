"""Laplace's approximation of all weights: exact for linear models, else against the Jacobian by autograd."""

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import Categorical, FlatPrior, GaussianNoise, HeteroscedasticGaussian, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.approximations import Laplace


def rows(n: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return x, x[:, 0] - 0.3 * x[:, 1] + 0.2 * torch.randn(n, generator=generator, dtype=torch.float64)


def test_linear_models_are_exact():
    x, y = rows()
    posterior = NetworkPosterior(nn.Linear(2, 1), GaussianNoise(0.2), NormalPrior(0.7), x, y)
    phi = torch.cat([x, x.new_ones(20, 1)], 1)
    precision = phi.T @ phi / 0.04 + torch.eye(3).double() / 0.49
    mode = torch.linalg.solve(precision, phi.T @ y / 0.04)
    fitted = Laplace(start=mode).fit(posterior)
    torch.testing.assert_close(fitted.precision, precision)
    marginal = 0.04 * torch.eye(20).double() + 0.49 * phi @ phi.T
    evidence = torch.distributions.MultivariateNormal(torch.zeros(20).double(), marginal).log_prob(y)
    assert fitted.log_evidence == pytest.approx(float(evidence), abs=1e-9)
    theta = fitted.sample(20_000, torch.Generator().manual_seed(0)).flat
    assert float((posterior.log_prob(theta) - fitted.log_prob(theta) - evidence).abs().max()) < 1e-9  # Bayes' rule
    scale = precision.inverse().diagonal().sqrt()
    assert ((theta.mean(0) - mode).abs() < 4 * scale / 20_000**0.5).all()
    gap = (torch.cov(theta.T) - precision.inverse()) / (scale[:, None] * scale)
    assert float(gap.abs().max()) < 4 * (2 / 20_000) ** 0.5
    diagonal = Laplace(diagonal=True, start=mode).fit(posterior)
    torch.testing.assert_close(diagonal.precision, precision.diagonal())
    assert diagonal.log_evidence < fitted.log_evidence  # Hadamard: the diagonal has the larger determinant


@pytest.mark.parametrize("likelihood", [Categorical(2), HeteroscedasticGaussian()], ids=["classes", "heteroscedastic"])
def test_the_precision_is_gauss_newton(likelihood):
    x, y = rows()
    y = (y > 0).long() if likelihood.is_classification else y
    network = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
    posterior = NetworkPosterior(network, likelihood, NormalPrior(0.8), x, y)
    theta = 0.5 * posterior.sample_prior(1, generator=torch.Generator().manual_seed(1))[0]
    jacobian = torch.autograd.functional.jacobian(posterior.outputs, theta)
    outputs = posterior.outputs(theta)
    if likelihood.is_classification:
        p = outputs.softmax(-1)
        information = torch.stack([torch.diag(q) - torch.outer(q, q) for q in p])
    else:
        information = torch.stack([torch.diag(torch.stack([(-2 * s).exp(), s.new_tensor(2.0)])) for s in outputs[:, 1]])
    precision = sum(j.T @ i @ j for i, j in zip(information, jacobian, strict=True)) + torch.eye(17).double() / 0.64
    torch.testing.assert_close(Laplace(start=theta).fit(posterior).precision, precision)
    torch.testing.assert_close(Laplace(diagonal=True, start=theta).fit(posterior).precision, precision.diagonal())


def test_what_is_refused():
    x, y = rows()
    with pytest.raises(ValueError, match="normal priors"):
        Laplace().fit(NetworkPosterior(nn.Linear(2, 1), GaussianNoise(), FlatPrior(), x, y))
    wide = nn.Sequential(nn.Linear(2, 700), nn.ReLU(), nn.Linear(700, 1))
    with pytest.raises(ValueError, match="diagonal=True"):
        Laplace().fit(NetworkPosterior(wide, GaussianNoise(), NormalPrior(), x, y))
    with pytest.raises(ValueError, match="one finite network"):
        start = torch.zeros(2, 3).double()
        Laplace(start=start).fit(NetworkPosterior(nn.Linear(2, 1), GaussianNoise(), NormalPrior(), x, y))
