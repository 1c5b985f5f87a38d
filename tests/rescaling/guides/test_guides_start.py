"""Starts of guides at canonical points, priors that may not be read, groups that move more than weights."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from torch import nn

from pyro_symvi.groups import UnsupportedError
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.rescaling import RescalingGroup, best_mean_field, canonical_values, improve_on_orbit_, init_to_canonical


@pytest.fixture
def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2), nn.ReLU(), nn.Linear(2, 1)).double()


def prior(net: nn.Module, scale: float = 0.7, *, hierarchical: bool = False) -> None:
    zero = torch.zeros((), dtype=torch.float64)
    sigma = pyro.sample("scale", dist.LogNormal(zero, 1.0)) if hierarchical else zero + scale
    for name, p in net.named_parameters():
        pyro.sample(name, dist.Normal(zero, sigma).expand(p.shape).to_event(p.ndim))


@pytest.mark.parametrize("kind", [AutoNormal, AutoLocationScale])
def test_both_guides_start_at_the_l2_point_and_the_prior_is_largest_there(net: nn.Module, kind: type) -> None:
    pyro.clear_param_store()
    group = RescalingGroup.from_module(net, (3,))
    guide = kind(lambda: prior(net), init_loc_fn=init_to_canonical(net, group, "l2"))
    guide()
    values = canonical_values(net, group, "l2")
    assert all(torch.allclose(guide.median()[name], value, rtol=1e-12) for name, value in values.items())
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(torch.func.functional_call(net, values, (x,)), net(x), rtol=1e-12)
    theta = group.layout.flatten(values)
    z = torch.randn(20, group.num_units, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for size in (1e-3, 0.1, 2.0):
        assert (group.act(theta, size * z).square().sum(-1) > theta.square().sum()).all()
    assert group.parameters(net).square().sum() > theta.square().sum()


def test_other_sites_begin_as_asked(net: nn.Module) -> None:
    group = RescalingGroup.from_module(net, (3,))
    start = init_to_canonical(net, group, site=lambda name: f"w.{name}", fallback=lambda site: 3.0)
    assert start({"name": "sigma"}) == 3.0
    assert torch.equal(start({"name": "w.0.bias"}), canonical_values(net, group)["0.bias"])


def test_a_scale_with_a_prior_of_its_own_is_not_read_as_a_constant(net: nn.Module) -> None:
    pyro.clear_param_store()
    group = RescalingGroup.from_module(net, (3,))
    guide = AutoNormal(lambda: prior(net, hierarchical=True), init_loc_fn=init_to_canonical(net, group))
    guide()
    before = [p.detach().clone() for p in guide.parameters()]
    with pytest.raises(ValueError, match="prior_scale="):
        improve_on_orbit_(guide, group)
    assert all(torch.equal(p, q) for p, q in zip(guide.parameters(), before, strict=True))


def test_a_scale_given_is_the_one_that_counts(net: nn.Module) -> None:
    gains = []
    for given in (None, 0.7, 0.1):
        pyro.clear_param_store()
        group = RescalingGroup.from_module(net, (3,))
        guide = AutoNormal(lambda: prior(net), init_loc_fn=init_to_canonical(net, group), init_scale=0.1)
        guide()
        gains.append(improve_on_orbit_(guide, group, prior_scale=given).gain)
    assert gains[0] == pytest.approx(gains[1], rel=1e-12)
    assert abs(gains[2] - gains[0]) > 1.0


def test_running_means_that_would_have_to_move_are_refused() -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)).double()
    group = RescalingGroup.from_module(net.eval(), (1, 4, 4), batch_norm="folded")
    with pytest.raises(UnsupportedError, match="running means"):
        best_mean_field(group, torch.ones(group.dim), torch.ones(group.dim), 1.0)
    with pytest.raises(UnsupportedError, match="running means"):
        canonical_values(net, group)
    assert best_mean_field(RescalingGroup.from_module(net, (1, 4, 4)), *torch.ones(2, group.dim), 1.0).gain >= 0


def test_gain_of_one_unit_is_that_of_the_quadratic_equation() -> None:
    net = nn.Sequential(nn.Linear(3, 1), nn.ReLU(), nn.Linear(1, 2, bias=False)).double()
    group = RescalingGroup.from_module(net, (3,))
    into, out = torch.tensor([0.3, -1.0, 0.2, 0.4]).double(), torch.tensor([2.0, -1.5]).double()
    theta = group.layout.flatten({"0.weight": into[None, :3], "0.bias": into[3:], "2.weight": out[:, None]})
    scale = torch.full_like(theta, 0.1)
    coming, leaving = (float((part.square() + 0.01).sum()) / 4 for part in (into, out))
    x = (2 + (4 + 4 * coming * leaving) ** 0.5) / (2 * coming)  # I x^2 + (|out| - |in|) x - O = 0, x = e^z
    found = best_mean_field(group, theta, scale, 2.0)
    assert float(found.log_scale.exp()) == pytest.approx(x, rel=1e-9)
    gain = (coming + leaving - coming * x - leaving / x) / 2 - (2 - 4) / 2 * math.log(x)
    assert found.gain == pytest.approx(gain, rel=1e-9)
