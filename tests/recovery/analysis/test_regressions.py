"""Flat-prior regressions on real data: centres, correlations and moments proved before any fit; nothing elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions import constraints

from pyro_symvi.recovery.analysis import analyze
from pyro_symvi.recovery.analysis.exact import definiteness


def column(data: dict[str, Any], name: str) -> np.ndarray:
    return np.asarray(data[name], dtype=float)


def nes(d: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    age = column(d, "age_discrete")
    parts = [np.ones(len(age)), column(d, "real_ideo"), column(d, "race_adj"), age == 2, age == 3, age == 4]
    return np.stack([*parts, column(d, "educ1"), column(d, "gender"), column(d, "income")], 1), column(d, "partyid7")


def kidiq(d: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    iq = column(d, "mom_iq")
    return np.stack([np.ones(len(iq)), iq], 1), column(d, "kid_score")


def interaction(d: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    school, iq = (column(d, k) - column(d, k).mean() for k in ("mom_hs", "mom_iq"))
    return np.stack([np.ones(len(iq)), school, iq, school * iq], 1), column(d, "kid_score")


def earnings(d: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    height = column(d, "height")
    return np.stack([np.ones(len(height)), height], 1), column(d, "earn")


def mesquite(d: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    logs = [np.log(column(d, k)) for k in ("diam1", "diam2", "canopy_height", "total_height", "density")]
    return np.stack([np.ones(len(logs[0])), *logs, column(d, "group")], 1), np.log(column(d, "weight"))


REGRESSIONS: dict[str, Callable[[dict[str, Any]], tuple[np.ndarray, np.ndarray]]] = {
    "nes1972-nes": nes,
    "nes1980-nes": nes,
    "kidiq-kidscore_momiq": kidiq,
    "kidiq_with_mom_work-kidscore_interaction_c": interaction,
    "earnings-earn_height": earnings,
    "mesquite-logmesquite": mesquite,
}


def regression(x: torch.Tensor, y: torch.Tensor, half_cauchy: bool = False) -> None:
    beta = pyro.sample("beta", dist.ImproperUniform(constraints.real_vector, (), (x.shape[1],)))
    prior = dist.HalfCauchy(2.5) if half_cauchy else dist.ImproperUniform(constraints.positive, (), ())
    sigma = pyro.sample("sigma", prior)
    with pyro.plate("data", len(y)):
        pyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_coefficients_are_proved_before_any_fit(name: str, shared_data: Path) -> None:
    x, y = REGRESSIONS[name](json.loads((shared_data / "posteriordb" / name / "data.json").read_text()))
    analysis = analyze(regression, torch.tensor(x), torch.tensor(y), name == "kidiq-kidscore_momiq")

    (block,) = [b for b in analysis.blocks if b.is_symmetric]
    assert block.names == tuple(f"beta[{j}]" for j in range(x.shape[1]))
    assert block.is_gaussian and block.is_elliptical and block.has_mean and block.has_covariance
    assert analysis.idealisations == () and analysis.gradient_agrees
    assert "exact rationals stored" in str(analysis)

    # the normal equations hold exactly, in rationals
    exact_x = [[Fraction(v) for v in row] for row in x.tolist()]
    residuals = [
        Fraction(t) - sum(a * b for a, b in zip(row, block.center or (), strict=True))
        for row, t in zip(exact_x, y.tolist(), strict=True)
    ]
    for j in range(x.shape[1]):
        assert sum(row[j] * r for row, r in zip(exact_x, residuals, strict=True)) == 0

    covariance = np.linalg.inv(x.T @ x)
    sd = np.sqrt(np.diag(covariance))
    assert np.allclose(np.array(block.correlation), covariance / np.outer(sd, sd), atol=1e-9)


def test_a_prior_of_fixed_scale_leaves_no_constant_centre() -> None:
    x = torch.tensor([[1.0, 0.3], [1.0, -1.2], [1.0, 2.0], [1.0, 0.1]])
    y = torch.tensor([0.5, -1.0, 2.2, 0.4])

    def model() -> None:
        beta = pyro.sample("beta", dist.Normal(torch.zeros(2), 2.0).to_event(1))
        sigma = pyro.sample("sigma", dist.HalfCauchy(1.0))
        pyro.sample("y", dist.Normal(x @ beta, sigma).to_event(1), obs=y)

    analysis = analyze(model)
    (block,) = [b for b in analysis.blocks if b.coordinates == (0, 1)]
    assert block.is_gaussian
    assert not block.is_symmetric and not block.is_elliptical and not block.has_mean
    assert not any(b.is_symmetric for b in analysis.blocks)


def test_a_prior_whose_scale_is_tied_to_sigma() -> None:
    """The conjugate form: centre (X'X + I/4)^-1 X'y, whatever sigma."""
    x = torch.tensor([[1.0, 0.3], [1.0, -1.2], [1.0, 2.0], [1.0, 0.1]], dtype=torch.float64)
    y = torch.tensor([0.5, -1.0, 2.2, 0.4], dtype=torch.float64)

    def model() -> None:
        sigma = pyro.sample("sigma", dist.LogNormal(0.0, 1.0))
        beta = pyro.sample("beta", dist.Normal(torch.zeros(2), 2 * sigma).to_event(1))
        pyro.sample("y", dist.Normal(x @ beta, sigma).to_event(1), obs=y)

    (block,) = [b for b in analyze(model).blocks if b.is_symmetric]
    expected = np.linalg.solve((x.mT @ x).numpy() + np.eye(2) / 4, (x.mT @ y).numpy())
    assert np.allclose([float(c) for c in block.center or ()], expected, rtol=1e-12)
    assert block.is_elliptical and block.has_mean and block.has_covariance


def test_a_funnel_has_its_mean_at_zero() -> None:
    def model() -> None:
        v = pyro.sample("v", dist.Normal(0.0, 3.0))
        pyro.sample("x", dist.Normal(torch.zeros(4), torch.exp(v / 2)).to_event(1))

    (block,) = [b for b in analyze(model).blocks if b.is_symmetric]
    assert block.names == ("x[0]", "x[1]", "x[2]", "x[3]") and list(block.center or ()) == [0, 0, 0, 0]
    assert block.is_elliptical and block.has_mean and block.has_covariance


@pytest.mark.parametrize(("rows", "mean", "covariance"), [(4, False, False), (5, True, False), (6, True, True)])
def test_moments_need_enough_rows(rows: int, mean: bool, covariance: bool) -> None:
    """Flat on sigma, d = 2: the coefficients are Student-t with n - d - 1 degrees of freedom."""
    x = torch.tensor([[1.0, t] for t in (0.3, -1.2, 2.0, 0.1, 0.7, -0.4)[:rows]], dtype=torch.float64)
    y = torch.tensor([0.5, -1.0, 2.2, 0.4, 0.1, 0.9][:rows], dtype=torch.float64)
    (block,) = [b for b in analyze(regression, x, y).blocks if b.is_symmetric]
    assert (block.has_mean, block.has_covariance) == (mean, covariance)


def test_collinear_predictors_are_not_proper() -> None:
    x = torch.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [-1.0, -2.0], [0.5, 1.0], [4.0, 8.0]], dtype=torch.float64)
    y = torch.tensor([1.0, 0.3, -0.2, 2.0, 0.0, 1.0], dtype=torch.float64)
    analysis = analyze(regression, x, y)
    assert not any(b.is_gaussian or b.has_mean for b in analysis.blocks)


def test_a_known_gaussian() -> None:
    """Precision and centre of a correlated normal law, from its Cholesky factor as stored."""
    root = torch.tensor([[2.0, 0.0], [0.5, 1.0]], dtype=torch.float64)

    def model() -> None:
        pyro.sample("x", dist.MultivariateNormal(torch.tensor([1.0, -2.0]).double(), scale_tril=root))

    (block,) = analyze(model).blocks
    assert list(block.center or ()) == [1, -2]
    assert block.has_mean and block.has_covariance
    covariance = block.block.covariance_shape
    assert covariance == [[4, 1], [1, Fraction(5, 4)]]
    assert definiteness(covariance) == 2


def test_arguments() -> None:
    with pytest.raises(TypeError, match="expected a LogDensity or a Pyro model"):
        analyze(3)
