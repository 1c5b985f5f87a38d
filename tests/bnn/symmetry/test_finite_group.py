"""Permutations and signs of hidden units: group laws, invariance of the posterior, canonical forms, matching."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.bnn import FlatPrior, GaussianNoise, LaplacePrior, NetworkPosterior, NetworkPrior, NormalPrior
from pyro_symvi.bnn.symmetry import ByBias, ByOutgoingNorm, ByProduct, NetworkSymmetry, UnitIncomingNorm

MIXED = NetworkPrior(NormalPrior(0.7), {"0.weight": LaplacePrior(1.3), "*.bias": FlatPrior()})


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def posterior(activations: tuple[type[nn.Module], ...], prior: NetworkPrior | None = None) -> NetworkPosterior:
    layers: list[nn.Module] = []
    widths = (3, 4, 3, 2)[: len(activations) + 1]
    for (a, b), activation in zip(itertools.pairwise(widths), activations, strict=True):
        layers += [nn.Linear(a, b), activation()]
    network = nn.Sequential(*layers, nn.Linear(widths[-1], 2))
    x = torch.randn(6, 3, generator=seeded(1), dtype=torch.float64)
    y = torch.randn(6, 2, generator=seeded(2), dtype=torch.float64)
    return NetworkPosterior(network, GaussianNoise(0.5), prior or NetworkPrior(NormalPrior(0.8)), x, y)


def weights(target: NetworkPosterior, n: int, seed: int = 3) -> Tensor:
    return torch.randn(n, target.dim, generator=seeded(seed), dtype=torch.float64)


CHAINS = {"tanh": (nn.Tanh,), "two tanh": (nn.Tanh, nn.Tanh), "tanh, relu": (nn.Tanh, nn.ReLU), "relu": (nn.ReLU,)}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("prior", [None, MIXED], ids=["normal", "mixed"])
def test_posterior_is_invariant(name: str, prior: NetworkPrior | None) -> None:
    """Priors with one scale a tensor keep the finite group; volume is kept, and inverses undo moves."""
    target = posterior(CHAINS[name], prior)
    symmetry = NetworkSymmetry.of(target)
    theta, g = weights(target, 8), symmetry.random(8, seeded())
    moved = symmetry.act(g, theta)
    assert not torch.allclose(moved, theta)
    assert torch.allclose(target.log_prob(moved), target.log_prob(theta), rtol=1e-12)
    assert symmetry.finite_preserves(target.parameter_prior)
    assert torch.equal(symmetry.act(symmetry.finite.group.inverse(g), moved), theta)
    assert torch.equal(symmetry.finite.log_abs_det(g, theta), torch.zeros(8, dtype=torch.float64))
    matrix = symmetry.act(g[0], torch.eye(target.dim, dtype=torch.float64))
    assert torch.equal(matrix @ matrix.mT, torch.eye(target.dim, dtype=torch.float64))


def test_a_prior_that_tells_units_apart_is_not_preserved() -> None:
    target = posterior((nn.Tanh,))
    symmetry, prior = NetworkSymmetry.of(target), target.parameter_prior
    scale = prior.scale.clone()
    scale[symmetry.layers[0].incoming[0, 0]] = 2.0
    uneven = type(prior)(scale, prior.kinds)
    holds = {found.group: bool(found) for found in symmetry.preserves(uneven)}
    assert holds == {"permutations": False, "signs": True} and not symmetry.finite_preserves(uneven)
    theta, g = weights(target, 8), symmetry.random(8, seeded())
    assert not torch.allclose(uneven.log_prob(symmetry.act(g, theta)), uneven.log_prob(theta))


@pytest.mark.parametrize(("h", "odd"), [(1, True), (2, True), (3, True), (4, True), (3, False), (4, False)])
def test_number_of_images(h: int, odd: bool) -> None:
    """A generic vector has h! images, times 2^h for odd activations; the action is a homomorphism."""
    network = nn.Sequential(nn.Linear(1, h), nn.Tanh() if odd else nn.GELU(), nn.Linear(h, 1))
    symmetry = NetworkSymmetry.from_module(network)
    theta = torch.randn(symmetry.dim, generator=seeded(), dtype=torch.float64)
    order = math.factorial(h) * (2**h if odd else 1)
    images = symmetry.finite.orbit(theta)
    assert len(torch.unique(images, dim=0)) == len(images) == order
    assert math.exp(symmetry.log_order) == pytest.approx(order)
    a, b = symmetry.random(5, seeded(1)), symmetry.random(5, seeded(2))
    together = symmetry.act(symmetry.finite.group.compose(a, b), theta)
    assert torch.equal(together, symmetry.act(a, symmetry.act(b, theta)))


def test_random_elements_are_uniform() -> None:
    """Counts of the 8 images of two odd units in 4,000 draws: chi-square below its 0.9999 quantile 29.9 (7 df)."""
    network = nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 1))
    symmetry = NetworkSymmetry.from_module(network)
    theta = torch.randn(symmetry.dim, generator=seeded(), dtype=torch.float64)
    images = symmetry.act(symmetry.random(4000, seeded(5)), theta)
    _, counts = torch.unique(images, dim=0, return_counts=True)
    assert len(counts) == 8 and float(((counts - 500.0) ** 2 / 500).sum()) < 29.9


def test_float32_weights_keep_their_type() -> None:
    symmetry = NetworkSymmetry.from_module(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)))
    theta = torch.randn(2, 5, symmetry.dim, generator=seeded())
    moved = symmetry.act(symmetry.random(5, seeded()), theta)
    assert moved.dtype == torch.float32 and moved.shape == theta.shape
    assert torch.equal(moved.abs().sort(-1).values, theta.abs().sort(-1).values)


def orbit_mate(symmetry: NetworkSymmetry, theta: Tensor) -> Tensor:
    """A random point of the same orbit, rescaling included."""
    moved = symmetry.act(symmetry.random(len(theta), seeded(7)), theta)
    for layer in symmetry.layers:
        if layer.rescaling is not None:
            c = (torch.randn(len(theta), layer.h, generator=seeded(8), dtype=torch.float64)).exp()
            moved = layer.rescaling.act(c, moved)
    return moved


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("by", [ByOutgoingNorm(), ByProduct(), ByBias()], ids=lambda by: type(by).__name__)
def test_canonical_form_is_constant_on_orbits(name: str, by: object) -> None:
    target = posterior(CHAINS[name])
    symmetry = NetworkSymmetry.of(target)
    theta = weights(target, 5)
    mate = orbit_mate(symmetry, theta)
    found = symmetry.canonicalize(theta, by)
    assert torch.allclose(symmetry.canonicalize(found, by), found, atol=1e-9)
    assert torch.allclose(symmetry.canonicalize(mate, by), found, atol=1e-8)
    assert torch.allclose(target.outputs(found), target.outputs(theta), atol=1e-9)
    unit = symmetry.canonicalize(theta, by, UnitIncomingNorm())
    assert torch.allclose(symmetry.canonicalize(mate, by, UnitIncomingNorm()), unit, atol=1e-9)


def test_canonical_form_of_other_orbits_differs() -> None:
    """Moving one weight leaves the orbit, and leaving out the gauge does not forgive rescaling."""
    target = posterior((nn.Tanh, nn.ReLU))
    symmetry = NetworkSymmetry.of(target)
    theta = weights(target, 3)
    other = theta.clone()
    other[:, 0] += 0.1
    assert not torch.allclose(symmetry.canonicalize(theta), symmetry.canonicalize(other), atol=1e-3)
    mate = orbit_mate(symmetry, theta)
    assert not torch.allclose(symmetry.canonicalize(theta, gauge=None), symmetry.canonicalize(mate, gauge=None))


def test_matching_is_the_best_of_all_for_one_layer() -> None:
    """Against all 4! 2^4 = 384 images of each vector."""
    target = posterior((nn.Tanh,))
    symmetry = NetworkSymmetry.of(target)
    theta, reference = weights(target, 6), weights(target, 1, 9)[0]
    distances = (symmetry.finite.orbit(theta) - reference).norm(dim=-1)
    found = (symmetry.match(theta, reference) - reference).norm(dim=-1)
    assert torch.allclose(found, distances.amin(0), rtol=1e-12)


@pytest.mark.parametrize("name", CHAINS)
def test_matching(name: str) -> None:
    """Undoes a random element, noise included; constant on orbits of the finite group, idempotent."""
    target = posterior(CHAINS[name])
    symmetry = NetworkSymmetry.of(target)
    reference, theta = weights(target, 1)[0], weights(target, 4, 5)
    noisy = reference + 0.02 * theta
    g = symmetry.random(4, seeded(3))
    assert torch.equal(symmetry.match(symmetry.act(g, noisy), reference), noisy)
    found = symmetry.match(theta, reference)
    assert torch.equal(symmetry.match(symmetry.act(g, theta), reference), found)
    assert torch.equal(symmetry.match(found, reference), found)
    assert torch.allclose(target.outputs(found), target.outputs(theta), atol=1e-12)
