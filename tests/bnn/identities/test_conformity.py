"""Evidence by quadrature and by brute force; the bound on how far one unit is from its prior."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch import nn

from pyro_symvi.bnn import Draws, GaussianNoise, LaplacePrior, LearnedGaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.identities import conformity, prior_ks, prior_wasserstein, tempered_evidence


def linear_unit(rows: int) -> tuple[NetworkPosterior, float, float]:
    """y = v w x + noise: log evidence and C by quadrature over u = w v, whose prior density is K_0(|u|) / pi."""
    x = torch.tensor([[1.0], [-0.5], [2.0]], dtype=torch.float64)[:rows]
    y = torch.tensor([1.2, -0.9, 2.5], dtype=torch.float64)[:rows]
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Identity(), nn.Linear(1, 1, bias=False))

    def log_likelihood(u):
        return float(stats.norm.logpdf(y.numpy(), u * x[:, 0].numpy(), 0.4).sum())

    def integral(f):
        parts = [(-12, 0), (0, 0.5), (0.5, 3), (3, 12)]
        return sum(integrate.quad(lambda u: special.k0(abs(u)) / math.pi * f(u), *part)[0] for part in parts)

    z = integral(lambda u: math.exp(log_likelihood(u)))
    mean = integral(lambda u: math.exp(log_likelihood(u)) * log_likelihood(u)) / z
    return NetworkPosterior(network, GaussianNoise(0.4), NormalPrior(1.0), x, y), math.log(z), mean - math.log(z)


@pytest.mark.parametrize("rows, collapse", [(1, True), (3, True), (3, False)])
def test_evidence_and_information_against_quadrature(rows, collapse):
    posterior, log_evidence, information = linear_unit(rows)
    found = tempered_evidence(posterior, particles=400, runs=8, collapse=collapse, seed=1)
    assert found.collapsed == collapse
    assert abs(found.log_evidence - log_evidence) < 4.5 * found.log_evidence_error + 1e-3
    assert abs(found.information - information) < 4.5 * found.information_error + 1e-3
    assert found.log_evidence_error < 0.05 and found.information_error < 0.05


def test_evidence_of_a_relu_network_against_brute_force(make):
    posterior = make(hidden=3)
    theta = posterior.sample_prior(200_000, generator=torch.Generator().manual_seed(0))
    likelihood = posterior.log_likelihood(theta).exp()
    log_z = float(likelihood.mean().log())
    error = float(likelihood.std() / likelihood.mean()) / math.sqrt(len(theta))
    information = float(torch.special.xlogy(likelihood, likelihood).mean() / likelihood.mean()) - log_z
    for collapse in (True, False):
        found = tempered_evidence(posterior, particles=300, runs=8, moves=6, collapse=collapse, seed=2)
        assert abs(found.log_evidence - log_z) < 4.5 * math.hypot(found.log_evidence_error, error)
        assert abs(found.information - information) < 4.5 * math.hypot(found.information_error, 2 * error)


def test_no_rows_tell_nothing():
    empty = torch.zeros(0, 1, dtype=torch.float64)
    network = nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 1))
    posterior = NetworkPosterior(network, LearnedGaussianNoise(), NormalPrior(1.0), empty, empty)
    found = tempered_evidence(posterior, particles=16, runs=2, moves=1)
    assert found.information == 0 and found.log_evidence == 0 and not found.collapsed


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_one_unit_is_within_the_bound_of_its_prior(make, exactly, rows):
    posterior = make(hidden=4, rows=rows)
    draws = exactly(posterior, 100_000, 20 + rows).thin(4)
    evidence = tempered_evidence(posterior, particles=256, runs=4, moves=5, seed=3)
    found = conformity(posterior, draws, evidence=evidence)
    (layer,) = found.layers
    upper = evidence.information + 2 * evidence.information_error
    assert layer.kl == pytest.approx(upper / 4)
    assert layer.tv == pytest.approx(math.sqrt(upper / 8))
    for marginal in layer.marginals:
        assert marginal.ks < layer.tv and marginal.wasserstein < layer.w1
    assert layer.rms < layer.w1_rms
    loose = conformity(posterior, draws)
    assert loose.is_bound and loose.information > evidence.information
    assert "C <=" in str(loose) and "C =" in str(found)


def test_draws_far_from_the_prior_break_the_bound(make, exactly):
    """A single label-fixed mode, copied into all units, is no exchangeable posterior with so little information."""
    posterior = make(hidden=4, rows=1)
    evidence = tempered_evidence(posterior, particles=256, runs=4, moves=5, seed=3)
    wrong = Draws(exactly(posterior, 100_000, 21).thin(4).theta + 2.0, posterior.layout, "moved")
    (layer,) = conformity(posterior, wrong, evidence=evidence).layers
    assert layer.rms > layer.w1_rms and max(m.ks for m in layer.marginals) > layer.tv


def test_distances_to_the_prior_against_scipy():
    generator = torch.Generator().manual_seed(0)
    x = 0.3 + 1.4 * torch.randn(400, generator=generator, dtype=torch.float64)
    grid = special.ndtri((np.arange(50_000) + 0.5) / 50_000)
    assert float(prior_wasserstein(x)) == pytest.approx(stats.wasserstein_distance(x.numpy(), grid), rel=0.02)
    assert prior_ks(x) == pytest.approx(stats.kstest(x.numpy(), "norm").statistic, abs=1e-12)
    assert prior_ks(x, "laplace") == pytest.approx(stats.kstest(x.numpy(), "laplace").statistic, abs=1e-12)
    n = 200_000
    exact = torch.as_tensor(stats.laplace.ppf((np.arange(n) + 0.5) / n))
    assert float(prior_wasserstein(exact + 0.25, "laplace")) == pytest.approx(0.25, rel=1e-9)


def test_what_is_not_supported_is_refused(make):
    posterior = make(prior=LaplacePrior(1.0))
    with pytest.raises(TypeError, match="normal priors"):
        tempered_evidence(posterior)
    with pytest.raises(TypeError, match="integrated out"):
        deep = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
        tempered_evidence(
            NetworkPosterior(deep, GaussianNoise(1.0), NormalPrior(1.0), posterior.x, posterior.y), collapse=True
        )
