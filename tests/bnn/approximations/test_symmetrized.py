"""Orbit mixtures: the gain against brute force over the group, its bounds, and what is refused."""

import dataclasses
import itertools
import math

import pytest
import torch
from torch import nn

from pyro_symvi.bnn import GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.approximations import (
    DeepEnsemble,
    Fitted,
    FittedMeanField,
    FittedSymmetrized,
    MeanField,
    MeanFieldStatus,
    Symmetrized,
)
from pyro_symvi.bnn.approximations._permanents import log_permanent, log_permanent_bound
from pyro_symvi.bnn.symmetry import NetworkSymmetry


def posterior(*widths: int, activation: type[nn.Module] = nn.Tanh) -> NetworkPosterior:
    layers: list[nn.Module] = []
    for into, out in itertools.pairwise((1, *widths)):
        layers += [nn.Linear(into, out), activation()]
    network = nn.Sequential(*layers, nn.Linear(widths[-1], 1))
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    return NetworkPosterior(network, GaussianNoise(0.3), NormalPrior(1.0), x, x[:, 0].sin())


def mixture(target: NetworkPosterior, loc: torch.Tensor, scale: torch.Tensor) -> FittedSymmetrized:
    base = FittedMeanField(target, loc, scale, MeanFieldStatus.CONVERGED, {})
    return FittedSymmetrized(base, NetworkSymmetry.of(target))


def random_law(target: NetworkPosterior, scale: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    loc = torch.randn(target.dim, generator=generator, dtype=torch.float64)
    return loc, scale * (0.5 + torch.rand(target.dim, generator=generator, dtype=torch.float64))


def images(target: NetworkPosterior, theta: torch.Tensor) -> torch.Tensor:
    """All images of theta ``[*batch, dim]`` of a 1-h-1 tanh network, written by hand: ``[2^h h!, *batch, dim]``."""
    h = (target.dim - 1) // 3
    into, bias, out, last = theta.split([h, h, h, 1], -1)
    found = []
    for order in itertools.permutations(range(h)):
        for flips in itertools.product((1.0, -1.0), repeat=h):
            s = torch.tensor(flips, dtype=theta.dtype)
            p = list(order)
            found.append(torch.cat([s * into[..., p], s * bias[..., p], s * out[..., p], last], -1))
    return torch.stack(found)


@pytest.mark.parametrize("h", [2, 3])
@pytest.mark.parametrize("scale", [0.35, 0.8], ids=["little overlap", "overlapping"])
def test_density_and_gain_against_brute_force(h, scale):
    target = posterior(h)
    law = mixture(target, *random_law(target, scale))
    theta = torch.randn(50, target.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    order = math.factorial(h) * 2**h
    by_hand = law.base.log_prob(images(target, theta)).logsumexp(0) - math.log(order)
    torch.testing.assert_close(law.log_prob(theta), by_hand)
    draws = law.base.sample(4000, torch.Generator().manual_seed(2)).flat
    ratio = law.base.log_prob(draws) - law.base.log_prob(images(target, draws)).logsumexp(0) + math.log(order)
    truth, error = float(ratio.mean()), float(ratio.std()) / math.sqrt(4000)
    enumerated = law.gain(1000, torch.Generator().manual_seed(3))
    assert enumerated.exact
    assert enumerated.limit == pytest.approx(math.log(order))
    assert 0 <= enumerated.value <= enumerated.limit
    assert abs(enumerated.value - truth) < 4 * math.hypot(error, enumerated.standard_error) + 1e-9
    law.__dict__["_enumerated"] = None  # as if the group were too large to list: permanents
    torch.testing.assert_close(law.log_prob(theta), by_hand)
    by_permanents = law.gain(1000, torch.Generator().manual_seed(3))
    assert by_permanents.exact
    assert abs(by_permanents.value - truth) < 4 * math.hypot(error, by_permanents.standard_error) + 1e-9


@pytest.mark.parametrize("h", [2, 3])
def test_images_apart_gain_the_log_order_and_invariant_laws_nothing(h):
    target = posterior(h)
    loc = torch.linspace(2, 5, target.dim, dtype=torch.float64)
    apart = mixture(target, loc, torch.full_like(loc, 0.02)).gain(50)
    assert apart.value == pytest.approx(math.log(math.factorial(h) * 2**h), abs=1e-9)
    invariant = mixture(target, torch.zeros_like(loc), torch.ones_like(loc)).gain(50)
    assert invariant.value == pytest.approx(0.0, abs=1e-9)
    assert float(mixture(target, loc, torch.ones_like(loc)).gain(50).value) > 0.1


def test_draws_are_base_draws_moved_without_changing_the_network():
    target = posterior(3)
    law = mixture(target, *random_law(target, 0.05))
    base = law.base.sample(200, torch.Generator().manual_seed(0)).flat
    moved = law.sample(200, torch.Generator().manual_seed(0)).flat
    torch.testing.assert_close(target.outputs(moved), target.outputs(base))
    torch.testing.assert_close(target.log_prob(moved), target.log_prob(base))
    nearest = (images(target, base) - moved).abs().amax(-1).amin(0)
    assert float(nearest.max()) < 1e-12
    first = (moved[:, 0, None] - law.base.loc[:3]).abs().argmin(-1)  # each unit comes first equally often
    assert (first.bincount(minlength=3) > 0).all()


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU], ids=["signs", "no signs"])
def test_bounds_for_several_layers_lie_below_enumeration(activation):
    target = posterior(2, 3, activation=activation)
    for scale in (0.1, 0.7):
        law = mixture(target, *random_law(target, scale))
        exact = law.gain(300, torch.Generator().manual_seed(0))
        law.__dict__["_enumerated"] = None
        chain = law.gain(300, torch.Generator().manual_seed(0))
        assert not chain.exact
        assert "chain rule" in chain.how
        slack = 4 * math.hypot(exact.standard_error, chain.standard_error) + 1e-9
        assert chain.value < exact.value + slack
        assert chain.value > (0.9 if scale == 0.1 else 0.3) * exact.value
        contrast = FittedSymmetrized(Opaque(law.base), law.symmetry).gain(
            300, torch.Generator().manual_seed(0), elements=20
        )
        assert "InfoNCE" in contrast.how
        assert contrast.value <= math.log(20)
        assert contrast.value < exact.value + slack
        assert "at least" in str(contrast)


class Opaque(Fitted):
    """A law of which nothing is known but its density and draws."""

    def __init__(self, law: FittedMeanField) -> None:
        super().__init__(law.posterior, {})
        self.law = law

    def _log_prob(self, theta: torch.Tensor) -> torch.Tensor:
        return self.law.log_prob(theta)

    def _sample(self, n: int, generator: torch.Generator | None) -> torch.Tensor:
        return self.law.sample(n, generator).flat


def test_more_units_than_permanents_can_do():
    target = posterior(20, activation=nn.ReLU)
    loc, _ = random_law(target, 1.0)
    law = mixture(target, 10 * loc, torch.full_like(loc, 0.01))
    assert law.log_order == pytest.approx(math.lgamma(21))
    gain = law.gain(4, torch.Generator().manual_seed(0))
    assert not gain.exact
    assert gain.value == pytest.approx(law.log_order, rel=1e-6)  # far apart: the bound is tight
    same = mixture(target, torch.zeros_like(loc), torch.ones_like(loc)).gain(2)
    assert same.value == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="sum over the group"):
        law.log_prob(loc)


def test_permanents_against_the_sum_over_permutations():
    a = 3 * torch.randn(6, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    terms = torch.stack([a[:, range(5), list(p)].sum(-1) for p in itertools.permutations(range(5))])
    torch.testing.assert_close(log_permanent(a), terms.logsumexp(0))
    assert (log_permanent_bound(a) >= terms.logsumexp(0)).all()
    h = 11
    torch.testing.assert_close(log_permanent(torch.zeros(1, h, h).double())[0].item(), math.lgamma(h + 1))
    with pytest.raises(ValueError, match="at most 16"):
        log_permanent(torch.zeros(1, 17, 17))


def test_fit_adds_the_gain_to_the_bound():
    target = posterior(2)
    base = MeanField(starts=1, max_steps=400, training=DeepEnsemble(1, epochs=20))
    fitted = Symmetrized(base).fit(target, seed=1)
    alone = base.fit(target, seed=1)
    torch.testing.assert_close(fitted.base.loc, alone.loc)
    value, error = fitted.elbo(1000, torch.Generator().manual_seed(0))
    theta = fitted.sample(4000, torch.Generator().manual_seed(1)).flat
    direct = target.log_prob(theta) - fitted.log_prob(theta)  # the bound of the mixture by definition
    assert abs(value - float(direct.mean())) < 4 * math.hypot(error, float(direct.std()) / math.sqrt(4000))
    assert value > alone.elbo(2000, torch.Generator().manual_seed(0)).value


def test_what_is_refused():
    target = posterior(3, activation=nn.ReLU)
    symmetry = NetworkSymmetry.of(target)
    layer = symmetry.layers[0]
    odd = dataclasses.replace(layer, activation=dataclasses.replace(layer.activation, odd=True))
    claims = dataclasses.replace(symmetry, layers=[odd])
    with pytest.raises(ValueError, match="invariant"):  # ReLU is not odd: a wrong action is caught
        Symmetrized(MeanField(), claims).fit(target)
    with pytest.raises(ValueError, match="parameters"):
        Symmetrized(MeanField(), NetworkSymmetry.of(posterior(4))).fit(target)
    linear = NetworkPosterior(nn.Linear(1, 1), GaussianNoise(), NormalPrior(), target.x, target.y)
    with pytest.raises(ValueError, match="exchanged"):
        Symmetrized(MeanField()).fit(linear)
    with pytest.raises(TypeError, match="approximation"):
        Symmetrized("mean-field")
