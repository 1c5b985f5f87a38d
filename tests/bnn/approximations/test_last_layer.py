"""The last layer given the rest: closed forms for normal noise, autograd's Hessian for the others."""

import math

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import (
    Categorical,
    FlatPrior,
    GaussianNoise,
    HeteroscedasticGaussian,
    LaplacePrior,
    LearnedGaussianNoise,
    NetworkPosterior,
    NetworkPrior,
    NormalPrior,
)
from pyro_symvi.bnn.approximations import LastLayerLaplace

PRIOR = NetworkPrior(NormalPrior(1.0), {"2.weight": NormalPrior(0.7), "2.bias": NormalPrior(1.6)})


def rows(n: int = 25) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return x, torch.stack([x.sum(-1).sin(), x[:, 0] - 1], 1) + 0.2 * torch.randn(
        n, 2, generator=generator, dtype=torch.float64
    )


def network(outputs: int, hidden: int = 4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, outputs))


def start(posterior: NetworkPosterior) -> torch.Tensor:
    return posterior.sample_prior(1, generator=torch.Generator().manual_seed(1))[0]


def design_of(posterior: NetworkPosterior, theta: torch.Tensor) -> torch.Tensor:
    weights = posterior.layout.unflatten(theta)
    h = torch.tanh(posterior.x @ weights["0.weight"].T + weights["0.bias"])
    return torch.cat([h, h.new_ones(len(h), 1)], 1)


def test_normal_noise_in_closed_form():
    posterior = NetworkPosterior(network(2), GaussianNoise(0.25), PRIOR, *rows())
    theta = start(posterior)
    fitted = LastLayerLaplace(start=theta).fit(posterior)
    phi = design_of(posterior, theta)
    variances = torch.tensor([0.49] * 4 + [2.56], dtype=torch.float64)
    precision = phi.T @ phi / 0.0625 + torch.diag(1 / variances)
    marginal = torch.distributions.MultivariateNormal(
        torch.zeros(25).double(), 0.0625 * torch.eye(25).double() + phi @ torch.diag(variances) @ phi.T
    )
    evidence = 0.0
    for k in range(2):
        mine = fitted.places[k]
        mean = torch.linalg.solve(precision, phi.T @ posterior.y[:, k] / 0.0625)
        torch.testing.assert_close(fitted.theta[mine], mean)
        block = slice(5 * k, 5 * k + 5)
        torch.testing.assert_close(fitted.precision[block, block], precision)
        evidence += float(marginal.log_prob(posterior.y[:, k]))
    assert fitted.log_evidence == pytest.approx(evidence, abs=1e-9)
    assert fitted.info["converged"]
    assert float(fitted.precision[:5, 5:].abs().max()) == 0  # outputs are independent
    names = posterior.layout.slices
    torch.testing.assert_close(fitted.theta[names["0.weight"]], theta[names["0.weight"]], rtol=0, atol=0)


def test_draws_have_the_conditional_law():
    posterior = NetworkPosterior(network(1), GaussianNoise(0.25), PRIOR, rows()[0], rows()[1][:, 0])
    fitted = LastLayerLaplace(start=start(posterior)).fit(posterior)
    draws = fitted.sample(20_000, torch.Generator().manual_seed(0)).flat
    last = draws[:, fitted.places[0]]
    error = (fitted.covariance.diagonal() / 20_000).sqrt()
    assert (((last.mean(0) - fitted.loc) / error).abs() < 4).all()
    scale = fitted.covariance.diagonal().sqrt()
    gap = (torch.cov(last.T) - fitted.covariance) / (scale[:, None] * scale)
    assert float(gap.abs().max()) < 4 * math.sqrt(2 / 20_000)
    # the posterior along the last layer is this density, up to a constant
    constant = posterior.log_prob(draws[:50]) - fitted.log_prob(draws[:50])
    assert float(constant.std()) < 1e-8
    assert fitted.log_prob(draws[0] + 0.1) == -math.inf  # other weights are not those of the law
    assert torch.isfinite(fitted.log_prob(draws[0]))


def test_noise_by_evidence():
    posterior = NetworkPosterior(network(1), LearnedGaussianNoise(-1.0, 0.5), PRIOR, rows()[0], rows()[1][:, 0])
    theta = start(posterior)
    fitted = LastLayerLaplace(evidence=True, start=theta).fit(posterior)
    phi, variances = design_of(posterior, theta), torch.tensor([0.49] * 4 + [2.56], dtype=torch.float64)

    def objective(s: torch.Tensor) -> torch.Tensor:
        covariance = (2 * s).exp() * torch.eye(25).double() + phi @ torch.diag(variances) @ phi.T
        law = torch.distributions.MultivariateNormal(torch.zeros(25).double(), covariance)
        return law.log_prob(posterior.y[:, 0]) + torch.distributions.Normal(-1.0, 0.5).log_prob(s)

    leaf = fitted.theta[-1].clone().requires_grad_()
    (slope,) = torch.autograd.grad(objective(leaf), leaf)
    assert abs(float(slope)) < 1e-3
    s = leaf.detach()
    assert float(objective(s)) > max(float(objective(s + d)) for d in (-0.3, 0.3))
    assert fitted.info["noise"] == pytest.approx(math.exp(float(s)))
    given = LastLayerLaplace(noise=0.4, start=theta).fit(posterior)
    assert given.theta[-1] == pytest.approx(math.log(0.4))
    assert LastLayerLaplace(start=theta).fit(posterior).theta[-1] == theta[-1]
    with pytest.raises(ValueError, match="both"):
        LastLayerLaplace(noise=0.4, evidence=True)


@pytest.mark.parametrize("kind", ["categorical", "heteroscedastic"])
def test_other_likelihoods_against_autograd(kind):
    x, y = rows()
    if kind == "categorical":
        classes = (y[:, 0] > 0).long() + (y[:, 1] > -1).long()
        posterior = NetworkPosterior(network(3), Categorical(3), PRIOR, x, classes)
    else:
        posterior = NetworkPosterior(network(2), HeteroscedasticGaussian(), PRIOR, x, y[:, 0])
    fitted = LastLayerLaplace(start=start(posterior)).fit(posterior)
    assert fitted.info["converged"]
    index = fitted.places.reshape(-1)

    def loss(weights: torch.Tensor) -> torch.Tensor:
        return -posterior.log_prob(fitted.theta.index_put((index,), weights))

    at = fitted.theta[index]
    leaf = at.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    assert float(gradient @ torch.linalg.solve(fitted.precision, gradient)) < 1e-8  # the mode: nothing left to gain
    hessian = torch.autograd.functional.hessian(loss, at)
    if kind == "categorical":  # logits are linear in the weights and the link is canonical: both are the same
        torch.testing.assert_close(fitted.precision, hessian)
        return
    # Fisher information: the mean over targets of the model. Residuals enter by z and z^2, so that +-1 stand for all.
    loc, s = posterior.outputs(fitted.theta).chunk(2, -1)
    both = torch.zeros_like(hessian)
    for z in (1.0, -1.0):
        posterior.y = loc + z * s.exp()
        both += torch.autograd.functional.hessian(loss, at) / 2
    torch.testing.assert_close(fitted.precision, both)


def test_evidence_of_classes_against_quadrature():
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
    classes = (x[:, 0] > 0.1).long()
    posterior = NetworkPosterior(nn.Linear(1, 2, bias=False), Categorical(2), NormalPrior(0.5), x, classes)
    fitted = LastLayerLaplace(start=torch.zeros(2).double()).fit(posterior)
    grid = torch.linspace(-4, 4, 161, dtype=torch.float64)
    values = posterior.log_prob(torch.cartesian_prod(grid, grid))
    truth = float(values.logsumexp(0)) + 2 * math.log(0.05)  # the trapezoidal rule: spectral for what decays
    assert fitted.log_evidence == pytest.approx(truth, abs=0.02)


def test_flat_bias_and_linear_model():
    x, y = rows()
    prior = NetworkPrior(NormalPrior(0.7), {"bias": FlatPrior()})
    posterior = NetworkPosterior(nn.Linear(2, 2), GaussianNoise(0.3), prior, x, y)
    fitted = LastLayerLaplace(start=torch.zeros(6).double()).fit(posterior)
    residual = y - posterior.outputs(fitted.theta)
    torch.testing.assert_close(residual.sum(0), torch.zeros(2).double())  # nothing pulls an unpenalised bias


class Scaled(nn.Module):
    """Outputs that are not linear in the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x).exp()


def test_what_is_refused():
    x, y = rows()
    noise, y = GaussianNoise(0.3), y[:, 0]
    with pytest.raises(ValueError, match="linear in the last"):
        posterior = NetworkPosterior(Scaled(), noise, NormalPrior(), x, y)
        LastLayerLaplace(start=torch.zeros(3).double()).fit(posterior)
    with pytest.raises(ValueError, match="normal prior"):
        LastLayerLaplace().fit(NetworkPosterior(network(1), noise, LaplacePrior(), x, y))
    with pytest.raises(ValueError, match="no noise scale"):
        LastLayerLaplace(noise=0.1).fit(NetworkPosterior(network(1), noise, NormalPrior(), x, y))
    frozen = network(1)
    frozen[2].requires_grad_(False)
    with pytest.raises(ValueError, match=r"trainable torch.nn.Linear"):
        LastLayerLaplace().fit(NetworkPosterior(frozen, noise, NormalPrior(), x, y))
    flat = NetworkPosterior(nn.Linear(2, 1), noise, FlatPrior(), torch.zeros_like(x), y)
    with pytest.raises(ValueError, match="singular"):
        LastLayerLaplace(start=torch.zeros(3).double()).fit(flat)
