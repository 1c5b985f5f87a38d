"""What draws cannot see, and draws used twice: bounds say what they rest on, and nothing of it is called proved."""

import math

import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.density._importance import weighted_draws
from pyro_symvi.density._proposal import Scale
from pyro_symvi.recovery import Evidence, analyze
from pyro_symvi.recovery.bounds import MeanBounds, conditional_gaussian_moments, reflection_bound
from tests.recovery.targets import mixture, mixture_moments, skew_normal, skew_normal_moments, vector

UNIT = Scale(torch.zeros(1, dtype=torch.float64), torch.eye(1, dtype=torch.float64))


@pytest.mark.parametrize(("weight", "distance"), [(1e-12, 1e12), (1e-3, 60.0)])
def test_tail_blindness(weight: float, distance: float) -> None:
    """Negative test: a far component that no draw meets. B0 is VERIFIED at best and names mass where none fell; the
    quadrature, which would be sharp to 1e-12 about the wrong mean, is refused; nothing is PROVED."""
    law = ([1 - weight, weight], [[0.0], [distance]], [1.0, 1.0])
    density = LogDensity.from_callable(mixture(*law), 1)
    mean, sd = mixture_moments(*law)
    draws = weighted_draws(density, UNIT, num_draws=4096, generator=torch.Generator().manual_seed(0))
    analysis = analyze(density)
    moments = conditional_gaussian_moments(density, analysis)
    assert not moments.usable or float(moments.means[0]) == pytest.approx(float(mean[0]), rel=1e-6)
    best = MeanBounds(density, vector(0.0), draws, analysis).best(0)
    assert best.evidence is not Evidence.PROVED
    if best.usable and not moments.usable:
        assert any("mass where none fell" in p.statement for p in best.premises)
        assert best.at(0) >= 0.02  # never below what so many draws can resolve
    if weight == 1e-12:
        assert best.at(0) >= float(mean[0] / sd[0])  # holds in the true sd, 1e6


def test_draws_used_for_the_fit_hide_the_error() -> None:
    """Negative test: at the optimum over fixed mirrored draws nu +- xi, the mean of grad r over them is zero exactly,
    so the asymmetry that they show to first order is none; fresh draws bound the error, .2 sd."""
    a = 2.0
    density = LogDensity.from_callable(skew_normal(a), 1)
    xi = torch.randn(16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def mean_gradient(nu: float) -> float:
        z = torch.cat([nu + xi, nu - xi])[:, None]
        return float(density.value_and_grad(z)[1].mean())

    low, high = -1.0, 3.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_gradient(middle) > 0 else (low, middle)
    nu = (low + high) / 2
    assert abs(mean_gradient(nu)) < 1e-14
    mean, sd = skew_normal_moments(a)
    error = abs(nu - mean) / sd
    assert error > 0.1
    draws = weighted_draws(density, UNIT, num_draws=4096, generator=torch.Generator().manual_seed(1))
    bound = reflection_bound(density, draws, vector(nu), (0,))
    assert bound.usable
    assert error <= bound.bound
    assert float(bound.error[0]) == pytest.approx(mean - nu, abs=4 * float(bound.error_se[0]))


def test_the_allowance_of_several_looks() -> None:
    """Symmetric target: tau = 0, so tau^2 is allowed log(looks / .05) / n_eff and nothing else."""
    density = LogDensity.from_callable(lambda z: -0.5 * z.square().sum(-1), 1)
    draws = weighted_draws(density, UNIT, num_draws=2048, generator=torch.Generator().manual_seed(2))
    for looks in (1, 4):
        bound = reflection_bound(density, draws, vector(0.0), (0,), looks=looks)
        tau2 = bound.bound**2 / (1 + bound.bound**2)
        assert tau2 == pytest.approx(math.log(looks / 0.05) / draws.effective, rel=0.05)
