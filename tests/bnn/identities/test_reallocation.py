"""Sharing among redundant units: planted clusters, Dirichlet laws, exact duplicates, and linear layers."""

import math

import pytest
import torch
from scipy import special, stats
from torch import nn

from pyro_symvi.bnn import Draws, GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn._draws import independent_draws
from pyro_symvi.bnn.identities import duplicate_contrasts, linear_balance, reallocation, share_test


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def dirichlet(concentration: float, rows: int, k: int, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    return torch.distributions.Dirichlet(torch.full((k,), concentration, dtype=torch.float64)).sample((rows,))


@pytest.mark.parametrize("concentration, k", [(0.5, 2), (1.0, 3), (2.5, 4)])
def test_share_test_on_dirichlet_draws(concentration, k):
    with torch.random.fork_rng():
        shares = dirichlet(concentration, 24_000, k, seed=k)
    right, wrong = share_test(shares, concentration), share_test(shares, 1.3 * concentration)
    assert abs(right.z) < 4 and right.ks[1] > 1e-3
    assert abs(right.fitted - concentration) < 4 * right.fitted_error
    assert wrong.z > 5 and wrong.ks[1] < 1e-6


def test_shares_under_the_prior():
    """One input and a bias: radii are exponential, so shares given any sum are uniform on the simplex; exact."""
    w, v = normal(30_000, 3, 2, seed=0), normal(30_000, 3, seed=1)
    radius = w.norm(dim=-1) * v.abs()
    shares = radius / radius.sum(-1, keepdim=True)
    assert abs(share_test(shares, 1.0).z) < 4
    large = shares[radius.sum(-1) > 4]
    assert abs(share_test(large, 1.0).z) < 4
    squares = w.square().sum(-1) + v.square()
    assert abs(share_test(squares / squares.sum(-1, keepdim=True), 1.5).z) < 4  # (p + q) / 2
    one = normal(30_000, 3, seed=2).abs() * v.abs()  # p = 1: K_0, on its way from sparser shares to one half
    fitted = [share_test((one / one.sum(-1, keepdim=True))[one.sum(-1) > u], 0.5).fitted for u in (0.0, 4.0)]
    assert 0.5 < fitted[1] < fitted[0] < 0.85


def concentration_given_vector(p: int, size: float) -> float:
    """Fitted concentration of two shares given Z = v_1 w_1 + v_2 w_2, |Z| = size, by quadrature.

    In elliptic coordinates about 0 and Z, |z_1| and |z_2| are size/2 (cosh mu +- cos nu), and the volume is
    |z_1| |z_2| (size/2 sinh mu sin nu)^{p - 2}; the prior density of z = v w is |z|^{-(p-1)/2} K_{(p-1)/2}(|z|).
    """
    mu = torch.linspace(0, min(6.0, 12 / math.sqrt(size)), 401, dtype=torch.float64)[:, None]
    nu = (torch.arange(401, dtype=torch.float64) + 0.5) / 401 * math.pi
    order, log_weight = (p - 1) / 2, (p - 2) * (mu.sinh() * nu.sin()).clamp_min(1e-300).log()
    radii = [size / 2 * (mu.cosh() + sign * nu.cos()) for sign in (1, -1)]
    for r in radii:
        log_weight = log_weight + torch.as_tensor(special.kve(order, r.numpy())).log() - r + (1 - order) * r.log()
    weight = (log_weight - log_weight.max()).exp()
    variance = float((weight * (radii[0] / (radii[0] + radii[1]) - 0.5).square()).sum() / weight.sum())
    return (0.25 / variance - 1) / 2


@pytest.mark.parametrize("p", [2, 3, 6])
def test_pinning_the_realised_vector_gives_one_half_whatever_p(p):
    near, far = concentration_given_vector(p, 50.0), concentration_given_vector(p, 1000.0)
    assert abs(far - 0.5) < 0.01 and abs(far - 0.5) < abs(near - 0.5) / 10
    assert abs(far - p / 2) > 0.4  # not the law in an angular tube


def planted(sign: float = 1.0) -> tuple[NetworkPosterior, Draws]:
    """Five units: 0, 1, 2 nearly one direction, 3 another, 4 dead on the data; shares 1/2, 1/4, 1/4."""
    x = torch.linspace(-1, 1, 60, dtype=torch.float64)[:, None]
    network = nn.Sequential(nn.Linear(1, 5), nn.ReLU(), nn.Linear(5, 1))
    posterior = NetworkPosterior(network, GaussianNoise(0.1), NormalPrior(1.0), x, x[:, 0])
    weight = torch.tensor([2.0, 1.0, 0.5, -1.0, 1.0], dtype=torch.float64)[:, None]
    bias = torch.tensor([0.2, 0.1, 0.051, -0.3, -5.0], dtype=torch.float64)
    out = torch.tensor([[1.0, 1.0, 2.0 * sign, 1.0, 1.0]], dtype=torch.float64)
    parts = {"0.weight": weight, "0.bias": bias, "2.weight": out, "2.bias": torch.zeros(1, dtype=torch.float64)}
    theta = posterior.layout.flatten(parts)
    return posterior, independent_draws(theta.expand(30, -1), posterior.layout, "planted")


def test_planted_clusters_are_found():
    posterior, draws = planted()
    found = reallocation(posterior, draws)
    assert found.threshold == pytest.approx(math.sqrt(2 * math.log(10 / 0.01) / 60))
    assert bool((found.degeneracy == 2).all()) and bool((found.size == 3).all())
    assert float(found.duplicates[0, 0]) == pytest.approx(3 / 4)
    shares = found.of_size(3)[0]
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64), atol=2e-3, rtol=0)
    assert float(found.sensitivity[0, 0]) < 1e-3
    assert "degeneracy 2.00 of 5" in str(found)
    # the third unit pulls the other way: no share of that sum, but still redundant
    opposed = reallocation(*planted(-1.0))
    assert bool((opposed.degeneracy == 2).all()) and bool((opposed.size == 2).all())


def test_units_that_differ_are_not_joined():
    posterior, draws = planted()
    theta = draws.theta.clone()
    theta[..., 5:8] = torch.tensor([1.5, 0.0, -0.4], dtype=torch.float64)  # kinks at -0.75, 0, 0.8
    found = reallocation(posterior, Draws(theta, draws.layout, "apart"), threshold=0.98)
    assert bool((found.degeneracy == 0).all()) and bool(torch.isnan(found.sensitivity).all())


def test_too_few_rows_for_the_threshold_are_refused(relu):
    with pytest.raises(ValueError, match="threshold"):
        reallocation(*relu)


def test_exact_duplicates_share_by_the_prior_alone():
    """Four ReLU features, equal and fixed; v given data by the normal equations."""
    tau, sigma, n, k = 0.8, 0.3, 6, 4
    feature = torch.relu(normal(n, seed=0))
    y = 1.5 * feature + sigma * normal(n, seed=1)
    design = feature[:, None].expand(n, k)
    precision = design.mT @ design / sigma**2 + torch.eye(k, dtype=torch.float64) / tau**2
    covariance = torch.linalg.inv(precision)
    mean = covariance @ design.mT @ y / sigma**2
    v = mean + normal(8000, k, seed=2) @ torch.linalg.cholesky(covariance).mT
    found = duplicate_contrasts(v, tau)
    assert found.shape == (8000, k - 1)
    for column in found.T:
        assert stats.kstest(column.numpy(), "norm").pvalue > 1e-3
    correlation = torch.corrcoef(torch.cat([found, v.sum(-1, keepdim=True)], 1).T)
    off = correlation - torch.eye(k, dtype=torch.float64)
    assert float(off.abs().max()) < 4 / math.sqrt(8000)
    assert stats.kstest(duplicate_contrasts(1.1 * v, tau)[:, 0].numpy(), "norm").pvalue < 1e-3


def test_linear_layers_obey_the_matrix_identity_and_others_do_not(make, exactly):
    posterior = make(activation=nn.Identity)
    draws = exactly(posterior, 300_000, 31)
    found = linear_balance(posterior, draws)
    assert found.verdict == "no violation seen" and float(found.test.z.abs().max()) < 4
    # O(2) moves neither likelihood nor prior
    turn = torch.linalg.qr(normal(2, 2, seed=3)).Q
    parts = posterior.layout.unflatten(draws.theta)
    turned = posterior.layout.flatten(
        {
            "0.weight": turn @ parts["0.weight"],
            "0.bias": parts["0.bias"] @ turn.mT,
            "2.weight": parts["2.weight"] @ turn.mT,
            "2.bias": parts["2.bias"],
        }
    )
    torch.testing.assert_close(posterior.log_prob(turned), posterior.log_prob(draws.theta))
    loc, scale = draws.flat.mean(0), draws.flat.std(0)
    normals = Draws(loc + scale * normal(24, 2000, posterior.dim, seed=4), draws.layout, "fitted normals")
    with pytest.raises(ValueError, match="nonlinearity"):
        linear_balance(make(), normals)
    wide = Draws(torch.cat([draws.theta[..., :4] * 1.1, draws.theta[..., 4:]], -1), draws.layout, "wide")
    assert linear_balance(posterior, wide).verdict == "violated"


def test_layers_that_are_not_there():
    x = normal(5, 3, seed=0)
    for network in (nn.Linear(3, 1), nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))):
        made = NetworkPosterior(network, GaussianNoise(1.0), NormalPrior(1.0), x, x[:, 0])
        draws = independent_draws(made.sample_prior(4, generator=generator(1)), made.layout, "prior")
        with pytest.raises(ValueError, match="expected a hidden layer"):
            reallocation(made, draws, layer=1)
