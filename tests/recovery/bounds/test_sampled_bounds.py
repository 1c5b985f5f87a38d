"""Bounds from weighted draws on random targets with known means: never below the true error; and the estimator."""

import json
import math
from pathlib import Path

import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.density._importance import weighted_draws
from pyro_symvi.density._proposal import Scale
from pyro_symvi.divergences import ForwardKL, ReverseKL
from pyro_symvi.recovery import Evidence, Premise, analyze
from pyro_symvi.recovery.bounds import (
    MeanBounds,
    best_bound,
    brascamp_lieb_bound,
    conditional_reflection_bound,
    corrected_mean,
    curvature_bound,
    guide_curvature_bound,
    misfit_bound,
    one_number_each,
    partial_curvature_bound,
    reflection_bound,
    strong_concavity,
)
from tests.recovery.targets import (
    log_gamma,
    log_gamma_moments,
    mixture,
    mixture_moments,
    normal,
    skew_normal,
    skew_normal_moments,
    vector,
)
from tests.recovery.test_reference_posteriors import eight_schools, load, reference, standard_error

GIVEN = Premise("strong concavity", Evidence.PROVED, "-Hess log p >= I: z^2/2 and a convex function")
ONE = torch.ones(1, 1, dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draws_of(function, dim: int, num_draws: int = 4096, root: torch.Tensor | None = None):
    density = LogDensity.from_callable(function, dim)
    start = Scale(torch.zeros(dim, dtype=torch.float64), torch.eye(dim, dtype=torch.float64) if root is None else root)
    return density, weighted_draws(density, start, num_draws=num_draws, generator=generator(1))


# -- estimator E -------------------------------------------------------------------------------------------------


def test_a_significant_error_is_corrected() -> None:
    """Skew-normal(2), location .868 for a mean of .714: the corrected value is right to 4 MCSE; the error is shown."""
    mean, _ = skew_normal_moments(2.0)
    density, draws = draws_of(skew_normal(2.0), 1, 8192)
    found = corrected_mean(density, draws, vector(0.8683314), (0,))
    assert bool(found.significant[0])
    assert float(found.value[0]) == pytest.approx(mean, abs=4 * float(found.mcse[0]))
    assert float(found.mcse[0]) < 0.01


def test_noise_is_not_added_to_a_right_value() -> None:
    """At the exact mean the estimate is noise: the value is left alone. Exact symmetry: identically zero."""
    mean, _ = skew_normal_moments(0.5)
    density, draws = draws_of(skew_normal(0.5), 1)
    found = corrected_mean(density, draws, vector(mean), (0,))
    assert abs(float(found.error[0])) <= 3 * float(found.mcse[0])
    assert float(found.value[0]) == mean
    density, draws = draws_of(normal, 3)
    assert torch.equal(corrected_mean(density, draws, vector(0.0, 0.0, 0.0), (0, 2)).error, vector(0.0, 0.0))


def test_unreliable_weights_correct_nothing() -> None:
    """Negative test: Neal's funnel, k-hat above .7: the estimate may be off by many MCSE, so it is not used."""

    def funnel(z):
        return -(z[..., 0] ** 2) / 18 - 0.5 * (z[..., 1:] ** 2 * (-z[..., :1]).exp()).sum(-1) - z[..., 0]

    density, draws = draws_of(funnel, 3, 2048)
    found = corrected_mean(density, draws, vector(0.0, 0.0, 0.0), (0, 1, 2))
    if found.k >= 0.7:
        assert found.refusal
        assert not bool(found.significant.any())
    assert torch.equal(found.value, found.center) or found.k < 0.7


def test_weights_of_a_correlated_proposal_and_a_partial_flip() -> None:
    """Negative test: (p(z) + p(gz)) / q(z) is wrong where q is not symmetric; the mean of z_0 - c is -c here."""
    shape = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
    precision = torch.linalg.inv(shape)
    density, draws = draws_of(lambda z: -0.5 * ((z @ precision) * z).sum(-1), 2, 8192)
    found = corrected_mean(density, draws, vector(0.4, 0.0), (0,))
    assert float(found.error[0]) == pytest.approx(-0.4, abs=4 * float(found.mcse[0]))


# -- validity ----------------------------------------------------------------------------------------------------


def random_target(seed: int):
    """Skewed, mixed or heavy-ish laws in one or two independent coordinates, with mean and sd."""
    g = generator(seed)
    u = torch.rand(4, dtype=torch.float64, generator=g).tolist()
    dim = 1 + seed % 2
    if seed % 3 == 0:
        shape = 0.3 + 4 * u[0]
        return log_gamma(shape), dim, [log_gamma_moments(shape)] * dim
    if seed % 3 == 1:
        shape = 4 * u[0]
        return skew_normal(shape), dim, [skew_normal_moments(shape)] * dim
    weights, sds = [0.9 - 0.5 * u[0], 0.1 + 0.5 * u[0]], [1.0, 0.7 + u[1]]
    means = [[0.0] * dim, [1.5 * u[2]] * dim]
    mean, sd = mixture_moments(weights, means, sds)
    return mixture(weights, means, sds), dim, list(zip(mean.tolist(), sd.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(18))
def test_no_bound_is_below_the_error(seed: int) -> None:
    """B0 of each coordinate, of all, and the best of several, at a location up to .4 sd off."""
    function, dim, moments = random_target(seed)
    shift = 0.8 * float(torch.rand((), generator=generator(seed + 100))) - 0.4
    location = vector(*(m + shift * s for m, s in moments))
    density, draws = draws_of(function, dim, 2048)
    options = [(i,) for i in range(dim)] + [tuple(range(dim))]
    for coordinates in options:
        bound = reflection_bound(density, draws, location, coordinates)
        assert not bound.usable or bound.bound >= abs(shift)
        wider = reflection_bound(density, draws, location, coordinates, looks=3)
        assert not wider.usable or wider.bound > bound.bound
    best = best_bound(density, location, draws, 0, analyze(density))
    if best.usable:
        assert best.at(0) >= abs(shift) - 1e-9
    assert math.isnan(best.at(dim))


@pytest.mark.parametrize("a", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("offset", [0.0, 0.2])
def test_curvature_bounds_hold(a: float, offset: float) -> None:
    """B1, B1q, B2, BM and BM-kappa on skew-normals (1 <= U'' <= 1 + a^2); B1 and B2 near their values by quadrature."""
    mean, sd = skew_normal_moments(a)
    location = vector({0.5: 0.3568058, 1.0: 0.5635381, 2.0: 0.7091885}[a] + offset)
    density, draws = draws_of(skew_normal(a), 1)
    root, sds = vector(sd)[:, None], vector(sd)
    error = abs(float(location[0]) - mean) / sd
    found = {
        "B1": curvature_bound(density, draws, location, (0,), ONE, GIVEN),
        "B2": brascamp_lieb_bound(density, draws, location, (0,), GIVEN),
        "B1q": guide_curvature_bound(
            density, location, root, (0,), ONE, (1 + a * a) * ONE, sds, GIVEN, generator(), num_draws=2048
        ),
        "BM": misfit_bound(density, location, root, 1.0, sds, GIVEN, generator()),
        "BM-kappa": misfit_bound(
            density, location, root, 1.0, sds, GIVEN, generator(), upper=1 + a * a, divergence=ReverseKL()
        ),
    }
    for bound in found.values():
        assert not bound.usable or error <= bound.at(0)
        assert bound.evidence in (Evidence.VERIFIED, Evidence.UNKNOWN)
    assert found["B2"].usable
    if offset == 0:
        b1, b2 = {0.5: (0.01927, 0.01689), 1.0: (0.13820, 0.09634), 2.0: (0.66541, 0.32808)}[a]
        assert b2 <= found["B2"].at(0) <= 1.35 * b2
        assert 0.97 * b1 <= found["B1"].at(0) <= 1.35 * b1


def test_the_factor_is_refused_for_other_divergences() -> None:
    """Negative test: E_q grad log p = 0 is the optimality condition of reverse KL alone."""
    density = LogDensity.from_callable(skew_normal(0.5), 1)
    for divergence in (ForwardKL(), None):
        bound = misfit_bound(
            density, vector(0.36), ONE, 1.0, vector(0.93), GIVEN, generator(), upper=1.25, divergence=divergence
        )
        assert not bound.usable
        assert "reverse KL only" in bound.refusal


def test_a_modulus_that_is_not_proved_gives_no_bound() -> None:
    density, draws = draws_of(lambda z: -torch.log(1 + z[..., 0] ** 2) * 5, 1)
    modulus, premise = strong_concavity(analyze(density))
    assert modulus == 0.0
    assert premise.evidence is Evidence.UNKNOWN
    assert not curvature_bound(density, draws, vector(0.0), (0,), ONE, premise).usable
    assert "not concave" in brascamp_lieb_bound(density, draws, vector(0.0), (0,), GIVEN).refusal
    strong = LogDensity.from_callable(lambda z: -1.5 * (z**2).sum() - z[0].exp(), 2)
    modulus, premise = strong_concavity(analyze(strong))
    assert 2.9 < modulus <= 3.0
    assert premise.evidence is Evidence.PROVED


def test_a_precision_that_the_reflection_does_not_keep_is_refused() -> None:
    density, draws = draws_of(normal, 2, 1024)
    shape = torch.tensor([[1.0, 0.2], [0.2, 1.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match="without entries between"):
        curvature_bound(density, draws, vector(0.0, 0.0), (0,), shape, GIVEN)


# -- nuisance ----------------------------------------------------------------------------------------------------


def conditional(z):
    """x | y skew-normal(1) about sin(2y)/3 with scale e^(y/6); y standard normal."""
    x, y = z[..., 0], z[..., 1]
    u = (x - torch.sin(2 * y) / 3) * torch.exp(-y / 6)
    return -u * u / 2 + torch.special.log_ndtr(u) - y / 6 - y * y / 2


def test_a_centre_that_moves_with_the_nuisance() -> None:
    """E[x - c(y)] = (.5642 - .5) E e^(y/6) = .0642 e^(1/72), c = sin(2y)/3 + e^(y/6)/2."""
    density, draws = draws_of(conditional, 2, 8192)

    def center(z):
        return torch.stack([torch.sin(2 * z[:, 1]) / 3 + torch.exp(z[:, 1] / 6) / 2, torch.zeros_like(z[:, 1])], -1)

    bound = conditional_reflection_bound(density, draws, center, (0,))
    truth = (1 / math.sqrt(math.pi) - 0.5) * math.exp(1 / 72)
    assert float(bound.error[0]) == pytest.approx(truth, abs=4 * float(bound.error_se[0]))
    assert truth / float(draws.sd[0]) <= bound.bound < 0.35
    with pytest.raises(ValueError, match="coordinates that stay"):
        conditional_reflection_bound(density, draws, lambda z: z.clone(), (0,))


def test_concavity_in_the_block_alone() -> None:
    """B4 with M(y) = e^(-y/2) about a constant: log p is not jointly concave, and the bound holds."""

    def scaled(z):
        x, y = z[..., 0], z[..., 1]
        u = x * torch.exp(-y / 4)
        return -u * u / 2 + torch.special.log_ndtr(0.5 * u) - y / 4 - y * y / 2

    density, draws = draws_of(scaled, 2, 8192)
    mean = skew_normal_moments(0.5)[0] * math.exp(1 / 32)
    for offset in (0.0, -0.2):
        bound = partial_curvature_bound(
            density, draws, vector(mean + offset, 0.0), (0,), lambda z: torch.exp(-z[:, 1] / 2)[:, None, None], GIVEN
        )
        assert abs(offset) / float(draws.sd[0]) <= bound.at(0) < 1
        assert math.isnan(bound.at(1))


# -- together ----------------------------------------------------------------------------------------------------


def regression_of(n: int):
    g = generator(3)
    x = torch.randn(n, 2, dtype=torch.float64, generator=g)
    y = x.sum(-1) + torch.randn(n, dtype=torch.float64, generator=g)

    def model() -> None:
        b = pyro.sample("b", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        s = pyro.sample("s", dist.HalfNormal(2.0))
        pyro.sample("y", dist.Normal(x @ b, s).to_event(1), obs=y)

    return LogDensity.from_model(model)


def test_the_smallest_bound_is_chosen_and_partial_flips_come_first() -> None:
    density = regression_of(30)
    analysis = analyze(density)
    draws = weighted_draws(
        density, Scale(vector(1.0, 1.0, 0.0), 0.2 * torch.eye(3, dtype=torch.float64)), generator=generator()
    )
    bounds = MeanBounds(density, draws.mean, draws, analysis)
    assert bounds.reflections(0) == [(0,), (0, 1), (0, 1, 2)]
    computed = bounds.computed(0)
    assert computed is not None
    assert bounds.best(0) is computed
    without = MeanBounds(density, draws.mean, draws)
    assert without.computed(0) is None
    alone = without.best(0)
    assert alone.usable
    assert alone.at(0) > computed.at(0)
    assert one_number_each([alone, computed]) == {
        alone.coordinates: alone.at(0),
        (0, 1, 2): float(computed.values.max()),
    }
    with pytest.raises(ValueError, match="expected a coordinate"):
        best_bound(density, draws.mean, draws, 3)


def test_quadrature_that_draws_contradict_is_withheld() -> None:
    """The analysis of another density: its means are not these draws'."""
    density, other = regression_of(30), regression_of(60)
    draws = weighted_draws(
        density, Scale(vector(1.0, 1.0, 0.0), 0.2 * torch.eye(3, dtype=torch.float64)), generator=generator()
    )
    bound = MeanBounds(density, draws.mean, draws, analyze(other)).quadrature()
    assert bound is not None
    assert "contradict" in bound.refusal


def test_units_are_the_posteriors_not_the_guides(shared_data: Path) -> None:
    """Negative test: eight schools, log tau: a guide's sd of .63 posterior sds would understate; ours match draws."""
    path = load(shared_data, "eight_schools-eight_schools_noncentered")
    density = LogDensity.from_model(eight_schools, json.loads((path / "data.json").read_text()))
    draws = weighted_draws(
        density, Scale(torch.zeros(10, dtype=torch.float64), torch.eye(10, dtype=torch.float64)), generator=generator()
    )
    analysis = analyze(density)
    location = draws.mean.clone()
    location[9] += 0.5
    bound = best_bound(density, location, draws, 9, analysis)
    values = torch.tensor(reference(path)["tau"]).log().numpy()
    error = abs(float(location[9]) - values.mean()) / values.std()
    assert bound.at(9) == pytest.approx(error, abs=4 * standard_error(values) / values.std() + 0.02)
