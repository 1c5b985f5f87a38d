"""Laws along orbits, of the radius and of norms, against scipy and on exact draws."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import nn

from pyro_symvi.bnn import Draws, GaussianNoise, LaplacePrior, NetworkPosterior, NetworkPrior, NormalPrior
from pyro_symvi.bnn._draws import independent_draws
from pyro_symvi.bnn.identities import RadiusLaw, norm_law, orbit_cdf, orbit_law
from pyro_symvi.groups import GeneralizedInverseGaussian, HiddenLayer, HiddenUnitRescaling


@pytest.mark.parametrize("order", [0.5, 0.0, -3.0, 10.0])
def test_cdf_along_the_orbit_against_scipy(order):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.exp(2 * torch.randn(2, 25, generator=generator, dtype=torch.float64))
    found = orbit_cdf(2 * order, 1.0, {("in", 2.0): a, ("out", 2.0): b})
    exact = stats.geninvgauss.cdf((a / b).sqrt().numpy(), p=order, b=(a * b).sqrt().numpy())
    np.testing.assert_allclose(found.numpy(), exact, atol=1e-8)


def test_cdf_of_mixed_priors_and_degree_two_against_quadrature():
    energies = {("in", 2.0): 0.7, ("in", 1.0): 1.9, ("out", 1.0): 2.3, ("out", 2.0): 0.4}
    order, k = -1.0, 2.0

    def density(s):
        inside = 0.35 * math.exp(2 * s) + 1.9 * math.exp(s) + 2.3 * math.exp(-k * s) + 0.2 * math.exp(-2 * k * s)
        return math.exp(order * s - inside)

    below, total = (integrate.quad(density, -8, stop, epsabs=1e-13)[0] for stop in (0.0, 8.0))
    tensors = {key: torch.tensor([value], dtype=torch.float64) for key, value in energies.items()}
    assert float(orbit_cdf(order, k, tensors)) == pytest.approx(below / total, abs=1e-9)


def test_extreme_energies_stay_in_the_unit_interval_and_dead_units_are_marked():
    a = torch.tensor([1e-12, 1e8, 1.0, 0.0, 1e-200], dtype=torch.float64)
    b = torch.tensor([1e8, 1e-12, 1e-14, 1.0, 1.0], dtype=torch.float64)
    u = orbit_cdf(1.0, 1.0, {("in", 2.0): a, ("out", 2.0): b})
    assert bool(((u[:3] >= 0) & (u[:3] <= 1)).all()) and bool(torch.isnan(u[3]))
    # flat on one side: t ~ Gamma(order / 2, rate psi / 2), or no law at all
    only_in = {("in", 2.0): torch.tensor([3.0], dtype=torch.float64)}
    assert float(orbit_cdf(4.0, 1.0, only_in)) == pytest.approx(stats.gamma.cdf(1.5, 2.0), abs=1e-9)
    assert bool(torch.isnan(orbit_cdf(-4.0, 1.0, only_in)).all())
    # chi -> 0: t ~ Gamma(1/2, rate psi / 2), P(t <= 1) = erf(sqrt(psi / 2))
    assert float(u[2]) == pytest.approx(math.erf(math.sqrt(0.5)), abs=1e-6)


def test_exact_draws_lie_uniformly_along_their_orbits(relu):
    posterior, draws = relu
    found = orbit_law(posterior, draws)
    assert found.verdict == "no violation seen" and found.worst < 4
    (layer,) = found.layers
    assert layer.ks[1] > 0.001 and layer.thin <= 2 and layer.dead == 0
    heights = layer.histogram(10)
    assert float((heights - 1).abs().max()) < 4 * math.sqrt(9 / layer.pit.numel())
    # u is independent of the loss: quartiles of the likelihood have the same mean of u
    f, u = posterior.log_likelihood(draws.flat), layer.pit.reshape(-1, 2).mean(-1)
    means = [u[part].mean() for part in f.argsort().chunk(4)]
    assert all(abs(float(m) - 0.5) < 4 * math.sqrt(1 / 24 / (len(f) / 4)) for m in means)
    assert "KS" in str(found)


def test_laplace_priors_have_their_own_law(make, exactly):
    prior = NetworkPrior(NormalPrior(1.0), {"*.weight": LaplacePrior(0.8)})
    posterior = make(prior=prior)
    draws = exactly(posterior, 200_000, 11)
    assert orbit_law(posterior, draws).verdict == "no violation seen"
    assert orbit_law(make(prior=NormalPrior(1.0)), draws).verdict == "violated"


@pytest.mark.parametrize("order, passes", [(0.5, True), (0.0, False)])
def test_a_move_with_the_wrong_jacobian_is_caught(relu, order, passes):
    posterior, draws = relu
    rescaling = HiddenUnitRescaling(HiddenLayer.of_mlp([1, 2, 1]))
    a, b = rescaling.energies(draws.theta, 1.0, 1.0)
    t = GeneralizedInverseGaussian(order, a, b).sample(generator=torch.Generator().manual_seed(1))
    moved = Draws(rescaling.act(t.sqrt(), draws.theta), draws.layout, "moved")
    found = orbit_law(posterior, moved)
    assert (found.verdict == "no violation seen") == passes
    assert passes or abs(float(found.layers[0].pooled["slope"].z)) > 5


def test_mean_field_is_too_narrow_along_orbits(relu, mean_field):
    found = orbit_law(relu[0], mean_field[0])
    assert found.verdict == "violated"
    assert float(found.layers[0].pooled["curvature"].z) < -5 and found.layers[0].ks[1] < 1e-6


@pytest.mark.parametrize("p, q", [(2, 1), (1, 1), (5, 1), (3, 4)])
def test_prior_law_of_the_radius(p, q):
    law = RadiusLaw(p, q, 0.7)
    r = torch.tensor([0.05, 0.6, 2.0, 5.0], dtype=torch.float64)
    s = torch.linspace(-40, 0, 4_001, dtype=torch.float64)  # in log radius
    grid = r[:, None] * s.exp()
    by_quadrature = integrate.simpson((law.log_prob(grid) + grid.log()).exp().numpy(), x=s.numpy())
    np.testing.assert_allclose(law.cdf(r).numpy(), by_quadrature, atol=2e-7)
    draws = law.sample(4_000, generator=torch.Generator().manual_seed(p))
    assert stats.kstest(draws.numpy(), lambda x: law.cdf(torch.as_tensor(x)).numpy()).pvalue > 1e-3
    second = draws.square()
    assert abs(float(second.mean()) - law.moment(2)) < 4 * float(second.std()) / math.sqrt(len(second))
    assert law.moment(2) == pytest.approx(p * q * 0.7**2)


def test_one_input_and_a_bias_give_the_exponential_law():
    r = torch.linspace(0.01, 9, 30, dtype=torch.float64)
    np.testing.assert_allclose(RadiusLaw(2).log_prob(r).numpy(), stats.expon.logpdf(r.numpy()), atol=1e-12)
    np.testing.assert_allclose(RadiusLaw(2).cdf(r).numpy(), stats.expon.cdf(r.numpy()), atol=1e-8)
    with pytest.raises(ValueError, match="infinite"):
        RadiusLaw(2).moment(-1)


class Normalised(nn.Module):
    """Layer normalisation of a linear map, then a linear map."""

    def __init__(self):
        super().__init__()
        self.inner, self.norm, self.outer = nn.Linear(1, 3), nn.LayerNorm(3, 1e-10, False), nn.Linear(3, 1)

    def forward(self, x):
        return self.outer(torch.tanh(self.norm(self.inner(x))))


def test_norm_before_layer_normalisation_is_pure_prior(make, exactly):
    plain = make()
    posterior = NetworkPosterior(Normalised(), GaussianNoise(0.5), NormalPrior(0.8), plain.x, plain.y)
    draws = exactly(posterior, 200_000, 12)
    found = norm_law(posterior, draws, ["inner.weight", "inner.bias"])
    assert found.verdict == "no violation seen" and found.degrees == 6
    exact = stats.kstest(found.energy.flatten().numpy(), "chi2", args=(6,))
    assert exact.pvalue > 1e-3 and found.ks[1] > 1e-3
    wide = Draws(1.05 * draws.theta, draws.layout, "wide")
    assert norm_law(posterior, wide, ["inner.weight", "inner.bias"]).verdict == "violated"
    with pytest.raises(ValueError, match="pure prior"):
        norm_law(posterior, draws, ["outer.weight"])
    with pytest.raises(ValueError, match="expected names"):
        norm_law(posterior, draws, ["inner"])


def test_one_draw_has_no_verdict(relu):
    posterior, draws = relu
    assert orbit_law(posterior, independent_draws(draws.flat[:1], draws.layout, "one")).verdict == "too few chains"
