"""The log posterior on flat vectors against torch.distributions, and its gradient against autograd."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from pyro_symvi.bnn import (
    Categorical,
    FanInPrior,
    FlatPrior,
    GaussianNoise,
    HeteroscedasticGaussian,
    LaplacePrior,
    LearnedGaussianNoise,
    NetworkPosterior,
    NetworkPrior,
    NormalPrior,
)

MIXED = NetworkPrior(NormalPrior(0.7), {"0.weight": LaplacePrior(1.3), "*.bias": NormalPrior(2.0)})


def data(n: int = 7, inputs: int = 3, targets: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, inputs, generator=generator, dtype=torch.float64)
    return x, torch.randn(n, targets, generator=generator, dtype=torch.float64)


def mlp(outputs: int, activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(3, 4), activation(), nn.Sequential(nn.Linear(4, 3), activation()), nn.Linear(3, outputs)
    )


class Residual(nn.Module):
    """Not a perceptron: goes through the general kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.outer(x + torch.tanh(self.inner(x)))


def by_hand(posterior: NetworkPosterior, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log likelihood and log prior of one vector, with torch.nn and torch.distributions."""
    network = posterior.network
    weights = theta[: posterior.layout.network_dim]
    nn.utils.vector_to_parameters(weights, network.parameters())
    outputs, y = network(posterior.x), posterior.y
    match posterior.likelihood:
        case Categorical():
            likelihood = torch.distributions.Categorical(logits=outputs).log_prob(y).sum()
        case HeteroscedasticGaussian():
            loc, s = outputs.chunk(2, -1)
            likelihood = torch.distributions.Normal(loc, s.exp()).log_prob(y).sum()
        case LearnedGaussianNoise():
            likelihood = torch.distributions.Normal(outputs, theta[-1].exp()).log_prob(y).sum()
        case _:
            likelihood = torch.distributions.Normal(outputs, outputs.new_tensor(0.3)).log_prob(y).sum()
    prior = theta.new_zeros(())
    for name, parameter in network.named_parameters():
        if name == "0.weight":
            law: torch.distributions.Distribution = torch.distributions.Laplace(
                theta.new_zeros(()), theta.new_tensor(1.3)
            )
        else:
            scale = 2.0 if name.endswith("bias") else 0.7
            law = torch.distributions.Normal(theta.new_zeros(()), theta.new_tensor(scale))
        prior = prior + law.log_prob(parameter).sum()
    if posterior.layout.extras:
        prior = prior + torch.distributions.Normal(theta.new_tensor(-1.0), 0.5).log_prob(theta[-1])
    return likelihood.detach(), prior.detach()


@pytest.mark.parametrize(
    "likelihood, outputs",
    [
        (GaussianNoise(0.3), 2),
        (LearnedGaussianNoise(-1.0, 0.5), 2),
        (HeteroscedasticGaussian(), 4),
        (Categorical(3), 3),
    ],
    ids=["known", "learned", "heteroscedastic", "categorical"],
)
def test_density_is_that_of_torch_distributions(likelihood, outputs):
    x, y = data()
    targets = torch.arange(len(x)) % 3 if likelihood.is_classification else y
    posterior = NetworkPosterior(mlp(outputs), likelihood, MIXED, x, targets)
    theta = torch.randn(2, 5, posterior.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for c, s in ((0, 0), (1, 3)):
        expected_likelihood, expected_prior = by_hand(posterior, theta[c, s])
        torch.testing.assert_close(posterior.log_likelihood(theta)[c, s], expected_likelihood, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(posterior.log_prior(theta)[c, s], expected_prior, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.GELU, nn.Softsign])
@pytest.mark.parametrize("kind", ["known", "learned", "heteroscedastic", "categorical"])
def test_gradient_is_that_of_autograd(kind, activation):
    likelihood, outputs = {
        "known": (GaussianNoise(0.3), 2),
        "learned": (LearnedGaussianNoise(-1.0, 0.5), 2),
        "heteroscedastic": (HeteroscedasticGaussian(), 4),
        "categorical": (Categorical(3), 3),
    }[kind]
    x, y = data()
    targets = torch.arange(len(x)) % 3 if likelihood.is_classification else y
    posterior = NetworkPosterior(mlp(outputs, activation), likelihood, MIXED, x, targets)
    theta = torch.randn(3, posterior.dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    leaf = theta.clone().requires_grad_()
    log_prob = posterior.log_prob(leaf)
    (expected,) = torch.autograd.grad(log_prob.sum(), leaf)
    value, gradient = posterior.value_and_grad(theta)
    torch.testing.assert_close(value, log_prob.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-10)


def test_any_module_through_the_general_kernel():
    x, y = data()
    network = Residual().double()
    posterior = NetworkPosterior(network, GaussianNoise(0.3), NormalPrior(1.5), x, y)
    theta = nn.utils.parameters_to_vector(network.parameters()).detach().expand(2, -1)
    torch.testing.assert_close(posterior.outputs(theta)[1], network(x).detach())
    leaf = theta.clone().requires_grad_()
    (expected,) = torch.autograd.grad(posterior.log_prob(leaf).sum(), leaf)
    torch.testing.assert_close(posterior.value_and_grad(theta)[1], expected, rtol=1e-10, atol=1e-10)


def test_frozen_parameters_stay_and_are_left_out():
    x, y = data()
    network = mlp(2).double()
    network[0].bias.requires_grad_(False)
    posterior = NetworkPosterior(network, GaussianNoise(0.3), NormalPrior(), x, y)
    assert "0.bias" not in posterior.layout.names
    theta = torch.cat([p.detach().reshape(-1) for p in network.parameters() if p.requires_grad])
    torch.testing.assert_close(posterior.outputs(theta), network(x).detach())


def test_prior_draws_follow_the_prior():
    x, y = data()
    posterior = NetworkPosterior(mlp(2), LearnedGaussianNoise(-1.0, 0.5), MIXED, x, y)
    theta = posterior.sample_prior(2000, generator=torch.Generator().manual_seed(3))
    places = posterior.layout.slices
    laws = {
        "0.weight": stats.laplace(scale=1.3),
        "0.bias": stats.norm(scale=2.0),
        "2.0.weight": stats.norm(scale=0.7),
        "noise.log_scale": stats.norm(-1.0, 0.5),
    }
    for name, law in laws.items():
        found = stats.kstest(theta[:, places[name].start].numpy(), law.cdf)
        assert found.pvalue > 1e-3, name  # 4 tests at a fixed seed


def test_fan_in_scales_and_flat_biases():
    x, y = data()
    prior = NetworkPrior(FanInPrior(gain=2.0), {"*.bias": FlatPrior()})
    posterior = NetworkPosterior(mlp(2), GaussianNoise(0.3), prior, x, y)
    scale = posterior.parameter_prior.scale
    assert float(scale[posterior.layout.slices["0.weight"].start]) == pytest.approx(2 / math.sqrt(3))
    assert float(scale[posterior.layout.slices["3.weight"].start]) == pytest.approx(2 / math.sqrt(3))
    theta = torch.randn(1, posterior.dim, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    moved = theta.clone()
    moved[:, posterior.layout.slices["0.bias"]] += 5
    torch.testing.assert_close(posterior.log_prior(theta), posterior.log_prior(moved))
    with pytest.raises(ValueError, match="proper prior"):
        posterior.sample_prior(3)


def test_no_rows_leave_the_prior():
    posterior = NetworkPosterior(
        mlp(2), GaussianNoise(0.3), NormalPrior(), torch.zeros(0, 3).double(), torch.zeros(0, 2).double()
    )
    theta = torch.randn(2, posterior.dim, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    value, gradient = posterior.value_and_grad(theta)
    torch.testing.assert_close(value, posterior.log_prior(theta))
    torch.testing.assert_close(gradient, -theta)


@pytest.mark.parametrize(
    "change, match",
    [
        ({"x": torch.tensor([[1.0, 2.0, math.nan]]), "y": torch.zeros(1, 2)}, "finite x"),
        ({"y": torch.zeros(3, 2)}, "as many inputs as targets"),
        ({"y": torch.zeros(7, 1)}, "1 outputs"),
        ({"likelihood": Categorical(2)}, "classes"),
        ({"x": torch.zeros(7, 5)}, "inputs that the network takes"),
        ({"network": nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))}, r"network.eval\(\)"),
        ({"prior": NetworkPrior(NormalPrior(), {"conv*": NormalPrior()})}, "pattern that matches"),
    ],
    ids=["nan", "rows", "outputs", "classes", "inputs", "dropout", "pattern"],
)
def test_bad_input(change, match):
    x, y = data()
    given = {"network": mlp(2), "likelihood": GaussianNoise(), "prior": NormalPrior(), "x": x.float(), "y": y.float()}
    with pytest.raises(ValueError, match=match):
        NetworkPosterior(**(given | change))
