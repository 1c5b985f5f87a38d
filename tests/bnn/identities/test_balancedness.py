"""Balancedness on exact draws, and on laws that are wrong by an amount that is known."""

import math

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import (
    Activation,
    Draws,
    FlatPrior,
    GaussianNoise,
    LaplacePrior,
    NetworkPosterior,
    NetworkPrior,
    NormalPrior,
    register_activation,
)
from pyro_symvi.bnn._draws import independent_draws
from pyro_symvi.bnn.identities import balancedness, equipartition, zero_mean
from pyro_symvi.groups import GeneralizedInverseGaussian, HiddenLayer, HiddenUnitRescaling


class Squared(nn.Module):
    """relu(z)^2, homogeneous of degree two."""

    def forward(self, z):
        return torch.relu(z).square()


@pytest.fixture
def squared():
    from pyro_symvi.bnn import _activations

    register_activation(Squared, lambda m: Activation("squared_relu", lambda z: torch.relu(z).square(), degree=2.0))
    yield Squared
    del _activations._READERS[Squared]


def test_exact_draws_pass_and_have_the_stated_moments(relu):
    posterior, draws = relu
    found = balancedness(posterior, draws)
    assert found.verdict == "no violation seen" and found.worst < 4
    (layer,) = found.layers
    assert (layer.layer.p, layer.layer.q, layer.expected) == (2, 1, 1.0)
    theta = draws.flat  # 0.weight, 0.bias, 2.weight, 2.bias; by hand, unit 0
    a, b = theta[:, 0] ** 2 + theta[:, 2] ** 2, theta[:, 4] ** 2
    torch.testing.assert_close(layer.mean_a[0], a.mean())
    torch.testing.assert_close(layer.mean_b[0], b.mean())
    error = (a - b).std() / math.sqrt(len(a))
    assert abs((a - b).mean() - 1) < 4 * error
    assert abs((a - b).var() - 2 * (a + b).mean()) < 4 * layer.units["variance"].error[0]
    ratio, ratio_error = layer.variance_ratio
    assert abs(ratio - 1) < 4 * ratio_error and ratio_error < 0.03
    assert abs(layer.imbalance / layer.expected_imbalance - 1) < 0.05
    assert "E[a - b]" in str(found) and "no violation seen" in str(found)


def test_means_agree_with_draws_of_another_route(relu):
    """Standard errors: the chain-level one of independent draws is the usual one, within its own spread (15 %)."""
    _, draws = relu
    values = draws.theta[..., 0]
    usual = values.std() / math.sqrt(values.numel())
    assert 0.6 < float(zero_mean(values - 0.0).error / usual) < 1.5


def test_z_scores_are_standard_normal_under_the_null():
    generator = torch.Generator().manual_seed(0)
    z = zero_mean(torch.randn(6, 40, 5000, generator=generator, dtype=torch.float64).pow(3)).z
    assert abs(float(z.mean())) < 4 / math.sqrt(5000)
    assert abs(float(z.std()) - 1) < 0.06
    assert float((z.abs() > 3.3).double().mean()) < 0.004


def test_mean_field_is_caught_by_the_size_in_closed_form(relu, mean_field):
    posterior, _ = relu
    draws, loc, scale = mean_field
    found = balancedness(posterior, draws)
    assert found.verdict == "violated" and abs(float(found.layers[0].pooled["variance"].z)) > 5
    second, fourth_part = loc**2 + scale**2, 2 * scale**4 + 4 * loc**2 * scale**2  # E w^2 and Var w^2
    for j, unit in enumerate(([0, 2, 4], [1, 3, 5])):
        sign = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
        excess = fourth_part[unit].sum() + ((sign * second[unit]).sum() - 1) ** 2 - 2 * second[unit].sum()
        test = found.layers[0].units["variance"]
        assert abs(float(test.mean[j] - excess)) < 4 * float(test.error[j])
        assert float(excess) < -1  # of 5: far too narrow along the orbit
        bias = (sign * second[unit]).sum() - 1
        test = found.layers[0].units["mean"]
        assert abs(float(test.mean[j] - bias)) < 4 * float(test.error[j])
    # the family is closed under scaling blocks and units: at its optimum (B1) and equipartition hold, nothing else
    assert abs(float(found.layers[0].pooled["mean"].mean)) < 0.1
    assert all(abs(float(test.mean)) < 0.1 for test in equipartition(posterior, draws).blocks.values())


@pytest.mark.parametrize("order, passes", [(0.5, True), (0.0, False), (-0.5, False)])
def test_a_wrong_jacobian_in_a_move_along_orbits_is_caught(relu, order, passes):
    """The exact order is (p - q) / 2 = 1/2; leaving out the determinant gives 0."""
    posterior, draws = relu
    rescaling = HiddenUnitRescaling(HiddenLayer.of_mlp([1, 2, 1]))
    a, b = rescaling.energies(draws.theta, 1.0, 1.0)
    generator = torch.Generator().manual_seed(1)
    t = GeneralizedInverseGaussian(order, a, b).sample(generator=generator)
    moved = Draws(rescaling.act(t.sqrt(), draws.theta), draws.layout, "moved")
    torch.testing.assert_close(posterior.outputs(moved.theta), posterior.outputs(draws.theta))
    found = balancedness(posterior, moved)
    assert (found.verdict == "no violation seen") == passes
    assert found.worst < 4 if passes else abs(float(found.layers[0].pooled["mean"].z)) > 5


@pytest.mark.parametrize("metropolis", [True, False])
def test_leapfrog_with_a_step_too_large_is_caught_unless_it_is_corrected(relu, metropolis):
    """From exact draws, five trajectories: nothing moves the law but the error of the integrator."""
    posterior, draws = relu
    generator = torch.Generator().manual_seed(2)
    theta = draws.flat
    value, gradient = posterior.value_and_grad(theta)
    for _ in range(5):
        momentum = torch.randn(theta.shape, generator=generator, dtype=theta.dtype)
        new, v, g, p = theta, value, gradient, momentum
        for _ in range(5):
            p = p + 0.09 * g
            new = new + 0.18 * p
            v, g = posterior.value_and_grad(new)
            p = p + 0.09 * g
        log_ratio = v - value - (p.square() - momentum.square()).sum(-1) / 2
        u = torch.rand(len(theta), generator=generator, dtype=theta.dtype)
        keep = ((u.log() < log_ratio) | (not metropolis))[:, None]
        theta, gradient = torch.where(keep, new, theta), torch.where(keep, g, gradient)
        value = torch.where(keep[:, 0], v, value)
    moved = Draws(theta.reshape(draws.theta.shape), draws.layout, "leapfrog")
    found = torch.cat([balancedness(posterior, moved).z, equipartition(posterior, moved).z]).abs().max()
    assert found < 4.2 if metropolis else found > 5


def test_prior_alone_satisfies_everything():
    network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3), nn.LeakyReLU(0.1), nn.Linear(3, 2))
    prior = NetworkPrior(NormalPrior(0.7), {"0.*": NormalPrior(2.0), "2.weight": LaplacePrior(0.4)})
    empty = torch.zeros(0, 2, dtype=torch.float64)
    posterior = NetworkPosterior(network, GaussianNoise(1.0), prior, empty, empty)
    draws = posterior.sample_prior(20_000, generator=torch.Generator().manual_seed(0))
    found = balancedness(posterior, independent_draws(draws, posterior.layout, "prior"))
    assert [layer.expected for layer in found.layers] == [3 - 3, 5 - 2]
    assert found.verdict == "no violation seen" and found.worst < 4.2
    assert abs(float(found.layers[1].mean_a.mean()) - (4 + 1)) < 0.1  # four Laplace weights and a normal bias
    wrong = independent_draws(1.05 * draws, posterior.layout, "five percent too wide")
    assert balancedness(posterior, wrong).verdict == "violated"


def test_other_priors_and_degree_two(make, exactly, squared):
    mixed = NetworkPrior(NormalPrior(1.0), {"0.weight": LaplacePrior(0.6), "2.weight": NormalPrior(0.8)})
    posterior = make(activation=squared, prior=mixed)
    found = balancedness(posterior, exactly(posterior, 200_000, 3))
    assert found.layers[0].expected == 2 - 2 * 1
    assert found.verdict == "no violation seen" and found.worst < 4
    as_if_linear = balancedness(make(prior=mixed), exactly(posterior, 200_000, 3))  # degree one claimed
    assert as_if_linear.verdict == "violated"


def test_flat_biases_count_in_p_and_not_in_the_energy():
    """1-1-1 linear unit, bias flat: given v and w, the bias is normal; Gibbs draws in closed form."""
    x = torch.tensor([[-1.0], [0.5], [2.0]], dtype=torch.float64)
    y = torch.tensor([0.3, 1.0, -0.5], dtype=torch.float64)
    network = nn.Sequential(nn.Linear(1, 1), nn.Identity(), nn.Linear(1, 1, bias=False))
    prior = NetworkPrior(NormalPrior(1.0), {"0.bias": FlatPrior()})
    posterior = NetworkPosterior(network, GaussianNoise(1.0), prior, x, y)
    # with c = v b flat on the line: posterior of (w, v) is proportional to N(w) N(v) / |v| p(y | v w), c integrated
    # out; 1 / |v| is not integrable at zero, so draws stay away from it only where f vanishes there: f = v^2.
    generator = torch.Generator().manual_seed(0)
    w, v = torch.randn(2, 400_000, generator=generator, dtype=torch.float64)
    centred_x, centred_y = x[:, 0] - x.mean(), y - y.mean()
    weight = (-0.5 * (centred_y - (v * w)[:, None] * centred_x).square().sum(-1)).exp() * v.abs()  # times f
    a, b = w.square(), v.square()
    # E[(a - b - (p - q)) f] = E[X f] = -2 E f with p - q = 1
    estimate = ((a - b - 1 + 2) * weight).mean() / weight.mean()
    error = ((a - b + 1) * weight).std() / weight.mean() / math.sqrt(len(w))
    assert abs(estimate) < 4 * error and error < 0.01
    layer = balancedness(posterior, independent_draws(torch.ones(24, 3).double(), posterior.layout, "ones")).layers[0]
    assert layer.expected == 1 and float(layer.mean_a) == 1 and float(layer.mean_b) == 1


def test_networks_without_such_a_layer_are_refused(make, relu):
    tanh = make(activation=nn.Tanh)
    with pytest.raises(ValueError, match="equipartition"):
        balancedness(tanh, Draws(torch.zeros(2, 3, tanh.dim), tanh.layout, "zeros"))
    with pytest.raises(ValueError, match="layouts differ"):
        balancedness(make(hidden=3), relu[1])
    with pytest.raises(TypeError, match="expected Draws"):
        balancedness(relu[0], relu[1].theta)
    broken = relu[1].theta.clone()
    broken[2, 5, 0] = math.nan
    with pytest.raises(ValueError, match="draw 5 of chain 2"):
        balancedness(relu[0], Draws(broken, relu[1].layout, "broken"))


def test_few_chains_get_no_verdict(relu):
    few = Draws(relu[1].theta[:1, :5], relu[1].layout, "five draws")
    assert balancedness(relu[0], few).verdict == "too few chains"


def test_equipartition_of_a_tanh_network(make, exactly):
    posterior = make(activation=nn.Tanh)
    draws = exactly(posterior, 200_000, 4)
    found = equipartition(posterior, draws)
    assert found.verdict == "no violation seen" and found.worst < 4
    hot = Draws(1.1 * draws.theta, draws.layout, "a tenth too wide")
    assert equipartition(posterior, hot).verdict == "violated"
    assert "temperature" in str(found)
