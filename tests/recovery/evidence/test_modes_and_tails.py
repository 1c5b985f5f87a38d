"""The searches for other modes and for heavy tails."""

import math

import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.density._modes import distant_modes
from pyro_symvi.recovery.evidence.profiles import marginal_power
from pyro_symvi.recovery.evidence.residuals import Scale
from pyro_symvi.recovery.evidence.tails import tail_powers
from tests.recovery.targets import log_gamma, mixture, normal, student_t, vector


def unit(dim: int) -> Scale:
    return Scale(torch.zeros(dim, dtype=torch.float64), torch.eye(dim, dtype=torch.float64))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("law", [normal, log_gamma(2.0), student_t(2.0, 2)])
def test_a_unimodal_law_has_no_other_modes(law) -> None:
    assert distant_modes(LogDensity.from_callable(law, 2), unit(2), generator=generator()) == []


@pytest.mark.parametrize("distance", [7.0, 100.0, 1e5])
def test_a_second_mode_is_found_with_its_curvature(distance: float) -> None:
    law = mixture([0.99, 0.01], [[0.0, 0.0], [distance, -distance]], [1.0, 0.8])
    (found,) = distant_modes(LogDensity.from_callable(law, 2), unit(2), generator=generator())
    torch.testing.assert_close(found.center, vector(distance, -distance), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.root, 0.8 * torch.eye(2, dtype=torch.float64), rtol=1e-3, atol=1e-3)


def test_a_mode_at_the_mirror_image_or_the_exchange_of_coordinates() -> None:
    law = mixture([0.5, 0.5], [[3.0, 40.0, -7.0], [-7.0, 40.0, 3.0]], [0.3, 0.3])
    main = Scale(vector(3.0, 40.0, -7.0), 0.3 * torch.eye(3, dtype=torch.float64))
    found = distant_modes(LogDensity.from_callable(law, 3), main, generator=generator())
    assert any(torch.allclose(mode.center, vector(-7.0, 40.0, 3.0), atol=1e-4) for mode in found)


@pytest.mark.parametrize(("df", "dim"), [(0.5, 1), (1.0, 1), (1.0, 4), (3.0, 4)])
def test_powers_of_a_multivariate_t_along_rays(df: float, dim: int) -> None:
    """p ~ r^-(df + dim): the power of a ray in k dimensions less k; over full-dimensional rays df."""
    tails = tail_powers(LogDensity.from_callable(student_t(df, dim), dim), unit(dim), generator=generator())
    assert tails.least == pytest.approx(df, abs=1e-5)
    torch.testing.assert_close(tails.of, torch.full((dim,), df, dtype=torch.float64), rtol=0, atol=1e-5)


def test_exponential_tails_have_no_power() -> None:
    for law in (normal, log_gamma(1.0)):
        assert tail_powers(LogDensity.from_callable(law, 2), unit(2), generator=generator()).least > 30


def test_flat_directions_have_power_minus_one() -> None:
    """log p constant along a coordinate or a diagonal: power 0, less the one dimension of the ray."""
    flat = tail_powers(LogDensity.from_callable(lambda z: -z[..., 0].square(), 2), unit(2), generator=generator())
    assert flat.least == pytest.approx(-1.0, abs=1e-6)
    assert flat.ray == "z[1]"
    root = torch.linalg.cholesky(torch.tensor([[1.0, -0.99], [-0.99, 1.0]], dtype=torch.float64))
    ridge = LogDensity.from_callable(lambda z: -z.sum(-1).square(), 2)
    assert tail_powers(ridge, Scale(vector(0, 0), root), generator=generator()).least == pytest.approx(-1.0, abs=1e-6)


def mirrored_regression(errors: str):
    """Log p of beta, log sigma with flat priors: pairs of rows with residuals +-r, normal or Student-t(4) errors."""
    x = vector(-1.0, -1.0, 0.0, 0.0, 0.5, 0.5, 1.0, 1.0)
    r = vector(0.5, -0.5, 1.0, -1.0, 0.3, -0.3, 2.0, -2.0)

    def log_p(z: torch.Tensor) -> torch.Tensor:
        squares = (r - z[..., :1] - z[..., 1:2] * x).square() * (-2 * z[..., 2:]).exp()
        fall = 2.5 * torch.log1p(squares / 4) if errors == "student_t" else 0.5 * squares
        return -7 * z[..., 2] - fall.sum(-1)

    return LogDensity.from_callable(log_p, 3)


@pytest.mark.parametrize("errors", ["student_t", "normal"])
@pytest.mark.parametrize("slip", [0.0, 1e-8, 3e-8, 1e-7, 2e-7, 3e-7, 1e-6])
def test_a_direction_off_by_rounding_makes_no_posterior_improper(errors: str, slip: float) -> None:
    """Along beta, t errors give the power 8 (4 + 1) - 7 and more; the axes' slips in log sigma must not be read as
    tails where they leave the valley of beta, near 1e8 scales."""
    root = torch.linalg.cholesky(torch.tensor([[1.0, 0.6, slip], [0.6, 1.0, slip], [slip, slip, 1.0]]).double())
    tails = tail_powers(mirrored_regression(errors), Scale(vector(0, 0, 0.1), 0.3 * root), generator=generator())
    assert tails.least > 28


@pytest.mark.parametrize(("depth", "log_distance"), [(20.0, 10.0), (20.0, 16.0), (500.0, 17.0)])
def test_a_plateau_beyond_a_valley_is_improper(depth: float, log_distance: float) -> None:
    """Negative: log p falls by ``depth`` about exp(log_distance), and is flat beyond."""

    def valley(z: torch.Tensor) -> torch.Tensor:
        return -z[..., 0].square() - depth * (-(z[..., 1].abs().log1p() - log_distance).square()).exp()

    assert tail_powers(LogDensity.from_callable(valley, 2), unit(2), generator=generator()).least < -0.9


def test_growth_after_a_valley_is_improper() -> None:
    """Negative: log p falls like -20 log z^2, and rises like 1e-6 |z| from 4e7 on."""

    def growing(z: torch.Tensor) -> torch.Tensor:
        return -z[..., 0].square() - 20 * z[..., 1].square().log1p() + 1e-6 * z[..., 1].abs()

    assert tail_powers(LogDensity.from_callable(growing, 2), unit(2), generator=generator()).least < -2


@pytest.mark.parametrize("df", [1.0, 3.0])
def test_marginal_power_of_a_multivariate_t(df: float) -> None:
    """The marginal of t_df falls like t^-(df + 1) in every dimension."""
    density = LogDensity.from_callable(student_t(df, 4), 4)
    assert marginal_power(density, unit(4), [0, 2], generator=generator()) == pytest.approx(df + 1, abs=1e-4)


@pytest.mark.parametrize(("rows", "columns"), [(2, 1), (4, 3), (8, 3), (30, 5)])
def test_marginal_power_of_regression_coefficients(rows: int, columns: int) -> None:
    """With flat priors on beta and log sigma, beta is multivariate t with rows - columns degrees of freedom, although
    the joint density falls exponentially along every ray."""
    random = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, columns, dtype=torch.float64, generator=random)
    y = torch.randn(rows, dtype=torch.float64, generator=random)

    def log_p(z: torch.Tensor) -> torch.Tensor:
        beta, log_sigma = z[..., :columns], z[..., columns]
        squares = (y - beta @ x.mT).square().sum(-1)
        return -rows * log_sigma - 0.5 * squares * (-2 * log_sigma).exp()

    beta = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    scale = (y - x @ beta).square().mean().sqrt().log()
    main = Scale(torch.cat([beta, scale[None]]), 0.5 * torch.eye(columns + 1, dtype=torch.float64))
    density = LogDensity.from_callable(log_p, columns + 1)
    power = marginal_power(density, main, range(columns), generator=generator())
    assert power == pytest.approx(rows - columns + 1, abs=0.01)
    assert tail_powers(density, main, generator=generator()).least > 10


def test_marginal_power_where_all_falls_fast() -> None:
    assert marginal_power(LogDensity.from_callable(normal, 3), unit(3), [1], generator=generator()) > 1e3
    laplace = LogDensity.from_callable(lambda z: -z.abs().sum(-1), 1)
    assert marginal_power(laplace, unit(1), [0], generator=generator()) == pytest.approx(9000 / math.log(10), rel=1e-6)
