"""Uniform moves of the finite group: what stays, every element reached equally often, unequal priors refused."""

import itertools
from collections import Counter

import pytest
import torch
from scipy import stats
from torch import nn

from pyro_symvi.bnn.moves import OrbitRefresh, RandomPermutation
from pyro_symvi.bnn.runs import sample
from pyro_symvi.bnn.samplers import MAMS
from pyro_symvi.bnn.symmetry import NetworkSymmetry

from .move_cases import generators, posterior, state_at, symmetry


@pytest.mark.parametrize("activation, odd", [(nn.ReLU, False), (nn.Tanh, True)], ids=["relu", "tanh"])
def test_density_function_and_energies_stay(activation: type[nn.Module], odd: bool):
    target = posterior("mixed", activation)
    theta = torch.randn(5, target.dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    before = state_at(target, theta)
    move = RandomPermutation(symmetry(odd=odd))
    move.check(target)
    after = move.apply(target, before, generators(5))
    assert bool((after.position != theta).any(-1).all())
    torch.testing.assert_close(target.outputs(after.position), target.outputs(theta), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(after.log_density, before.log_density, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(after.position.abs().sort(-1).values, theta.abs().sort(-1).values, rtol=0, atol=0)
    old, new = (s.position * s.momentum for s in (before, after))  # moved alike
    torch.testing.assert_close(new.sort(-1).values, old.sort(-1).values, rtol=0, atol=0)
    torch.testing.assert_close((after.gradient * after.momentum).sum(-1), (before.gradient * before.momentum).sum(-1))


def test_signs_of_a_function_that_is_not_odd_would_be_seen():
    target = posterior("mixed", nn.ReLU)
    theta = torch.randn(5, target.dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    after = RandomPermutation(symmetry(odd=True)).apply(target, state_at(target, theta), generators(5))
    assert float((target.outputs(after.position) - target.outputs(theta)).abs().max()) > 0.1


def test_every_signed_permutation_is_as_likely():
    """3! 2^3 = 48 images of one layer of three units; chi-squared over 4800 chains."""
    target = posterior("normal", nn.Tanh, widths=(1, 3, 1))
    theta = torch.randn(target.dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    chains = 4800
    one = torch.Generator().manual_seed(8)
    move = RandomPermutation(symmetry((1, 3, 1), odd=True))
    moved, _ = move._move(target, theta.expand(chains, -1), theta.expand(chains, -1), [one] * chains)
    found = Counter(tuple(row) for row in moved[:, :3].tolist())
    units = theta[:3].tolist()
    images = {
        tuple(sign * units[i] for sign, i in zip(signs, order, strict=True))
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
    }
    assert set(found) == images
    assert stats.chisquare([found[image] for image in sorted(images)]).pvalue > 1e-3


def test_unequal_priors_of_units_are_refused():
    target = posterior("normal")
    RandomPermutation(symmetry()).check(target)
    target.parameter_prior.scale[0] = 0.1  # the first unit's first weight
    with pytest.raises(ValueError, match="same prior for all units"):
        RandomPermutation(symmetry()).check(target)


def test_both_moves_in_a_run_with_the_symmetry_read_from_the_network():
    """Prior alone: marginals stay normal, chains of a pack of one are those of a pack of three."""
    target = posterior("normal", rows=0, widths=(1, 3, 1))
    found = NetworkSymmetry.from_module(target.network)
    moves = [OrbitRefresh(found, every=2), RandomPermutation(found, every=3)]
    start = target.sample_prior(40, generator=torch.Generator().manual_seed(0))
    settings = {"draws": 6, "block": 4, "warmup": 30, "start": start, "moves": moves}
    draws = sample(target, MAMS(ascent=0), chains=40, pack=40, **settings)
    scaled = (draws.theta[:, -1] / target.parameter_prior.scale).flatten()
    assert stats.kstest(scaled.numpy(), stats.norm.cdf).pvalue > 1e-3
    again = sample(target, MAMS(ascent=0), chains=40, pack=40, **{**settings, "draws": 4})
    assert torch.equal(again.theta, draws.theta[:, :4])
    assert "moves" in draws.info["settings"] and "OrbitRefresh" in draws.info["settings"]["moves"][0]
