"""Energies, the law along rescaling orbits, equal-prior points, balanced weights."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize
from torch import Tensor, nn

from pyro_symvi.bnn import FlatPrior, GaussianNoise, LaplacePrior, NetworkPosterior, NetworkPrior, NormalPrior
from pyro_symvi.bnn.symmetry import Balanced, NetworkSymmetry, UnitIncomingNorm
from pyro_symvi.groups import GeneralizedInverseGaussian


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class SquaredReLU(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z.relu() ** 2


NORMAL = NetworkPrior(NormalPrior(0.7), {"0.weight": NormalPrior(1.9), "*.bias": NormalPrior(1.2)})
LAPLACE = NetworkPrior(LaplacePrior(0.6))
MIXED = NetworkPrior(NormalPrior(0.7), {"0.weight": LaplacePrior(1.3), "2.bias": FlatPrior()})
PRIORS = {"normal": NORMAL, "laplace": LAPLACE, "mixed": MIXED}


def posterior(
    *activations: nn.Module, prior: NetworkPrior = NORMAL, widths: tuple[int, ...] = (2, 3, 4, 2, 1)
) -> NetworkPosterior:
    layers: list[nn.Module] = []
    used = (*widths[: len(activations) + 1], widths[-1])
    for (a, b), activation in zip(itertools.pairwise(used), (*activations, nn.Identity()), strict=True):
        layers += [nn.Linear(a, b), activation]
    x = torch.randn(5, widths[0], generator=seeded(1), dtype=torch.float64)
    return NetworkPosterior(nn.Sequential(*layers[:-1]), GaussianNoise(0.5), prior, x, x[:, :1] ** 2)


def weights(target: NetworkPosterior, *shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, target.dim, generator=seeded(seed), dtype=torch.float64)


def test_equal_prior_point_of_one_unit() -> None:
    """(b, w_1, w_2) = (0.9, 0.5, 0.8): c* = sqrt(0.64 / 1.06) = 0.777029, and back again."""
    network = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1, bias=False))
    x = torch.zeros(0, 1, dtype=torch.float64)
    target = NetworkPosterior(network, GaussianNoise(1.0), NormalPrior(1.0), x, x)
    symmetry = NetworkSymmetry.of(target)
    theta = torch.tensor([0.5, 0.9, 0.8], dtype=torch.float64)
    c = symmetry.partner(theta, target.parameter_prior, 0)
    assert float(c) == pytest.approx(0.777029, abs=5e-7)
    root = optimize.brentq(lambda s: s**2 * 1.06 + 0.64 / s**2 - 1.70, 0.1, 0.95)
    assert float(c) == pytest.approx(root, rel=1e-12)
    moved = symmetry.rescaling.act(c, theta)  # type: ignore[union-attr]
    assert float(target.log_prior(moved)) == pytest.approx(float(target.log_prior(theta)), abs=1e-12)
    assert float(symmetry.partner(moved, target.parameter_prior, 0)) == pytest.approx(1 / root, rel=1e-12)


@pytest.mark.parametrize("prior", [NORMAL, LAPLACE], ids=["normal", "laplace"])
def test_equal_prior_points_of_a_layer(prior: NetworkPrior) -> None:
    target = posterior(nn.ReLU(), prior=prior)
    symmetry, theta = NetworkSymmetry.of(target), weights(target, 4)
    moved = symmetry.layers[0].rescaling.act(symmetry.partner(theta, target.parameter_prior, 0), theta)  # type: ignore[union-attr]
    assert not torch.allclose(moved, theta, rtol=0.1)
    assert torch.allclose(target.log_prob(moved), target.log_prob(theta), rtol=1e-12)


def test_no_closed_form_of_the_equal_prior_point() -> None:
    for target in (posterior(nn.ReLU(), prior=MIXED), posterior(SquaredReLU())):
        with pytest.raises(ValueError, match="equal-prior point has a closed form"):
            NetworkSymmetry.of(target).partner(weights(target), target.parameter_prior, 0)


def test_energies() -> None:
    """Sums of squares over variances, of absolute values over scales; flat entries add nothing and are counted."""
    target = posterior(nn.ReLU(), nn.ReLU(), prior=MIXED)
    symmetry, theta = NetworkSymmetry.of(target), weights(target, 2, 3)
    w = target.layout.unflatten(theta)
    first, second = symmetry.layers
    assert (first.h, first.p, first.q) == (3, 3, 4) and (second.h, second.p, second.q) == (4, 4, 1)
    a, b = symmetry.energies(theta, target.parameter_prior, "0")
    assert torch.allclose(a, w["0.weight"].abs().sum(-1) / 1.3 + (w["0.bias"] / 0.7) ** 2)
    assert torch.allclose(b, (w["2.weight"] / 0.7).square().sum(-2))
    a, b = symmetry.energies(theta, target.parameter_prior, 1)
    assert torch.allclose(a, (w["2.weight"] / 0.7).square().sum(-1))
    assert torch.allclose(b, (w["4.weight"] / 0.7).square().sum(-2))


def along_orbit(target: NetworkPosterior, symmetry: NetworkSymmetry, theta: Tensor, s: Tensor) -> Tensor:
    """Log posterior times |det| as a density in s = 2 log c of unit 0, for each of ``s``."""
    layer = symmetry.layers[0]
    c = torch.ones(len(s), layer.h, dtype=torch.float64)
    c[:, 0] = (s / 2).exp()
    moved = layer.rescaling.act(c, theta)  # type: ignore[union-attr]
    return target.log_prob(moved) + layer.rescaling.log_abs_det(c, theta)  # type: ignore[union-attr]


@pytest.mark.parametrize("activation", [nn.ReLU(), SquaredReLU()], ids=["degree 1", "degree 2"])
@pytest.mark.parametrize("name", PRIORS)
def test_density_along_the_orbit(activation: nn.Module, name: str) -> None:
    """The closed form against the posterior and the determinant of the move, over Haar measure dc / c."""
    target = posterior(
        activation, prior=PRIORS[name] if name != "mixed" else NetworkPrior(NormalPrior(), {"0.weight": LaplacePrior()})
    )
    symmetry, theta = NetworkSymmetry.of(target), weights(target)
    s = torch.linspace(-3, 3, 13, dtype=torch.float64)
    wanted = along_orbit(target, symmetry, theta, s)
    rows = torch.zeros(13, 3, dtype=torch.float64)
    rows[:, 0] = s
    found = symmetry.layers[0].orbit_log_density(theta, target.parameter_prior, rows)[:, 0]
    assert torch.allclose(found - found[0], wanted - wanted[0], atol=1e-10)


def test_orbit_law() -> None:
    """GIG density in t = e^s: log p(t) + s, up to a constant; a flat bias counts in the order alone."""
    prior = NetworkPrior(NormalPrior(0.7), {"0.bias": FlatPrior()})
    target = posterior(nn.ReLU(), prior=prior)
    symmetry, theta = NetworkSymmetry.of(target), weights(target)
    law = symmetry.orbit_law(theta, target.parameter_prior, 0)
    assert float(law.order[0]) == (3 - 1) / 2 and law.batch_shape == (3,)
    s = torch.linspace(-3, 3, 13, dtype=torch.float64)
    wanted = along_orbit(target, symmetry, theta, s)
    found = law.log_prob(s.exp()[:, None])[:, 0] + s
    assert torch.allclose(found - found[0], wanted - wanted[0], atol=1e-10)
    # integration by parts along the orbit: E[a - b] = p - q at the refreshed point
    assert torch.allclose(law.psi * law.moment(1.0) - law.chi * law.moment(-1.0), torch.full((3,), 2.0).double())


def test_orbit_density_under_laplace_priors() -> None:
    """The scale c is GIG(p - q, 2 a, 2 b): its log density plus log c, up to a constant."""
    target = posterior(nn.ReLU(), prior=LAPLACE)
    layer, theta = NetworkSymmetry.of(target).layers[0], weights(target)
    a, b = layer.energies(theta, target.parameter_prior)
    s = torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None].expand(13, 3)
    found = layer.orbit_log_density(theta, target.parameter_prior, s)
    wanted = GeneralizedInverseGaussian(layer.p - layer.q, 2 * a, 2 * b).log_prob((s / 2).exp()) + s / 2
    assert torch.allclose(found - found[0], wanted - wanted[0], atol=1e-10)


def test_orbit_density_of_degree_two_balances() -> None:
    """E[a - k b] = p - k q under the closed form, by quadrature (k = 2, p = 3, q = 1)."""
    target = posterior(SquaredReLU())
    layer, theta = NetworkSymmetry.of(target).layers[0], weights(target)
    a, b = (float(e[0]) for e in layer.energies(theta, target.parameter_prior))

    def density(s: float, power: int) -> float:
        value = layer.orbit_log_density(theta, target.parameter_prior, torch.full((3,), s, dtype=torch.float64))[0]
        return math.exp(float(value)) * (a * math.exp(s) - 2 * b * math.exp(-2 * s)) ** power

    total, first = (integrate.quad(density, -6, 6, args=(k,), epsabs=0, epsrel=1e-9)[0] for k in (0, 1))
    assert first / total == pytest.approx(3 - 2 * 1, rel=1e-6)


def test_orbit_law_is_refused_where_it_is_another() -> None:
    for target, match in (
        (posterior(SquaredReLU()), "expected a layer of degree 1"),
        (posterior(nn.Tanh()), "expected a layer of degree 1"),
        (posterior(nn.ReLU(), prior=LAPLACE), "expected normal priors"),
        (posterior(nn.ReLU(), prior=NetworkPrior(FlatPrior())), "prior energy on both sides"),
    ):
        with pytest.raises(ValueError, match=match):
            NetworkSymmetry.of(target).orbit_law(weights(target), target.parameter_prior, 0)
    with pytest.raises(ValueError, match="expected a layer with a rescaling"):
        target = posterior(nn.Tanh())
        NetworkSymmetry.of(target).layers[0].orbit_log_density(weights(target), target.parameter_prior, torch.zeros(3))


@pytest.mark.parametrize("name", PRIORS)
def test_balanced_weights(name: str) -> None:
    """Against scipy's minimum of the negative log prior over all log c of three layers, degree 2 among them."""
    target = posterior(nn.ReLU(), SquaredReLU(), nn.LeakyReLU(0.2), prior=PRIORS[name])
    symmetry, theta = NetworkSymmetry.of(target), weights(target)
    found = symmetry.balance(theta, target.parameter_prior)
    sizes = [layer.h for layer in symmetry.layers]

    def energy(log_c: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.tensor(log_c, requires_grad=True)
        moved = symmetry.rescaling.act(torch.cat([x.exp() for x in leaf.split(sizes)]), theta)  # type: ignore[union-attr]
        value = -target.log_prior(moved)
        value.backward()
        return float(value.detach()), leaf.grad.numpy()  # type: ignore[union-attr]

    best = optimize.minimize(energy, np.zeros(sum(sizes)), jac=True, method="BFGS", options={"gtol": 1e-9})
    assert -float(target.log_prior(found)) == pytest.approx(best.fun, rel=1e-12)
    wanted = symmetry.rescaling.act(torch.tensor(best.x).exp(), theta)  # type: ignore[union-attr]
    assert torch.allclose(found, wanted, atol=1e-6)
    assert torch.allclose(target.outputs(found), target.outputs(theta), atol=1e-10)
    for layer in symmetry.layers:  # a = k b in every unit at once
        a, b = layer.energies(found, target.parameter_prior)
        assert torch.allclose(a, float(layer.degree or 0) * b, rtol=1e-8)


def test_balancing_in_batches_and_the_gauge() -> None:
    target = posterior(nn.ReLU(), nn.ReLU())
    symmetry, theta = NetworkSymmetry.of(target), weights(target, 2, 3)
    found = symmetry.balance(theta, target.parameter_prior)
    assert torch.allclose(found[1, 2], symmetry.balance(theta[1, 2], target.parameter_prior), atol=1e-9)
    fixed = symmetry.canonicalize(theta, gauge=Balanced(target.parameter_prior))
    assert torch.allclose(fixed.abs().sort(-1).values, found.abs().sort(-1).values, atol=1e-9)
    unit = symmetry.canonicalize(theta, gauge=UnitIncomingNorm())
    for layer in symmetry.layers:
        assert torch.allclose(unit[..., layer.incoming].norm(dim=-1), torch.ones(2, 3, layer.h).double())


def test_dead_units_stay_and_are_flagged() -> None:
    target = posterior(nn.ReLU())
    symmetry, theta = NetworkSymmetry.of(target), weights(target, 2)
    layer = symmetry.layers[0]
    theta[0, layer.incoming[1]] = 0.0
    theta[1, layer.outgoing[2]] = 0.0
    (dead,) = symmetry.dead(theta)
    assert dead.tolist() == [[False, True, False], [False, False, True]]
    found = symmetry.balance(theta, target.parameter_prior)
    for row, unit in ((0, 1), (1, 2)):
        for index in (layer.incoming[unit], layer.outgoing[unit]):
            assert torch.equal(found[row, index], theta[row, index])
    a, b = layer.energies(found, target.parameter_prior)
    assert torch.allclose(a[~dead], b[~dead])
    with pytest.raises(ValueError, match="leave out dead units"):
        symmetry.orbit_law(theta, target.parameter_prior, 0)


def test_volume_and_priors() -> None:
    """The log |det| of all rescalings against autograd's Jacobian; no prior keeps rescaling."""
    target = posterior(nn.ReLU(), SquaredReLU())
    symmetry, theta = NetworkSymmetry.of(target), weights(target)
    c = (0.5 * torch.randn(7, generator=seeded(), dtype=torch.float64)).exp()
    action = symmetry.rescaling
    assert action is not None
    jacobian = torch.autograd.functional.jacobian(lambda z: action.act(c, z), theta)
    assert float(torch.linalg.slogdet(jacobian)[1]) == pytest.approx(float(action.log_abs_det(c, theta)), rel=1e-12)
    held = {(found.layer, found.group): bool(found) for found in symmetry.preserves(target.parameter_prior)}
    assert held == {
        ("0", "permutations"): True,
        ("0", "rescaling"): False,
        ("2", "permutations"): True,
        ("2", "rescaling of degree 2"): False,
    }
    assert not torch.allclose(target.log_prior(action.act(c, theta)), target.log_prior(theta))
    assert NetworkSymmetry.of(posterior(nn.Tanh())).rescaling is None
    assert NetworkSymmetry.of(posterior(nn.ReLU())).sign_flip is None
