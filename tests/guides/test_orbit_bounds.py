"""Evidence bounds of orbit mixtures: by quadrature, on published data, with some elements of many, without symmetry."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO
from scipy import integrate, stats

from pyro_symvi.density import LogDensity
from pyro_symvi.divergences import ForwardKL, ReverseKL
from pyro_symvi.groups import (
    BlockSigns,
    CoordinatePermutation,
    EllipticalRotation,
    FiniteMatrixGroup,
    NaturalAction,
    PointReflection,
)
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.guides._orbit_actions import label_permutation
from pyro_symvi.guides.orbit_mixture import OrbitMixture
from pyro_symvi.infer import DivergenceELBO
from tests.guides.orbit_models import bound, by_quadrature, clusters, factor, means, swap, to_laplace, two_components


@pytest.fixture
def float64() -> None:
    torch.set_default_dtype(torch.float64)


# -- evidence bounds -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("half", [0.2, 0.8, 1.5, 3.0])
def test_bounds_are_ordered_below_log_evidence(half: float) -> None:
    """bound(q) <= bound(q_G) <= log Z by quadrature; `gain` is their difference within four standard errors.

    (Where copies hardly overlap few draws see it, and the standard error with them: hence the 1e-4.)
    """
    y = clusters([-half, half])
    density = LogDensity.from_model(means, y)
    guide = OrbitMixture(AutoLocationScale(means), CoordinatePermutation(2))
    guide.set_up(y)
    scale = torch.tensor([[0.5, 0.0], [0.2, 0.45]])
    guide.component.set_parameters({"loc": torch.tensor([half, -half]), "scale": scale})
    if half == 3.0:
        to_laplace(guide.component, density, torch.tensor([half, -half]))
    log_evidence, one, all_copies = by_quadrature(guide, density, y)
    assert one < all_copies < log_evidence
    gain = guide.gain(y, num_samples=20_000, generator=torch.Generator().manual_seed(0))
    assert 0 <= gain.value <= gain.limit == math.log(2)
    assert all_copies - one == pytest.approx(gain.value, abs=max(4 * gain.standard_error, 1e-4))
    if half == 0.2:
        assert gain.value < 0.5 * math.log(2)
    if half == 3.0:
        assert all_copies - one == pytest.approx(math.log(2), abs=1e-6)
        assert log_evidence - all_copies < 0.05  # so that one copy misses log 2, and little else


@pytest.mark.usefixtures("float64")
def test_importance_weights_of_all_copies_find_the_whole_evidence() -> None:
    """log of the mean weight over 20,000 draws: log Z with all copies, log(Z / 2) with one; four standard errors."""
    y = clusters([-3.0, 3.0])
    density = LogDensity.from_model(means, y)
    guide = OrbitMixture(AutoLocationScale(means), CoordinatePermutation(2))
    guide.set_up(y)
    to_laplace(guide.component, density, torch.tensor([2.0, -2.0]))
    log_evidence = by_quadrature(guide, density, y)[0]
    torch.manual_seed(1)
    for law, lost in ((guide.get_posterior(y), 0.0), (guide.component.get_posterior(y), math.log(2))):
        with torch.no_grad():
            z = law.sample((20_000,))
            weights = (density(z) - law.log_prob(z) - log_evidence).exp()
        error = float(weights.std() / weights.mean()) / 20_000**0.5
        assert math.log(float(weights.mean())) == pytest.approx(-lost, abs=4 * error)
        assert error < 0.01


@pytest.mark.usefixtures("float64")
def test_gain_against_quadrature_in_one_dimension() -> None:
    """Two normals at +-a: log 2 - E H(J | z) by scipy; four standard errors."""

    def one() -> None:
        pyro.sample("z", dist.Normal(0.0, 1.0))

    guide = OrbitMixture(AutoLocationScale(one), PointReflection(center=0.0))
    guide.set_up()
    for a in (0.2, 0.9, 2.0):
        guide.component.set_parameters({"loc": torch.tensor([a]), "scale": torch.tensor([[0.7]])})

        def integrand(z: float, a: float = a) -> float:
            near, far = stats.norm.pdf(z, a, 0.7), stats.norm.pdf(z, -a, 0.7)
            return float(near * (stats.norm.logpdf(z, a, 0.7) - math.log((near + far) / 2)))

        expected = integrate.quad(integrand, a - 8, a + 8)[0]
        gain = guide.gain(num_samples=20_000, generator=torch.Generator().manual_seed(1))
        assert gain.value == pytest.approx(expected, abs=4 * gain.standard_error)
        assert 0 < gain.standard_error < 0.01


@pytest.mark.usefixtures("float64")
def test_three_labels_gain_between_nothing_and_log_six() -> None:
    """Rising with the distance of the clusters; equal to the difference of the bounds within four standard errors."""
    found = []
    torch.manual_seed(3)
    for gap in (0.5, 1.5, 3.0, 5.0):
        y = clusters([-gap, 0.0, gap], n=12)
        density = LogDensity.from_model(means, y, 3)
        guide = OrbitMixture(AutoLocationScale(means, init_scale=0.3), lambda c: label_permutation(c, ["mu"]))
        guide.set_up(y, 3)
        guide.component.set_parameters({"loc": torch.tensor([-gap, 0.0, gap]), "scale": 0.3 * torch.eye(3)})
        gain = guide.gain(y, 3, generator=torch.Generator().manual_seed(2))
        assert 0 <= gain.value <= gain.limit == math.log(6)
        one, e1 = bound(guide.component.get_posterior(y, 3), density)
        all_copies, e2 = bound(guide.get_posterior(y, 3), density)
        error = (e1**2 + e2**2 + gain.standard_error**2) ** 0.5
        assert all_copies - one == pytest.approx(gain.value, abs=4 * error)
        found.append(gain.value)
    assert found == sorted(found)
    assert found[0] < 0.75 * math.log(6)
    assert found[-1] == pytest.approx(math.log(6), abs=1e-6)


@pytest.mark.usefixtures("float64")
def test_published_mixture_data(shared_data: Path) -> None:
    """1000 data of two normals (posteriordb): log 2 gained, and switched labels of reference draws put right."""
    folder = shared_data / "posteriordb" / "low_dim_gauss_mix-low_dim_gauss_mix"
    if not folder.is_dir():
        pytest.skip("low_dim_gauss_mix is not among the reference data")
    y = torch.tensor(json.loads((folder / "data.json").read_text())["y"])
    density = LogDensity.from_model(two_components, y)
    guide = OrbitMixture(AutoLocationScale(two_components), NaturalAction(FiniteMatrixGroup.generated_by([swap()])))
    guide.set_up(y)
    to_laplace(guide.component, density, torch.tensor([-2.0, 2.0, 0.0, 0.0, 0.0]))
    torch.manual_seed(0)
    one, e1 = bound(guide.component.get_posterior(y), density, 500)
    all_copies, e2 = bound(guide.get_posterior(y), density, 500)
    assert all_copies - one == pytest.approx(math.log(2), abs=4 * (e1**2 + e2**2) ** 0.5)
    assert (e1**2 + e2**2) ** 0.5 < 0.02
    gain = guide.gain(y)
    assert gain.value == pytest.approx(math.log(2), abs=1e-9) and gain.standard_error < 1e-9
    reference = np.load(folder / "reference_draws.npz")
    columns = [torch.as_tensor(reference[n].reshape(-1)[:500]) for n in ("mu.1", "mu.2", "sigma.1", "sigma.2", "theta")]
    draws = torch.stack([*columns[:2], columns[2].log(), columns[3].log(), columns[4].logit()], -1)
    switched = torch.where(torch.rand(500, 1) < 0.5, draws @ swap().mT, draws)
    assert not torch.allclose(switched, draws)
    back, index = guide.relabel(switched, y)
    assert torch.allclose(back, draws, rtol=1e-12)
    assert set(index.tolist()) == {0, 1}
    loc = guide.component.loc.detach()
    assert float(((draws.mean(0) - loc) / draws.std(0)).abs().max()) < 0.2


@pytest.mark.usefixtures("float64")
def test_signs_of_a_factor() -> None:
    """(loadings, z) and their negatives: log 2 gained, medians zero, and signs put right by relabelling."""
    generator = torch.Generator().manual_seed(5)
    loadings, z = torch.tensor([1.0, -0.8, 0.6]), torch.randn(10, 1, generator=generator)
    y = z * loadings + 0.4 * torch.randn(10, 3, generator=generator)
    density = LogDensity.from_model(factor, y)
    guide = OrbitMixture(AutoLocationScale(factor), lambda c: BlockSigns(c.latent_dim, [range(c.latent_dim)]))
    guide.set_up(y)
    to_laplace(guide.component, density, torch.cat([loadings, z[:, 0]]))
    torch.manual_seed(0)
    gain = guide.gain(y)
    one, e1 = bound(guide.component.get_posterior(y), density)
    all_copies, e2 = bound(guide.get_posterior(y), density)
    error = (e1**2 + e2**2 + gain.standard_error**2) ** 0.5
    assert all_copies - one == pytest.approx(gain.value, abs=4 * error)
    assert gain.value == pytest.approx(math.log(2), abs=0.01)
    assert float(torch.cat([v.reshape(-1) for v in guide.median(y).values()]).abs().max()) < 1e-9
    draws = guide.get_posterior(y).sample((2000,))
    back, _ = guide.relabel(draws, y)
    loc, sd = (value.detach() for value in guide.component._loc_scale())
    assert float(draws.mean(0).abs().max()) < 5 * float(draws.std(0).max()) / 2000**0.5
    assert float(((back.mean(0) - loc).abs() / sd).max()) < 0.15  # five standard errors, and a few draws near zero


@pytest.mark.usefixtures("float64")
def test_a_group_that_is_no_symmetry_promises_nothing() -> None:
    """Target N(3, 1), q equal to it, reflected about 0: the bound falls from log Z = 0, far from `gain` = log 2."""

    def shifted() -> None:
        pyro.sample("z", dist.Normal(3.0, 1.0))

    guide = OrbitMixture(AutoLocationScale(shifted), PointReflection(center=0.0))
    guide.set_up()
    guide.component.set_parameters({"loc": torch.tensor([3.0]), "scale": torch.tensor([[1.0]])})
    density = LogDensity.from_model(shifted)
    torch.manual_seed(0)
    one, _ = bound(guide.component.get_posterior(), density)
    all_copies, error = bound(guide.get_posterior(), density)
    gain = guide.gain(generator=torch.Generator().manual_seed(0))
    assert one == pytest.approx(0.0, abs=1e-12)
    assert gain.value == pytest.approx(math.log(2), abs=0.01)
    assert all_copies == pytest.approx(-9.0 + math.log(2), abs=5 * error)  # half the draws lose 6^2 / 2
    assert all_copies < one - 8


@pytest.mark.usefixtures("float64")
def test_svi_climbs_to_the_bound_of_all_copies() -> None:
    """Within 0.1 of log Z, log 2 above what one copy reaches; ten steps of Pyro's loss are those of ours."""
    y = clusters([-3.0, 3.0])
    density = LogDensity.from_model(means, y)
    after_ten = []
    for divergence, steps in ((None, 10), (ReverseKL(), 150), (ForwardKL(), 150)):
        pyro.clear_param_store()
        torch.manual_seed(0)
        guide = OrbitMixture(AutoLocationScale(means), lambda component: label_permutation(component, ["mu"]))
        guide.set_up(y)
        guide.component.set_parameters({"loc": torch.tensor([2.0, -2.0]), "scale": 0.3 * torch.eye(2)})
        options = {"num_particles": 20, "vectorize_particles": True, "max_plate_nesting": 1}
        elbo = DivergenceELBO(divergence, **options) if divergence else Trace_ELBO(**options)
        svi = SVI(means, guide, pyro.optim.Adam({"lr": 0.03}), elbo)
        for step in range(steps):
            svi.step(y)
            if step == 9 and not isinstance(divergence, ForwardKL):
                after_ten.append(torch.cat([p.detach().reshape(-1) for p in guide.component.parameters_.values()]))
        if divergence is None:
            continue
        log_evidence, one, all_copies = by_quadrature(guide, density, y)
        assert log_evidence - 0.1 < all_copies < log_evidence
        assert all_copies - one == pytest.approx(math.log(2), abs=1e-3)
    assert torch.allclose(*after_ten, rtol=1e-9, atol=1e-12) and float((after_ten[0][0] - 2.0).abs()) > 0.1


def overlapping(num_elements: int, seed: int, **options: Any) -> Any:
    def four() -> None:
        pyro.sample("z", dist.Normal(0.0, 2.0).expand([4]).to_event(1))

    generator = torch.Generator().manual_seed(seed)
    action = CoordinatePermutation(4)
    guide = OrbitMixture(AutoLocationScale(four), action, num_elements=num_elements, generator=generator, **options)
    guide.set_up()
    guide.component.set_parameters({"loc": torch.tensor([-1.5, -0.5, 0.5, 1.5]), "scale": 0.4 * torch.eye(4)})
    return guide


# -- some elements of many -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("float64")
def test_some_elements_gain_less_than_all() -> None:
    """For each drawn set of elements; on average the more of them the better. Four standard errors."""
    whole = overlapping(24, 0)
    assert whole.is_exact
    best = whole.gain(generator=torch.Generator().manual_seed(0))
    averages = []
    for count in (2, 6, 12):
        gains = []
        for seed in range(6):
            guide = overlapping(count, seed, max_order=1)
            assert not guide.is_exact and len(guide.elements) == count
            assert guide.elements[0].tolist() == [0, 1, 2, 3]
            gain = guide.gain(num_samples=2000, generator=torch.Generator().manual_seed(seed))
            assert 0 <= gain.value <= gain.limit == math.log(count)
            assert gain.value <= best.value + 4 * (gain.standard_error**2 + best.standard_error**2) ** 0.5
            gains.append(gain.value)
        averages.append(sum(gains) / 6)
    assert averages == sorted(averages)
    assert averages[-1] < best.value < math.log(24)


@pytest.mark.usefixtures("float64")
def test_drawn_elements_are_held_until_redrawn() -> None:
    guide = overlapping(6, 3, max_order=1)
    z = torch.tensor([-1.0, 0.3, 0.2, 2.0])
    log_q = guide.get_posterior().log_prob(z)
    guide(), guide.gain(num_samples=10)
    assert torch.equal(guide.get_posterior().log_prob(z), log_q)
    assert torch.equal(overlapping(6, 3, max_order=1).elements, guide.elements)
    other = overlapping(6, 4, max_order=1)
    assert not torch.equal(other.elements, guide.elements)
    other.load_state_dict(guide.state_dict())
    assert torch.equal(other.get_posterior().log_prob(z), log_q)
    guide.resample(torch.Generator().manual_seed(9))
    assert not torch.equal(guide.get_posterior().log_prob(z), log_q)
    exact = overlapping(24, 0)
    kept = exact.elements.clone()
    exact.resample()
    assert torch.equal(exact.elements, kept)
    assert "elements" not in exact.state_dict()


@pytest.mark.usefixtures("float64")
def test_a_compact_group_is_sampled() -> None:
    """Rotations of the plane; the density of 40 copies integrates to one."""
    guide = OrbitMixture(AutoLocationScale(means), EllipticalRotation(center=0.0, shape=torch.eye(2)), num_elements=40)
    y = clusters([-1.0, 1.0])
    guide.set_up(y)
    guide.component.set_parameters({"loc": torch.tensor([2.0, 0.0]), "scale": 0.4 * torch.eye(2)})
    assert guide.is_exact is False and guide.elements.shape == (40, 2, 2)
    axis = torch.linspace(-6, 6, 301)
    log_q = guide.get_posterior(y).log_prob(torch.cartesian_prod(axis, axis)).detach()
    assert float(log_q.exp().sum() * 0.04**2) == pytest.approx(1.0, abs=1e-9)
    u = torch.tensor([0.1, 0.5, 0.9])
    torch.manual_seed(0)
    draws = guide.get_posterior(y).sample((4000,))
    for level, value in zip(u.tolist(), guide.quantiles(u, y)["mu"], strict=True):
        assert float(((draws <= value).double().mean(0) - level).abs().max()) < 5 * (level * (1 - level) / 4000) ** 0.5


def test_gain_leaves_random_states_alone_with_a_generator() -> None:
    guide = overlapping(6, 0)
    before = torch.get_rng_state()
    first = guide.gain(num_samples=50, generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert guide.gain(num_samples=50, generator=torch.Generator().manual_seed(1)) == first
    assert guide.gain(num_samples=50) != first
    assert "nats" in str(first)
