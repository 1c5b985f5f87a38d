"""Marginal distribution functions against scipy and convolutions; quantiles of mixtures of them."""

from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from pyro_symvi.distributions.bases import Base, Laplace, Logistic, Normal, StudentT, UniformBall
from pyro_symvi.families.marginals import marginal_cdf, marginal_quantile, mixture_quantile

X = np.array([-4.0, -0.7, 0.0, 0.3, 2.5])
U = np.array([1e-4, 0.2, 0.5, 0.9, 1 - 1e-7])


@pytest.mark.parametrize(
    ("base", "row", "law"),
    [
        (Normal(), [0.6, -0.8], stats.norm),
        (StudentT(3.0, spherical=True), [0.6, -0.8], stats.t(3)),
        (StudentT(3.0), [0.0, -1.0], stats.t(3)),
        (Laplace(), [1.0, 0.0], stats.laplace),
        (UniformBall(), [0.6, 0.8], stats.semicircular),  # the disc, projected on a line
    ],
)
def test_one_law_scaled(base: Base, row: list[float], law: Any) -> None:
    entries = 2.5 * np.array(row)
    assert np.allclose(marginal_cdf(base, entries, X), law.cdf(X / 2.5), rtol=1e-9, atol=1e-14)
    assert np.allclose(marginal_cdf(base, entries, marginal_quantile(base, entries, U)), U, rtol=1e-7)


@pytest.mark.parametrize(("base", "law"), [(Laplace(), stats.laplace), (Logistic(), stats.logistic)])
def test_sums_by_convolution(base: Base, law: Any) -> None:
    """F(x) = E law.cdf((x - 0.5 b) / 1.2), b from the law, by quadrature."""
    row = np.array([1.2, 0.5])
    for x in X:
        pieces = [
            integrate.quad(lambda b: law.pdf(b) * law.cdf((x - 0.5 * b) / 1.2), *ends, epsabs=1e-12)[0]  # noqa: B023
            for ends in ((-60, 0), (0, 2 * x), (2 * x, 60))
        ]
        assert float(marginal_cdf(base, row, np.array(x))) == pytest.approx(sum(pieces), abs=1e-9)


def test_sums_of_heavy_tailed_coordinates_are_refused() -> None:
    for call in (marginal_cdf, marginal_quantile):
        with pytest.raises(ValueError, match="expected a spherical or light-tailed base.*got.*because.*; try"):
            call(StudentT(3.0), np.array([1.0, 0.5]), U)


@pytest.mark.parametrize(
    ("base", "law"), [(Normal(), stats.norm), (StudentT(1.5, spherical=True), stats.t(1.5)), (Laplace(), stats.laplace)]
)
def test_mixture_quantiles_invert_the_average(base: Base, law: Any) -> None:
    weights, locs, scales = np.array([0.5, 0.3, 0.2]), np.array([0.0, 3.0, -1.0]), np.array([1.0, 0.5, 2.0])
    found = mixture_quantile(base, weights, locs, scales[:, None] * np.array([[0.0, 1.0]]), U)
    below = law.cdf((found[:, None] - locs) / scales) @ weights
    above = law.sf((found[:, None] - locs) / scales) @ weights
    assert np.allclose(below, U, rtol=1e-9, atol=1e-12)
    assert np.allclose(above, 1 - U, rtol=1e-7, atol=1e-16)


def test_one_component_is_its_own_quantile() -> None:
    found = mixture_quantile(Normal(), np.ones(1), np.array([2.0]), np.array([[3.0]]), U)
    assert np.allclose(found, stats.norm.ppf(U, 2.0, 3.0), rtol=1e-12)


def test_the_middle_of_a_flat_piece() -> None:
    """Half the mass in [-11, -9], half in [9, 11]: every point between is a median, and 0 is returned."""
    found = mixture_quantile(UniformBall(), np.full(2, 0.5), np.array([-10.0, 10.0]), np.ones((2, 1)), np.array([0.5]))
    assert found[0] == pytest.approx(0.0, abs=1e-9)
