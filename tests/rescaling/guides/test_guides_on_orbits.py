"""Guides moved along rescaling orbits: the likelihood stays, the prior term is least, Pyro's own ELBO says so."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO
from pyro.infer.autoguide import AutoDiagonalNormal, AutoNormal, init_to_value
from scipy import optimize
from torch import Tensor, nn

from pyro_symvi.rescaling import RescalingGroup
from pyro_symvi.rescaling.guides import best_mean_field, canonical_values, improve_on_orbit_, kl_to_prior

SIGMA = 0.7
DEVIATION = 1.5
"""Of the change of the prior term from draw to draw, a quadratic form in the noise."""


@pytest.fixture(scope="module")
def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2), nn.ReLU(), nn.Linear(2, 1)).double()


@pytest.fixture(scope="module")
def group(net: nn.Module) -> RescalingGroup:
    return RescalingGroup.from_module(net, (3,))


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def regression(net: nn.Module, x: Tensor, y: Tensor, prior: object = None) -> None:
    weights = {}
    for name, p in net.named_parameters():
        law = prior or dist.Normal(torch.zeros((), dtype=torch.float64), SIGMA)
        weights[name] = pyro.sample(name, law.expand(p.shape).to_event(p.ndim))
    mean = torch.func.functional_call(net, weights, (x,))
    sigma = pyro.sample("sigma", dist.LogNormal(torch.zeros((), dtype=torch.float64), 1.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("y", dist.Normal(mean[:, 0], sigma), obs=y)


def started(net: nn.Module, **values: Tensor) -> tuple[AutoNormal, Tensor, Tensor]:
    pyro.clear_param_store()
    x, y = random(20, 3, seed=1), random(20, seed=2)
    guide = AutoNormal(lambda *data: regression(net, *data), init_loc_fn=init_to_value(values=values), init_scale=0.1)
    guide(x, y)
    return guide, x, y


def test_divergence_is_that_of_torch() -> None:
    loc, scale = random(7, seed=3), random(7, seed=4).exp()
    normal = torch.distributions.Normal
    exact = torch.distributions.kl_divergence(normal(loc, scale), normal(torch.zeros(7).double(), SIGMA)).sum()
    assert torch.isclose(kl_to_prior(loc, scale, SIGMA), exact, rtol=1e-13)


def test_best_point_is_that_of_a_general_minimiser(group: RescalingGroup) -> None:
    loc, scale = random(group.dim, seed=3), (random(group.dim, seed=4) - 1).exp()
    found = best_mean_field(group, loc, scale, SIGMA)

    def divergence(z: object) -> tuple[float, object]:
        t = torch.tensor(z, requires_grad=True)
        factors = group.action.log_factors(t / 2).exp()
        value = kl_to_prior(loc * factors, scale * factors, SIGMA)
        return value.item(), torch.autograd.grad(value, t)[0].numpy()

    peer = optimize.minimize(divergence, torch.zeros(group.num_units).double().numpy(), jac=True, tol=1e-12)
    assert abs(peer.fun - found.kl[1]) <= 1e-9 * peer.fun
    assert torch.allclose(torch.from_numpy(peer.x), found.log_scale, atol=1e-4)
    assert found.gain > 1.0
    again = best_mean_field(group, found.loc, found.scale, SIGMA)
    assert 0 <= again.gain < 1e-9


def test_at_the_best_point_expected_energies_differ_as_the_fans_do(group: RescalingGroup) -> None:
    found = best_mean_field(group, random(group.dim, seed=5), random(group.dim, seed=6).exp(), SIGMA)
    energy = (found.loc.square() + found.scale.square()) / SIGMA**2
    incidence = group.incidence().to_dense()
    assert torch.allclose(incidence.T @ energy, incidence.sum(0), atol=1e-8)  # out - in = |out| - |in|


def moved_about(guide: AutoNormal) -> AutoNormal:
    with torch.no_grad():
        for p in guide.parameters():
            p.add_(0.5 * random(p.numel(), seed=p.numel()).reshape(p.shape))
    return guide


def test_the_functions_stay_draw_by_draw(net: nn.Module, group: RescalingGroup) -> None:
    guide, x, y = started(net)
    moved_about(guide)

    def log_likelihoods() -> Tensor:
        values = []
        with torch.random.fork_rng():
            torch.manual_seed(7)
            for _ in range(4):
                run = pyro.poutine.replay(guide.model, trace=pyro.poutine.trace(guide).get_trace(x, y))
                values.append(pyro.poutine.trace(run).get_trace(x, y).nodes["y"]["fn"].log_prob(y).sum())
        return torch.stack(values)

    before = log_likelihoods()
    assert improve_on_orbit_(guide, group).gain > 0.5
    assert torch.allclose(log_likelihoods(), before, rtol=1e-9)


def test_elbo_rises_by_the_gain(net: nn.Module, group: RescalingGroup) -> None:
    guide, x, y = started(net)
    moved_about(guide)
    loss = Trace_ELBO(num_particles=60, vectorize_particles=False)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        old = -loss.loss(guide.model, guide, x, y)
        found = improve_on_orbit_(guide, group)
        torch.manual_seed(1)
        new = -loss.loss(guide.model, guide, x, y)
    # common random numbers: the difference of 60 draws, each with a standard deviation of DEVIATION, has this error
    assert abs((new - old) - found.gain) <= 4 * DEVIATION / 60**0.5


def test_canonical_values_start_a_guide_at_the_same_function(net: nn.Module, group: RescalingGroup) -> None:
    x = random(5, 3, seed=9)
    for criterion in ("path", "l2"):
        values = canonical_values(net, group, criterion)
        guide, *_ = started(net, **values)
        weights = {n: guide.median()[n] for n in values}
        assert torch.allclose(torch.func.functional_call(net, weights, (x,)), net(x), rtol=1e-12)
        moved = sum(float(v.square().sum()) for v in values.values())
        if criterion == "l2":
            assert moved < float(group.parameters(net).square().sum()) - 0.01


def test_what_cannot_be_moved_is_refused(net: nn.Module, group: RescalingGroup) -> None:
    guide, x, y = started(net)
    with pytest.raises(ValueError, match="sample site 'net.0.weight'"):
        improve_on_orbit_(guide, group, site=lambda name: f"net.{name}")
    with pytest.raises(ValueError, match="has been called"):
        improve_on_orbit_(AutoNormal(guide.model), group)
    with pytest.raises(TypeError, match="AutoDiagonalNormal"):
        improve_on_orbit_(AutoDiagonalNormal(guide.model), group)
    laplace = AutoNormal(lambda *d: regression(net, *d, prior=dist.Laplace(torch.zeros(()).double(), 1.0)))
    laplace(x, y)
    with pytest.raises(TypeError, match="normal prior about zero"):
        improve_on_orbit_(laplace, group)
    guide.prototype_trace.nodes["0.weight"]["mask"] = torch.tensor(False)  # as poutine.mask leaves it
    with pytest.raises(ValueError, match="'0.weight' under a mask"):
        improve_on_orbit_(guide, group)
    shifted = AutoNormal(lambda *d: regression(net, *d, prior=dist.Normal(torch.ones(()).double(), 1.0)))
    shifted(x, y)
    with pytest.raises(TypeError, match="normal prior about zero"):
        improve_on_orbit_(shifted, group)
    with pytest.raises(ValueError, match="positive finite entries of scale"):
        best_mean_field(group, torch.zeros(group.dim), torch.zeros(group.dim), 1.0)
    with pytest.raises(ValueError, match=r"expected loc \[41\]"):
        best_mean_field(group, torch.zeros(3), torch.ones(3), 1.0)
