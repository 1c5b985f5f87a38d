"""Posterior moments and overlap integrals of Gaussian channels against closed forms and independent quadrature."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate

from pyro_symvi.multiindex.channels import GaussianChannel

D = torch.float64


def log_normal(x):
    return -0.5 * x * x - 0.5 * math.log(2 * math.pi)


def posterior(sigma, snr, y, power, breaks=(0.0,), omega=0.0, variance=1.0):
    """E[z^power | y] by adaptive quadrature, z ~ N(omega, variance)."""
    reach = 9 * math.sqrt(variance)

    def integrand(z, k):
        return z**k * math.exp(log_normal(y - math.sqrt(snr) * sigma(z)) + log_normal((z - omega) / variance**0.5))

    points = [b for b in breaks if abs(b - omega) < reach] or None
    top, bottom = (
        integrate.quad(integrand, omega - reach, omega + reach, (k,), points=points, limit=400, epsabs=1e-13)[0]
        for k in (power, 0)
    )
    return top / bottom


@pytest.mark.parametrize(
    ("name", "sigma", "snr"),
    [
        ("abs", lambda z: (abs(z) - math.sqrt(2 / math.pi)) / math.sqrt(1 - 2 / math.pi), 0.7),
        ("he4", lambda z: (z**4 - 6 * z * z + 3) / math.sqrt(24), 0.3),
        ("sign", lambda z: math.copysign(1.0, z), 4.0),
    ],
    ids=["abs", "he4", "sign"],
)
def test_scores_are_posterior_moments(name, sigma, snr):
    channel = GaussianChannel(name, snr)
    y = torch.tensor([[-1.1, 0.3], [0.9, 2.5]], dtype=D)
    first = [posterior(sigma, snr, float(v), 1) for v in y.flatten()]
    second = [posterior(sigma, snr, float(v), 2) - 1 for v in y.flatten()]
    np.testing.assert_allclose(channel.first_score(y).flatten(), first, atol=1e-9)
    np.testing.assert_allclose(channel.score(y).flatten(), second, atol=1e-9)
    assert channel.score(y.float()).dtype == torch.float32 and channel.score(y).shape == (2, 2)


@pytest.mark.parametrize("variance", [0.6, 0.02, 0.004, 1e-6], ids=["0.6", "0.02", "0.004", "1e-6"])
def test_the_output_function_is_a_posterior_mean_on_either_set_of_nodes(variance):
    snr, omega = 2.0, torch.tensor([0.3, -0.02], dtype=D)
    y = torch.tensor([1.4, -0.2], dtype=D)

    def sigma(z):
        return (abs(z) - math.sqrt(2 / math.pi)) / math.sqrt(1 - 2 / math.pi)

    expected = [
        (posterior(sigma, snr, float(a), 1, (0.0,), float(b), variance) - float(b)) / variance
        for a, b in zip(y, omega, strict=True)
    ]
    found = GaussianChannel("abs", snr).output(y, omega, variance)
    np.testing.assert_allclose(found, expected, rtol=2e-7)


def test_the_density_of_outputs_of_a_linear_channel():
    y = torch.linspace(-4, 4, 9, dtype=torch.float64)
    exact = -y.square() / 6 - 0.5 * math.log(6 * math.pi)
    torch.testing.assert_close(GaussianChannel("linear", 2.0).log_density(y), exact, atol=1e-12, rtol=0)


def test_the_output_function_of_a_linear_channel():
    channel = GaussianChannel("linear", 3.0)
    y = torch.randn(3, 4, dtype=D, generator=torch.Generator().manual_seed(1))
    omega, variance = 0.5 * y[0], torch.tensor([[0.7], [0.01], [1e-4]], dtype=D)
    expected = math.sqrt(3) * (y - math.sqrt(3) * omega) / (1 + 3 * variance)
    assert torch.allclose(channel.output(y, omega, variance), expected, rtol=1e-8)


@pytest.mark.parametrize("q", [0.0, 0.4, 0.99, 0.9999])
def test_a_linear_channel_has_closed_information_and_free_entropy(q):
    snr = 5.0
    channel = GaussianChannel("linear", snr)
    total = 1 + snr * (1 - q)
    moments = channel.output_moments(q)
    assert moments.information == pytest.approx(snr / total, rel=1e-7)
    assert moments.log_likelihood == pytest.approx(-0.5 * math.log(2 * math.pi * math.e * total), rel=1e-7)


def test_no_information_beyond_the_sign_at_overlap_zero():
    snr = 0.8
    channel = GaussianChannel("sign", snr)
    root = math.sqrt(snr)

    def fisher(y):
        density = 0.5 * (math.exp(log_normal(y - root)) + math.exp(log_normal(y + root)))
        return density * (2 / math.pi) * math.tanh(root * y) ** 2

    expected = integrate.quad(fisher, -12, 12)[0]
    assert float(channel.output_information(0.0)) == pytest.approx(expected, rel=1e-9)
    assert channel.score_information() < 1e-20


@pytest.mark.parametrize("name", ["abs", "sign", "b4"])
def test_the_two_ways_to_integrate_near_full_overlap_agree(name):
    rule = GaussianChannel(name, 1.0).overlap_rule
    q = 0.994
    on_nodes = rule.moments(q)
    nearby = rule._nearby(q, *rule._omegas(q))
    assert nearby.information == pytest.approx(on_nodes.information, rel=2e-7)
    assert nearby.log_likelihood == pytest.approx(on_nodes.log_likelihood, rel=2e-9)


@pytest.mark.parametrize("name", ["relu", "he4", "sin2"])
def test_the_free_entropy_grows_by_half_the_information(name):
    channel = GaussianChannel(name, 0.6)
    step = 1e-3
    q = torch.tensor([0.3, 0.9], dtype=D)
    slope = (channel.free_entropy(q + step).output - channel.free_entropy(q - step).output) / (2 * step)
    assert torch.allclose(2 * slope, channel.output_information(q), rtol=1e-4)
    assert torch.allclose(channel.free_entropy(q).prior, 0.5 * (q + torch.log(1 - q)))


def test_a_finer_rule_agrees_and_a_coarse_one_is_told_from_it():
    channel = GaussianChannel("b4", 1.0)
    assert channel.score_information() == pytest.approx(channel.refined().score_information(), rel=1e-12)
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)  # too few once the mean is steep
    y = torch.linspace(-6, 6, 241, dtype=D)
    means = channel.mean(torch.from_numpy(nodes)).numpy()
    density = np.exp(-0.5 * (y.numpy()[:, None] - means) ** 2) / math.sqrt(2 * math.pi)
    prior = weights / weights.sum()
    coarse = np.sum((density @ (prior * (nodes**2 - 1))) ** 2 / (density @ prior)) * 0.05
    assert abs(coarse / channel.score_information() - 1) > 1e-3


def test_known_parts_are_resolved_where_the_mean_oscillates():
    channel = GaussianChannel(lambda z: torch.cos(5 * z), 2.0)
    coarse, fine = (float(c.output_information(0.9)) for c in (channel, channel.refined()))
    assert channel.wavelength == pytest.approx(2 * math.pi / 5, abs=0.04)  # between nodes
    assert coarse == pytest.approx(fine, rel=1e-8)


def test_outputs_are_resolved_where_a_steep_mean_is_flat():
    channel = GaussianChannel("cube", 10.0)  # monotone, with a point of no slope at 0
    assert channel.output_moments(0.2).information == pytest.approx(
        channel.refined().output_moments(0.2).information, rel=1e-9
    )


def test_a_channel_says_what_it_cannot_take():
    with pytest.raises(ValueError, match="expected a signal to noise ratio above 0, got 0"):
        GaussianChannel("abs", 0.0)
    with pytest.raises(ValueError, match="its mean moves too far; try a smaller ratio"):
        GaussianChannel("he10", 1e4)
    channel = GaussianChannel("abs", 1.0)
    with pytest.raises(ValueError, match=r"expected an overlap in \[0, 1\), got 1.0"):
        channel.output_information(1.0)
    with pytest.raises(ValueError, match="expected positive variances"):
        channel.output(torch.zeros(2), torch.zeros(2), torch.tensor([0.5, 0.0]))
