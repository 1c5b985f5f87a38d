"""Factor models: flips of factors, their permutations, and joint rotations of loadings and scores."""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.recovery.analysis import Analysis, RotationGroup, analyze, analyze_function


def factor_model(y: torch.Tensor, factors: int, prior: str = "normal", scales: torch.Tensor | None = None) -> None:
    """Y = S W^T + noise, ``y[n, m]``: loadings ``W[m, k]``, scores ``S[n, k]``."""
    n, m = y.shape
    unit = torch.ones(factors).double() if scales is None else scales
    law = dist.Normal if prior == "normal" else dist.Laplace
    loadings = pyro.sample("loadings", law(torch.zeros(m, factors).double(), unit).to_event(2))
    scores = pyro.sample("scores", dist.Normal(torch.zeros(n, factors).double(), 1.0).to_event(2))
    pyro.sample("y", dist.Normal(scores @ loadings.mT, 0.5).to_event(2), obs=y)


Y = torch.tensor([[0.3, -1.0, 0.7], [1.1, 0.2, -0.4]], dtype=torch.float64)


def flips(analysis: Analysis) -> list[tuple[int, ...]]:
    return [r.coordinates for r in analysis.reflections]


def test_each_factor_flips_with_its_scores() -> None:
    """Loadings at 0..5 (rows of two), scores at 6..9."""
    analysis = analyze(factor_model, Y, 2)
    assert flips(analysis) == [(0, 2, 4, 6, 8), (1, 3, 5, 7, 9)]
    assert analysis.exchangeable_blocks == (((0, 2, 4, 6, 8), (1, 3, 5, 7, 9)),)
    assert analysis.rotations == (RotationGroup(((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))),)
    assert "rotated together" in str(analysis)


def test_three_factors() -> None:
    analysis = analyze(factor_model, Y[:1, :2], 3)
    (group,) = analysis.rotations
    assert group.degree == 3 and sorted(group.frames) == [(0, 1, 2), (3, 4, 5), (6, 7, 8)]


def test_rotations_hold_at_random_points() -> None:
    def function(z: torch.Tensor) -> torch.Tensor:
        loadings, scores = z[:6].reshape(3, 2), z[6:].reshape(2, 2)
        return -((Y - scores @ loadings.mT) ** 2).sum() - torch.log1p((loadings**2).sum()) - (scores**2).sum()

    (group,) = analyze_function(function, 10).rotations
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(10, dtype=torch.float64, generator=generator)
    rotation = torch.linalg.qr(torch.randn(2, 2, dtype=torch.float64, generator=generator)).Q
    image = z.clone()
    for frame in group.frames:
        image[list(frame)] = rotation @ z[list(frame)]
    assert torch.allclose(function(image), function(z), rtol=1e-12)


@pytest.mark.parametrize("spoil", ["laplace", "scales", "one data row"])
def test_no_rotation(spoil: str) -> None:
    """Laplace loadings leave flips and permutations of factors; unequal scales the flips alone."""
    if spoil == "laplace":
        analysis = analyze(factor_model, Y, 2, "laplace")
        assert len(flips(analysis)) == 2 and len(analysis.permutations) == 1
    elif spoil == "scales":
        analysis = analyze(factor_model, Y, 2, "normal", torch.tensor([1.0, np.nextafter(1.0, 2)]).double())
        assert len(flips(analysis)) == 2 and len(analysis.permutations) == 0
    else:

        def function(z: torch.Tensor) -> torch.Tensor:
            loadings, scores = z[:6].reshape(3, 2), z[6:].reshape(2, 2)
            fitted = scores @ loadings.mT
            return -((Y - fitted) ** 2).sum() - (z**2).sum() - (scores[0, 0] * loadings[0, 0]) ** 2

        analysis = analyze_function(function, 10)
        assert len(flips(analysis)) == 2
    assert analysis.rotations == ()


def test_a_condition_on_the_unknowns_stops_the_argument_by_continuity() -> None:
    def function(z: torch.Tensor) -> torch.Tensor:
        w, s = z[:2], z[2:]
        fitted = (w * s).sum()
        return -torch.where(fitted > 1, (fitted - 2) ** 2, (fitted + 1) ** 2) - (z**2).sum()

    analysis = analyze_function(function, 4)
    assert len(flips(analysis)) == 2 and analysis.rotations == ()
