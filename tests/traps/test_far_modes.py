"""Mass far from the fitted mode: caught where a search can reach it, never bounded away."""

import math

import pytest
import torch

from pyro_symvi.recovery import Verdict
from tests.recovery.targets import assert_honest, assert_nothing_exact, certify_at, mixture, mixture_moments, vector


@pytest.mark.parametrize("distance", [10.0, 60.0, 1e4])
@pytest.mark.parametrize("weight", [0.3, 1e-3, 1e-6])
def test_a_far_mode_in_one_dimension(weight: float, distance: float) -> None:
    law = ([1 - weight, weight], [[0.0], [distance]], [1.0, 1.0])
    certificate = certify_at(mixture(*law), [0.0])
    assert_nothing_exact(certificate)
    assert_honest(certificate, *mixture_moments(*law))


@pytest.mark.parametrize(("weight", "distance"), [(1e-12, 60.0), (1e-12, 1e12), (1e-30, 1e20)])
def test_tails_give_a_negligible_mode_away(weight: float, distance: float) -> None:
    """Residuals of a centre off by 1e-12..1 sd: beyond the far mode it decides log p, however small its weight."""
    certificate = certify_at(mixture([1 - weight, weight], [[0.0], [distance]], [1.0, 1.0]), [0.0])
    assert_nothing_exact(certificate)


@pytest.mark.parametrize(("dim", "distance"), [(3, 20.0), (3, 300.0), (10, 30.0), (30, 40.0)])
def test_a_second_mode_of_equal_width_in_more_dimensions(dim: int, distance: float) -> None:
    direction = torch.ones(dim, dtype=torch.float64) / math.sqrt(dim)
    law = ([0.7, 0.3], [[0.0] * dim, (distance * direction).tolist()], [1.0, 1.0])
    certificate = certify_at(mixture(*law), [0.0] * dim)
    assert_nothing_exact(certificate)
    assert_honest(certificate, *mixture_moments(*law))


@pytest.mark.parametrize("dim", [2, 4])
def test_a_light_mode_thousands_of_sd_away(dim: int) -> None:
    """Weight 8e-4 at 4000 sd: out of sight of any draw, yet it moves the means by 1.6 sd of the rest."""
    for seed in range(3 if dim == 2 else 1):
        direction = torch.randn(dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        away = (4000 * direction / direction.norm()).tolist()
        law = ([1 - 8e-4, 8e-4], [[0.0] * dim, away], [1.0, 1.0])
        certificate = certify_at(mixture(*law), [0.0] * dim)
        assert_nothing_exact(certificate)
        assert_honest(certificate, *mixture_moments(*law))


def test_a_narrower_mode_holding_most_of_the_mass() -> None:
    law = ([0.3, 0.7], [[0.0, 0.0], [7.0, -4.0]], [1.0, 0.5])
    certificate = certify_at(mixture(*law), [0.0, 0.0])
    assert_nothing_exact(certificate)
    assert_honest(certificate, *mixture_moments(*law))


def test_three_modes_far_apart() -> None:
    law = ([0.6, 0.3, 0.1], [[0.0], [576.0], [-76.0]], [2.0, 1.0, 1.5])
    certificate = certify_at(mixture(*law), [0.0])
    assert_honest(certificate, *mixture_moments(*law))


def test_the_fit_sits_on_one_of_two_symmetric_modes() -> None:
    for distance in (5.0, 50.0, 2000.0):
        law = ([0.5, 0.5], [[-distance], [distance]], [1.0, 1.0])
        certificate = certify_at(mixture(*law), [distance])
        assert_nothing_exact(certificate)
        assert_honest(certificate, *mixture_moments(*law))


def test_labels_that_may_be_exchanged() -> None:
    """Component means of a two-component mixture: the posterior mean of both is the same; a fit knows one labelling."""
    generator = torch.Generator().manual_seed(0)
    data = torch.cat([torch.randn(30, generator=generator) - 3, torch.randn(30, generator=generator) + 3]).double()

    def log_p(z: torch.Tensor) -> torch.Tensor:
        squares = (data - z[..., None]).square()
        return (-0.5 * squares).logsumexp(-2).sum(-1) - 0.02 * z.square().sum(-1)

    low, high = float(data[:30].mean()), float(data[30:].mean())
    certificate = certify_at(log_p, [low, high], 0.2)
    truth = (low + high) / 2
    assert_nothing_exact(certificate)
    assert_honest(certificate, vector(truth, truth), (high - low) / 2)


def test_what_is_out_of_reach_is_said() -> None:
    """A spike of mass 1e-3 and width 1e-9 is found by no search: the premise must say that such mass is not seen."""
    certificate = certify_at(mixture([0.999, 1e-3], [[0.0], [1.234567]], [1.0, 1e-9]), [0.0])
    entry = certificate["mean"].entries[0]
    assert entry.verdict in (Verdict.VERIFIED, Verdict.BOUNDED, Verdict.REFUTED)
    if entry.verdict is not Verdict.REFUTED:
        assert any("narrow or far mode" in premise.statement for premise in entry.premises)
    assert "nothing is known of mass that none of these came near" in certificate.region
    assert not any(premise.evidence.value == "proved" for premise in entry.premises)


def test_7_11_residuals_that_are_exactly_zero() -> None:
    """(1 - 1e-12) N(0, 1) + 1e-12 N(1e12, 1): E z = 1, and log p(-z) = log p(z) to the last bit on every guide draw."""
    log_p = mixture([1 - 1e-12, 1e-12], [[0.0], [1e12]], [1.0, 1.0])
    draws = 1.5 * torch.randn(10_000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float((log_p(draws) - log_p(-draws)).abs().max()) == 0.0
    assert float(mixture_moments([1 - 1e-12, 1e-12], [[0.0], [1e12]], [1.0, 1.0])[0]) == pytest.approx(1.0)
    for seed in range(3):
        certificate = certify_at(log_p, [0.0], generator=torch.Generator().manual_seed(seed))
        assert_nothing_exact(certificate)
