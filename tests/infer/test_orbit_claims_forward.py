"""What closed noise does for the forward KL: the located mean exact from 100 pairs up, a warning or a raise below."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.divergences import Alpha, Divergence, ForwardKL
from pyro_symvi.families import LocationScale
from pyro_symvi.infer import FitStatus

DOUBLE = torch.float64
CENTER = torch.tensor([1.5, -40.0, 0.02], dtype=DOUBLE)
SCALE = torch.tensor([2.0, 30.0, 1e-3], dtype=DOUBLE)
MIX = torch.tensor([[1.0, 0.6, 0.0], [0.0, 1.0, -0.4], [0.3, 0.0, 1.0]], dtype=DOUBLE)


def even(profile: Callable[[Tensor], Tensor]) -> LogDensity:
    """Even, log-concave, not elliptical, in units of very different size."""
    return LogDensity.from_callable(lambda z: -profile(((z - CENTER) / SCALE) @ MIX).sum(-1), 3)


TARGETS = {
    "logistic": even(lambda x: x + 2 * torch.nn.functional.softplus(-x)),
    "quartic": even(lambda x: x.square() / 2 + x**4 / 8),
    "smooth laplace": even(lambda x: (1 + x.square()).sqrt()),
}
CASES = [
    ("logistic", "normal", None, "full", ForwardKL()),
    ("quartic", "normal", None, "full", ForwardKL()),
    ("smooth laplace", "normal", None, "full", ForwardKL()),
    ("logistic", "normal", None, "diagonal", ForwardKL()),
    ("quartic", "logistic", None, "diagonal", ForwardKL()),
    ("logistic", "student_t", 5.0, "full", ForwardKL()),
    ("quartic", "normal", None, "full", Alpha(0.5)),
    ("smooth laplace", "normal", None, "diagonal", Alpha(0.5)),
]


@pytest.mark.parametrize("pairs", [100, 2000])
@pytest.mark.parametrize("name, base, df, scale, divergence", CASES, ids=str)
def test_the_located_mean_is_exact(
    name: str, base: str, df: float | None, scale: str, divergence: Divergence, pairs: int
) -> None:
    fit = symvi.fit(TARGETS[name], LocationScale(3, base, scale, df), divergence=divergence, num_particles=2 * pairs)
    assert fit.status is FitStatus.CONVERGED, fit.details
    assert float(((fit.loc - CENTER) / SCALE).abs().max()) < 1e-10
    assert float((fit.standard_error["loc"] / SCALE).max()) < 1e-8


@pytest.mark.parametrize("name", TARGETS)
def test_ten_pairs_are_not_enough_and_say_so(name: str) -> None:
    """Twenty draws: fewer than fifty effective ones can never be converged."""
    fit = symvi.fit(TARGETS[name], LocationScale(3), divergence=ForwardKL(), num_particles=20)
    assert fit.status is FitStatus.FEW_EFFECTIVE_PARTICLES
    assert "num_particles" in fit.status.remedy
    with pytest.raises(RuntimeError, match="FEW_EFFECTIVE_PARTICLES"):
        fit.raise_unless_converged()


def test_without_the_symmetry_the_same_draws_are_not_exact() -> None:
    """The negative: a skewed target; the error is what is stated, not nil."""
    skewed = LogDensity.from_callable(lambda z: (3 * z - z.exp()).sum(-1), 3)
    fits = [
        symvi.fit(
            skewed,
            LocationScale(3),
            divergence=ForwardKL(),
            num_particles=200,
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (0, 1)
    ]
    gap = (fits[0].loc - fits[1].loc).abs().max()
    assert float(gap) > 1e-4
    assert all(float(fit.standard_error["loc"].min()) > 1e-4 for fit in fits)


def test_a_proposal_that_does_not_follow_the_centre_is_not_exact() -> None:
    """The other negative: independent draws that stay where they are, as they must for far modes."""
    target = LogDensity.from_callable(
        lambda z: torch.logaddexp(-0.5 * (z - 20).square().sum(-1), -0.5 * (z + 20).square().sum(-1)), 1
    )
    fit = symvi.fit(target, LocationScale(1), divergence=ForwardKL())
    assert "mixture" in fit.details
    assert 1e-6 < float(fit.loc.abs()) < 4 * float(fit.standard_error["loc"])
