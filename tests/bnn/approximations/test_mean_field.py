"""Mean field on posteriors that are normal, where the best factorised law and its bound are known."""

import math

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import FlatPrior, GaussianNoise, LearnedGaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.approximations import DeepEnsemble, MeanField, MeanFieldStatus
from pyro_symvi.bnn.approximations._mean_field import evidence_bound

NOISE, TAU = 0.3, 0.7


def linear(n: int = 20) -> tuple[NetworkPosterior, torch.Tensor]:
    """A posterior N(mode, precision^-1), and its design ``[n, 3]``."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    x[:, 1] += 0.8 * x[:, 0]
    y = x[:, 0] - 0.5 + NOISE * torch.randn(n, generator=generator, dtype=torch.float64)
    posterior = NetworkPosterior(nn.Linear(2, 1), GaussianNoise(NOISE), NormalPrior(TAU), x, y)
    return posterior, torch.cat([x, x.new_ones(n, 1)], 1)


@pytest.fixture(scope="module")
def fitted():
    return MeanField(training=None, max_steps=2000, pairs=4).fit(linear()[0])


def test_the_best_factorised_law_of_a_normal_posterior(fitted):
    posterior, design = linear()
    precision = design.T @ design / NOISE**2 + torch.eye(3, dtype=torch.float64) / TAU**2
    mode = torch.linalg.solve(precision, design.T @ posterior.y[:, 0] / NOISE**2)
    assert fitted.status is MeanFieldStatus.CONVERGED
    torch.testing.assert_close(fitted.loc, mode, rtol=0, atol=1e-6)
    torch.testing.assert_close(fitted.scale * precision.diagonal().sqrt(), torch.ones(3).double(), rtol=0.05, atol=0)
    marginal = torch.linalg.inv(precision).diagonal().sqrt()
    assert float((marginal / fitted.scale).max()) > 1.3  # the posterior's own standard deviations are another answer


def test_the_bound_is_the_log_evidence_less_the_divergence(fitted):
    posterior, design = linear()
    precision = design.T @ design / NOISE**2 + torch.eye(3, dtype=torch.float64) / TAU**2
    covariance = NOISE**2 * torch.eye(20, dtype=torch.float64) + TAU**2 * design @ design.T
    evidence = torch.distributions.MultivariateNormal(torch.zeros(20).double(), covariance)
    divergence = 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision))
    best = float(evidence.log_prob(posterior.y[:, 0]) - divergence)
    value, error = fitted.elbo(4000, torch.Generator().manual_seed(0))
    assert error < 0.02
    assert abs(value - best) < 4 * error + 2e-3  # scales 2 % off cost 1e-3 nats
    wrong = evidence_bound(posterior, fitted.loc, 1.5 * fitted.scale, 4000, torch.Generator().manual_seed(0))
    assert wrong.value < best - 10 * wrong.standard_error


def test_without_rows_it_is_the_prior():
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    x, y = torch.zeros(0, 2, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    posterior = NetworkPosterior(network, LearnedGaussianNoise(), NormalPrior(0.4), x, y)
    fitted = MeanField(starts=1, max_steps=450).fit(posterior)
    assert float(fitted.loc.abs().max()) < 1e-3
    torch.testing.assert_close(fitted.scale[:-1], torch.full((13,), 0.4).double(), rtol=1e-2, atol=0)
    assert float(fitted.scale[-1]) == pytest.approx(1.0, rel=0.05)
    assert fitted.elbo(100).value == pytest.approx(0.0, abs=0.01)  # the evidence of no rows is one


def test_minibatches_and_a_start_from_training_lead_to_the_same_law(fitted):
    posterior, _ = linear()
    other = MeanField(starts=1, batch_size=10, pairs=4, max_steps=600, training=DeepEnsemble(epochs=50)).fit(posterior)
    assert float(((other.loc - fitted.loc) / fitted.scale).abs().max()) < 0.3  # noise of minibatches
    torch.testing.assert_close(other.scale, fitted.scale, rtol=0.15, atol=0)


def test_status():
    posterior, _ = linear()
    assert MeanField(max_steps=90, training=None).fit(posterior).status is MeanFieldStatus.MAX_STEPS
    assert MeanField(max_steps=90, learning_rate=1e5, training=None).fit(posterior).status is MeanFieldStatus.NOT_FINITE
    flat = NetworkPosterior(nn.Linear(2, 1), GaussianNoise(), FlatPrior(), posterior.x[:0], posterior.y[:0])
    assert MeanField(max_steps=600, starts=1, training=None).fit(flat).status is MeanFieldStatus.UNBOUNDED
    assert "max_steps" in MeanFieldStatus.MAX_STEPS.remedy


def test_starts_that_end_at_different_heights_are_told():
    """Hidden units that are pruned stay pruned: a start from zero weights is left on a lower optimum."""
    x = torch.linspace(-2, 2, 30, dtype=torch.float64)[:, None]
    posterior = NetworkPosterior(
        nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)),
        GaussianNoise(0.1),
        NormalPrior(1.0),
        x,
        (3 * x).sin(),
    )
    fitted = MeanField(starts=4, training=None, max_steps=1500).fit(posterior)
    heights = [bound.value for bound in fitted.info["bounds"]]
    assert max(heights) - min(heights) > 5
    assert fitted.status in (MeanFieldStatus.STARTS_DISAGREE, MeanFieldStatus.MAX_STEPS)
    again = evidence_bound(posterior, fitted.loc, fitted.scale, 2000, torch.Generator().manual_seed(1))
    best = max(fitted.info["bounds"])
    assert abs(again.value - best.value) < 4 * math.hypot(again.standard_error, best.standard_error)


@pytest.mark.parametrize(
    ("options", "error"),
    [({"starts": 0}, ValueError), ({"init_scale": -1.0}, ValueError), ({"training": "adam"}, TypeError)],
    ids=["starts", "init_scale", "training"],
)
def test_refusals(options, error):
    with pytest.raises(error, match=next(iter(options))):
        MeanField(**options)
