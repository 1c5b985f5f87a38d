"""Bessel functions against mpmath over the whole range, derivatives against finite differences, and what is refused."""

import math
import warnings
from functools import cache
from typing import Any

import mpmath
import pytest
import torch
import torch.autograd.forward_ad as fwad
from scipy import special as scipy_special
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from pyro_symvi.special import (
    bessel_ratio,
    bessel_ratio_complement,
    bessel_ratio_slope,
    inverse_bessel_ratio,
    log_bessel_i,
    log_hyp0f1,
    log_sphere_area,
    log_vmf_normalizer,
)

DIMS = (2, 3, 4, 5, 10, 50, 300, 10_000)
KAPPAS = tuple(sorted([float(f"1e{n}") for n in range(-8, 9)] + [3.0, 40.0]))
"""Every decade, and two more where the asymptotic series take over."""
GRID = torch.tensor((0.0, *KAPPAS), dtype=torch.float64)


def hankel(v: Any, x: Any) -> Any:
    """e^-x sqrt(2 pi x) I_v(x) for large x by DLMF 10.40.1, summed until its terms no longer count."""
    term, total, k = mpmath.mpf(1), mpmath.mpf(1), 0
    while abs(term) > mpmath.mpf(10) ** -50 * abs(total):
        k += 1
        term *= -(4 * v * v - (2 * k - 1) ** 2) / (8 * x * k)
        total += term
    return total


@cache
def truth(dim: int, kappa: float) -> tuple[Any, Any, Any]:
    """log I_v, log 0F1 and the ratio of orders v + 1 and v = d/2 - 1, to more than 30 digits."""
    with mpmath.workdps(200 if kappa >= 1e5 else 40):
        v, x = mpmath.mpf(dim) / 2 - 1, mpmath.mpf(kappa)
        if kappa >= 1e5:
            lower = hankel(v, x)
            log, ratio = x - mpmath.log(2 * mpmath.pi * x) / 2 + mpmath.log(lower), hankel(v + 1, x) / lower
        else:
            lower, upper = (mpmath.hyp0f1(a, x * x / 4, maxterms=10**6) for a in (v + 1, v + 2))
            log = mpmath.log(lower) + v * mpmath.log(x / 2) - mpmath.loggamma(v + 1)
            ratio = x / (2 * (v + 1)) * upper / lower
        return log, log - v * mpmath.log(x / 2) + mpmath.loggamma(v + 1), ratio


def test_the_reference_for_large_arguments_is_mpmaths_own() -> None:
    with mpmath.workdps(60):
        for v in (mpmath.mpf(0), mpmath.mpf("1.5"), mpmath.mpf(24)):
            scaled = mpmath.besseli(v, 20_000) * mpmath.exp(-20_000) * mpmath.sqrt(2 * mpmath.pi * 20_000)
            assert abs(hankel(v, mpmath.mpf(20_000)) / scaled - 1) < 1e-40


def of_tensor(function: Any, kappas: Tensor) -> list[float]:
    return [float(value) for value in function(kappas)]


def of_numbers(function: Any, kappas: Tensor) -> list[float]:
    """One 0-dim tensor at a time, which is computed with floats."""
    return [function(kappa).item() for kappa in kappas]


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("each", [of_tensor, of_numbers])
def test_log_and_ratio_against_mpmath(dim: int, each: Any) -> None:
    """The stated errors: 1e-12 max(1, |log|), and 1e-12 relative for the ratio, its complement and its inverse."""
    kappa = torch.tensor(KAPPAS, dtype=torch.float64)
    log = each(lambda k: log_bessel_i(dim / 2 - 1, k), kappa)
    normal, normalizer = each(lambda k: log_hyp0f1(dim, k), kappa), each(lambda k: log_vmf_normalizer(dim, k), kappa)
    scaled = each(lambda k: log_hyp0f1(dim, k, scaled=True), kappa)
    ratio, gap = each(lambda k: bessel_ratio(dim, k), kappa), each(lambda k: bessel_ratio_complement(dim, k), kappa)
    slope = each(lambda k: bessel_ratio_slope(dim, k), kappa)
    by_tensor = log_bessel_i(torch.full_like(kappa, dim / 2 - 1), kappa).tolist()
    for i, k in enumerate(KAPPAS):
        true_log, true_normal, true_ratio = truth(dim, k)
        with mpmath.workdps(40):
            v = mpmath.mpf(dim) / 2 - 1
            true_normalizer = true_log + (v + 1) * mpmath.log(2 * mpmath.pi) - v * mpmath.log(mpmath.mpf(k))
            true_slope = 1 - true_ratio**2 - (dim - 1) * true_ratio / mpmath.mpf(k)
        assert abs(log[i] - true_log) <= 1e-12 * max(1, abs(true_log))
        assert abs(by_tensor[i] - true_log) <= 1e-12 * max(1, abs(true_log))
        assert abs(normal[i] - true_normal) <= 1e-12 * abs(true_normal)  # relative, small kappa included
        assert abs(normalizer[i] - true_normalizer) <= 1e-12 * max(1, abs(true_normalizer))
        assert abs(scaled[i] - (true_normal - k)) <= 1e-12 * max(1, abs(true_normal - k))
        assert abs(ratio[i] / true_ratio - 1) <= 1e-12
        assert abs(gap[i] / (1 - true_ratio) - 1) <= 1e-12
        assert abs(slope[i] / true_slope - 1) <= 1e-11


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("each", [of_tensor, of_numbers])
def test_derivatives_over_the_whole_range(dim: int, each: Any) -> None:
    """Of log 0F1 and of the ratio, by autograd, against the ratio and its slope of mpmath."""
    kappa = torch.tensor(KAPPAS, dtype=torch.float64)

    def derivative(function: Any) -> Any:
        def of(k: Tensor) -> Tensor:
            leaf = k.clone().requires_grad_()
            return torch.autograd.grad(function(leaf).sum(), leaf)[0]

        return of

    first = each(derivative(lambda k: log_hyp0f1(dim, k)), kappa)
    drop = each(derivative(lambda k: log_hyp0f1(dim, k, scaled=True)), kappa)
    second = each(derivative(lambda k: bessel_ratio(dim, k)), kappa)
    for i, k in enumerate(KAPPAS):
        _, _, true_ratio = truth(dim, k)
        with mpmath.workdps(40):
            true_slope = 1 - true_ratio**2 - (dim - 1) * true_ratio / mpmath.mpf(k)
        assert abs(first[i] / true_ratio - 1) <= 1e-12
        assert abs(drop[i] / (true_ratio - 1) - 1) <= 1e-12
        assert abs(second[i] / true_slope - 1) <= 1e-11


@pytest.mark.parametrize("dim", DIMS)
def test_at_zero(dim: int) -> None:
    zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
    assert log_hyp0f1(dim, zero).item() == 0.0 == bessel_ratio(dim, zero).item()
    assert bessel_ratio_complement(dim, zero).item() == 1.0
    assert log_bessel_i(dim / 2 - 1, zero).item() == (0.0 if dim == 2 else -math.inf)
    assert torch.autograd.grad(log_hyp0f1(dim, zero), zero)[0].item() == 0.0
    assert torch.autograd.grad(bessel_ratio(dim, zero), zero)[0].item() == pytest.approx(1 / dim, rel=1e-13)
    assert log_vmf_normalizer(dim, zero).item() == log_sphere_area(dim)


@pytest.mark.parametrize("order", [0.0, 0.3, 1.0, 7.5, 23.9, 24.0, 61.25, 400.0])
def test_orders_that_no_sphere_has_against_scipy(order: float) -> None:
    x = torch.linspace(0.5, 600, 40, dtype=torch.float64)
    reference = torch.log(torch.from_numpy(scipy_special.ive(order, x.numpy()))) + x
    usable = reference > -600
    assert torch.allclose(log_bessel_i(order, x)[usable], reference[usable], rtol=1e-12, atol=1e-12)


def test_orders_may_be_batched() -> None:
    order, x = torch.tensor([[0.0], [0.5], [30.0]]), torch.tensor([0.0, 1e-3, 2.0, 1e5], dtype=torch.float64)
    x.requires_grad_()
    together = log_bessel_i(order, x)
    apart = torch.stack([log_bessel_i(float(v), x) for v in order])
    assert together.shape == (3, 4)
    assert torch.allclose(together, apart, rtol=1e-13, atol=1e-13)
    (slope,) = torch.autograd.grad(together[:, 1:].sum(), x)
    (each,) = torch.autograd.grad(apart[:, 1:].sum(), x)
    assert torch.allclose(slope[1:], each[1:], rtol=1e-12)  # at x = 0 the logarithm has no finite slope


@pytest.mark.parametrize("dim", [2, 3, 10, 500])
def test_derivatives_by_finite_differences(dim: int) -> None:
    kappa = torch.tensor([0.02, 0.7, 5.0, 60.0], dtype=torch.float64, requires_grad=True)

    def functions(k: Tensor) -> tuple[Tensor, ...]:
        return log_hyp0f1(dim, k), log_bessel_i(dim / 2 - 1, k), bessel_ratio(dim, k), bessel_ratio_complement(dim, k)

    assert torch.autograd.gradcheck(functions, (kappa,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda k: (log_hyp0f1(dim, k), bessel_ratio(dim, k)), (kappa,))
    assert torch.autograd.gradcheck(
        lambda r: inverse_bessel_ratio(dim, r), (bessel_ratio(dim, kappa).detach().requires_grad_(),)
    )


@pytest.mark.parametrize("dim", [2, 3, 50])
def test_second_derivative_of_the_ratio_through_zero(dim: int) -> None:
    """r'' is odd with slope -6 / (d^2 (d + 2)), and its two branches meet where the series ends."""
    second = torch.func.grad(torch.func.grad(lambda k: bessel_ratio(dim, k)))
    assert second(torch.tensor(0.0, dtype=torch.float64)).item() == 0.0
    edge = 1e-3 * dim / 2
    for k in (1e-6, edge * 0.999, edge * 1.001):
        value = second(torch.tensor(k, dtype=torch.float64)).item()
        assert value == pytest.approx(-6 * k / (dim**2 * (dim + 2)), rel=1e-5)


def test_numbers_are_those_of_tensors_where_python_may_not_look() -> None:
    """Inside vmap, make_fx and jit.trace a concentration is no number, and nothing of it is fixed."""
    first, other = torch.tensor(2.0, dtype=torch.float64), torch.tensor(7.0, dtype=torch.float64)
    for dim in (3, 5):

        def function(k: Tensor) -> Tensor:
            return log_hyp0f1(dim, k) + bessel_ratio(dim, k)  # noqa: B023

        expected = function(other).item()
        assert torch.func.vmap(function)(torch.stack([first, other]))[1].item() == pytest.approx(expected, rel=1e-14)
        for mode in ("real", "fake"):
            graph = make_fx(function, tracing_mode=mode)(first)
            assert graph(other).item() == pytest.approx(expected, rel=1e-14)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(function, (first,), check_trace=False)
        assert traced(other).item() == pytest.approx(expected, rel=1e-14)
        with fwad.dual_level():
            dual = fwad.make_dual(other, torch.ones_like(other))
            tangent = fwad.unpack_dual(function(dual)).tangent
        leaf = other.clone().requires_grad_()
        assert tangent.item() == pytest.approx(torch.autograd.grad(function(leaf), leaf)[0].item(), rel=1e-13)


def test_vmap_and_functional_derivatives() -> None:
    kappa = torch.tensor([0.0, 0.3, 4.0, 200.0], dtype=torch.float64)
    for function in (lambda k: log_hyp0f1(5, k), lambda k: bessel_ratio(5, k)):
        assert torch.equal(torch.func.vmap(function)(kappa), function(kappa))
        slopes = torch.func.vmap(torch.func.grad(function))(kappa)
        leaf = kappa.clone().requires_grad_()
        assert torch.allclose(slopes, torch.autograd.grad(function(leaf).sum(), leaf)[0], rtol=1e-14)
        hessian = torch.func.hessian(lambda k, f=function: f(k).sum())(kappa)
        assert torch.allclose(hessian.diagonal(), torch.func.vmap(torch.func.grad(torch.func.grad(function)))(kappa))
    orders = torch.tensor([0.0, 1.5, 30.0, 4.0], dtype=torch.float64)
    mapped = torch.func.vmap(log_bessel_i)(orders, kappa + 1)
    assert torch.allclose(mapped, log_bessel_i(orders, kappa + 1), rtol=1e-14)


@pytest.mark.parametrize("dim", DIMS)
def test_the_inverse_returns_the_concentration(dim: int) -> None:
    """To a few units of rounding in r, times the condition number r / (kappa A') of the problem."""
    kappa = GRID[GRID <= 1e7]
    r = bessel_ratio(dim, kappa)
    found = inverse_bessel_ratio(dim, r)
    assert found[0].item() == 0.0
    assert bool(((found - kappa).abs() * (1 - r) <= 1e-14 * kappa).all())
    assert torch.allclose(bessel_ratio(dim, found), r, rtol=1e-14, atol=0)


@pytest.mark.parametrize("dim", DIMS)
def test_the_inverse_of_mpmaths_ratio(dim: int) -> None:
    """From the ratio rounded to double: relative error below 1e-12 where the problem is well conditioned."""
    for k in KAPPAS:
        ratio = truth(dim, k)[2]
        condition = ratio / (k * (1 - ratio**2 - (dim - 1) * ratio / k))  # dlog kappa / dlog r
        if condition < 1e3:
            r = torch.tensor(float(ratio), dtype=torch.float64)
            assert inverse_bessel_ratio(dim, r).item() == pytest.approx(k, rel=max(1e-12, 1e-15 * float(condition)))


def test_the_inverse_at_and_beyond_its_ends() -> None:
    found = inverse_bessel_ratio(3, torch.tensor([-0.1, 0.0, 1.0, 1.1, math.nan], dtype=torch.float64))
    assert math.isnan(found[0]) and found[1] == 0 and found[2] == math.inf and found[3:].isnan().all()


@pytest.mark.parametrize("dim", DIMS)
def test_single_precision_is_double_precision_rounded(dim: int) -> None:
    kappa = GRID.float().requires_grad_()
    for function in (log_hyp0f1, bessel_ratio):
        value = function(dim, kappa)
        assert value.dtype == torch.float32
        assert torch.equal(value, function(dim, kappa.double()).float())
        (slope,) = torch.autograd.grad(value.sum(), kappa)
        assert slope.dtype == torch.float32 and bool(slope.isfinite().all())


def test_the_series_in_three_dimensions_meets_the_closed_form() -> None:
    """On both sides of 1, where they change over, against mpmath, to a few units of rounding."""
    for k in (0.3, 0.9, 1 - 1e-12, 1.0, 1.1):
        kappa = torch.tensor(k, dtype=torch.float64)
        _, true_normal, true_ratio = truth(3, k)
        with mpmath.workdps(40):
            true_slope = 1 / mpmath.mpf(k) ** 2 - 1 / mpmath.sinh(mpmath.mpf(k)) ** 2
        for value, expected in (
            (log_hyp0f1(3, kappa), true_normal),
            (bessel_ratio(3, kappa), true_ratio),
            (bessel_ratio_slope(3, kappa), true_slope),
        ):
            assert abs(value.item() / expected - 1) < 3e-15


def test_closed_forms_in_three_dimensions() -> None:
    kappa = torch.tensor([0.1, 2.0, 30.0], dtype=torch.float64)
    assert torch.allclose(log_hyp0f1(3, kappa), torch.log(torch.sinh(kappa) / kappa), rtol=1e-12)
    assert torch.allclose(bessel_ratio(3, kappa), 1 / torch.tanh(kappa) - 1 / kappa, rtol=1e-12)
    assert log_sphere_area(2) == pytest.approx(math.log(2 * math.pi)) and log_sphere_area(3) == pytest.approx(
        math.log(4 * math.pi)
    )


def test_negative_arguments_give_nan() -> None:
    minus = torch.tensor([-1.0, math.nan])
    assert log_bessel_i(1, minus).isnan().all() and bessel_ratio(3, minus).isnan().all()


REFUSED = {
    "a negative order": (lambda: log_bessel_i(-0.5, torch.ones(1)), ValueError),
    "nan as order": (lambda: log_bessel_i(math.nan, torch.ones(1)), ValueError),
    "a text as order": (lambda: log_bessel_i("1", torch.ones(1)), TypeError),
    "an order to differentiate": (lambda: log_bessel_i(torch.ones(1, requires_grad=True), torch.ones(1)), ValueError),
    "an order of integers": (lambda: log_bessel_i(torch.ones(1, dtype=torch.int64), torch.ones(1)), TypeError),
    "a number as argument": (lambda: log_bessel_i(1, 2.0), TypeError),
    "half precision": (lambda: bessel_ratio(3, torch.ones(1, dtype=torch.float16)), TypeError),
    "dimension one": (lambda: bessel_ratio(1, torch.ones(1)), ValueError),
    "a real dimension": (lambda: bessel_ratio(3.0, torch.ones(1)), TypeError),
    "a boolean dimension": (lambda: log_sphere_area(True), TypeError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused(name: str) -> None:
    call, error = REFUSED[name]
    with pytest.raises(error, match="expected .*, got .*, because .*; try .*"):
        call()
