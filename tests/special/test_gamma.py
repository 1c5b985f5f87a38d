"""Differences of log-gamma and digamma against mpmath."""

from typing import Any

import mpmath
import pytest
import torch

from pyro_symvi.special import digamma_difference, log_gamma_ratio


@pytest.mark.parametrize("as_number", [True, False])
@pytest.mark.parametrize("b", [0.0, 0.5, 1.0, 12.5, 4999.5])
@pytest.mark.parametrize("a", [0.5, 1.0, 3.3, 50.0, 1e4, 1e8])
def test_against_mpmath(a: float, b: float, as_number: bool) -> None:
    """With floats, as for a 0-dim tensor, and with tensors."""
    shape = () if as_number else (1,)
    x, y = (torch.full(shape, number, dtype=torch.float64, requires_grad=True) for number in (a, b))
    value = log_gamma_ratio(x, y)
    in_a, in_b = torch.autograd.grad(value, (x, y))
    with mpmath.workdps(40):
        s = mpmath.mpf(a) + mpmath.mpf(b)
        log = mpmath.loggamma(s) - mpmath.loggamma(a)
        slope = mpmath.digamma(s) - mpmath.digamma(a)
        assert abs(value.item() - log) <= 1e-14 * max(1, abs(log))
        assert abs(digamma_difference(x, y).item() - slope) <= 1e-14 * abs(slope)
        assert abs(in_a.item() - slope) <= 1e-13 * abs(slope) + 1e-18
        assert abs(in_b.item() - mpmath.digamma(s)) <= 1e-13 * max(1, abs(mpmath.digamma(s)))


@pytest.mark.parametrize("values", [([0.7, 20.0], [0.5, 3.0]), (0.7, 0.5)])
def test_second_derivatives_by_finite_differences(values: Any) -> None:
    a, b = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values)
    assert torch.autograd.gradgradcheck(log_gamma_ratio, (a, b))
    assert torch.autograd.gradcheck(digamma_difference, (a, b), check_forward_ad=True)
    assert torch.autograd.gradcheck(log_gamma_ratio, (a, b), check_forward_ad=True)


def test_plain_differences_lose_their_digits() -> None:
    """Why these exist: lgamma(a + b) - lgamma(a) is off by more than 1e-9 at a = 1e8."""
    a, b = torch.tensor(1e8, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    with mpmath.workdps(40):
        exact = float(mpmath.loggamma(mpmath.mpf(10) ** 8 + 0.5) - mpmath.loggamma(mpmath.mpf(10) ** 8))
    assert log_gamma_ratio(a, b).item() == pytest.approx(exact, abs=1e-14)
    assert abs((torch.lgamma(a + b) - torch.lgamma(a)).item() - exact) > 1e-9


def test_bad_input_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a as a tensor, got float, because .*; try"):
        log_gamma_ratio(1.0, torch.ones(1))
