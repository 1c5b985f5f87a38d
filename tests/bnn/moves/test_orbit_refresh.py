"""Orbit refresh: what it leaves alone, what it draws, and a wrong exponent that is caught."""

import pytest
import torch
from scipy import stats
from torch import nn

from pyro_symvi.bnn import FlatPrior, GaussianNoise, NetworkPosterior, NetworkPrior, NormalPrior
from pyro_symvi.bnn.moves import OrbitRefresh, _orbit_refresh, orbit_law

from .move_cases import PRIORS, Squared, generators, posterior, state_at, symmetry


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("activation, degree", [(nn.ReLU, 1.0), (Squared, 2.0)], ids=["relu", "squared"])
def test_function_and_invariants_stay_and_the_density_is_that_of_the_new_point(
    prior: str, activation: type[nn.Module], degree: float
):
    target = posterior(prior, activation)
    theta = torch.randn(6, target.dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    move = OrbitRefresh(symmetry(degree=degree))
    move.check(target)
    before = state_at(target, theta)
    after = move.apply(target, before, generators(6))
    assert bool((after.position != theta).any(-1).all())
    torch.testing.assert_close(target.outputs(after.position), target.outputs(theta), rtol=1e-10, atol=1e-12)
    value, gradient = target.value_and_grad(after.position)
    assert torch.equal(after.log_density, value) and torch.equal(after.gradient, gradient)
    assert torch.equal(after.momentum, before.momentum)
    if prior == "normal" and degree == 1:
        first = move.layers[0]  # the move of the next layer changes weights out of this one, so look at it alone
        one = OrbitRefresh(type(move.symmetry)((first,)))
        moved = one.apply(target, before, generators(6)).position
        old, new = (orbit_law(t, target.parameter_prior, first) for t in (theta, moved))
        torch.testing.assert_close(new.a2 * new.b2, old.a2 * old.b2, rtol=1e-12, atol=0.0)


def worst(prior: str, degree: float = 1.0, activation: type[nn.Module] = nn.ReLU) -> tuple[float, float]:
    """That draws of the prior follow it after the move: smallest p value over weights, times their number.

    And the correlation of log(a / b) of a unit before and after.
    """
    target = posterior(prior, activation, rows=0)
    theta = target.sample_prior(3_000, generator=torch.Generator().manual_seed(5))
    numbers = torch.Generator().manual_seed(6)
    move = OrbitRefresh(symmetry(degree=degree))
    moved, _ = move._move(target, theta, theta, _Many(numbers, len(theta)))
    laws = {"normal": stats.norm, "laplace": stats.laplace}
    p_values = [
        stats.kstest((moved[:, i] / target.parameter_prior.scale[i]).numpy(), laws[kind].cdf).pvalue
        for i, kind in enumerate(target.parameter_prior.kinds)
    ]
    a, b = (orbit_law(t, target.parameter_prior, move.layers[0]) for t in (theta, moved))
    ratios = [torch.log((x.a2 + x.a1) / (x.b2 + x.b1))[:, 0] for x in (a, b)]
    return min(p_values) * len(p_values), float(torch.corrcoef(torch.stack(ratios))[0, 1])


class _Many(list):
    """Chains that share one generator."""

    def __init__(self, generator: torch.Generator, chains: int) -> None:
        super().__init__([generator] * chains)


@pytest.fixture(autouse=True)
def _one_draw_for_shared_generators(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = _orbit_refresh.uniforms

    def quick(chains: list, shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
        if isinstance(chains, _Many):
            return torch.rand(len(chains), *shape, generator=chains[0], dtype=torch.float64)
        return plain(chains, shape, like)

    monkeypatch.setattr(_orbit_refresh, "uniforms", quick)


@pytest.mark.parametrize(
    "prior, degree, activation",
    [("normal", 1.0, nn.ReLU), ("laplace", 1.0, nn.ReLU), ("mixed", 2.0, Squared)],
    ids=["normal", "laplace", "mixed, squared"],
)
def test_prior_is_left_invariant_and_the_place_on_the_orbit_forgotten(
    prior: str, degree: float, activation: type[nn.Module]
):
    p_value, left = worst(prior, degree=degree, activation=activation)
    assert p_value > 1e-3  # 3,000 draws
    assert abs(left) < 0.5  # 1 if unmoved; not 0, for the law of a / b depends on the orbit


@pytest.mark.parametrize("planted", ["sign of p - q", "no volume", "scale of c, not c squared"])
def test_a_wrong_exponent_is_caught(planted: str, monkeypatch: pytest.MonkeyPatch):
    right = _orbit_refresh._drift
    wrong = {
        "sign of p - q": lambda l: -right(l),
        "no volume": lambda l: 0.0,
        "scale of c, not c squared": lambda l: right(l) / 2,
    }
    monkeypatch.setattr(_orbit_refresh, "_drift", wrong[planted])
    assert worst("normal")[0] < 1e-6


def test_posterior_given_the_orbit_is_reached_in_one_move():
    """From one point, the move of many chains: log c follows the law with the exact mean and variance."""
    target = posterior("normal", widths=(1, 2, 1))
    theta = torch.randn(target.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    chains = 4000
    move = OrbitRefresh(symmetry((1, 2, 1)))
    moved, _ = move._move(target, theta.expand(chains, -1), theta, _Many(torch.Generator().manual_seed(2), chains))  # type: ignore[arg-type]
    t = (moved[:, 0] / theta[0]).square()
    a = theta[0].square() / 0.49 + theta[2].square() / 0.49
    b = theta[4].square() / 2.25
    expected = stats.geninvgauss(0.5, float((a * b).sqrt()))  # two weights in, one out
    assert stats.kstest((t / (b / a).sqrt()).numpy(), expected.cdf).pvalue > 1e-3


def test_a_chain_has_its_own_numbers():
    target = posterior()
    theta = torch.randn(4, target.dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    move = OrbitRefresh(symmetry())
    together, _ = move._move(target, theta, theta, generators(4))
    alone, _ = move._move(target, theta[2:3], theta[2:3], generators(4)[2:3])
    assert torch.equal(together[2:3], alone)


def test_float32_stays_float32():
    target = posterior()
    single = NetworkPosterior(target.network, target.likelihood, target.prior, target.x.float(), target.y.float())
    theta = torch.randn(3, single.dim, generator=torch.Generator().manual_seed(3))
    after = OrbitRefresh(symmetry()).apply(single, state_at(single, theta), generators(3))
    assert after.position.dtype == torch.float32
    torch.testing.assert_close(single.outputs(after.position), single.outputs(theta), rtol=1e-4, atol=1e-5)


def test_refusals():
    target = posterior("normal")
    with pytest.raises(ValueError, match="hidden units that can be rescaled"):
        OrbitRefresh(symmetry(degree=None)).check(target)
    with pytest.raises(ValueError, match="symmetry of a network with"):
        OrbitRefresh(symmetry((2, 3, 1))).check(target)
    with pytest.raises(TypeError, match="NetworkPosterior"):
        OrbitRefresh(symmetry()).check(object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="every >= 1"):
        OrbitRefresh(symmetry(), every=0)
    flat = NetworkPrior(NormalPrior(), {"4.weight": FlatPrior()})
    improper = NetworkPosterior(target.network, GaussianNoise(0.5), flat, target.x, target.y)
    OrbitRefresh(symmetry()).check(improper)  # 4 weights in, 1 out: the volume holds it
    reversed_ = NetworkPrior(NormalPrior(), {"4.weight": NormalPrior(), "2.*": FlatPrior()})
    held = NetworkPosterior(target.network, GaussianNoise(0.5), reversed_, target.x, target.y)
    with pytest.raises(ValueError, match="posterior is then improper"):
        OrbitRefresh(symmetry()).check(held)
