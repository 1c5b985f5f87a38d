"""Orders: validation, the golden table of conventions, and continuity at the two KL limits."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from pyro_symvi.divergences import Alpha, ForwardKL, ReverseKL
from tests.contracts.divergence import weights


@pytest.mark.parametrize("bad", ["a", "0.5", True, False, None, 1j, [0.5], torch.tensor(0.5)])
@pytest.mark.parametrize("build", [Alpha, Alpha.from_amari, Alpha.from_renyi, Alpha.from_pyro, Alpha.from_tsallis])
def test_orders_are_real_numbers(build: type, bad: object) -> None:
    with pytest.raises(TypeError, match="real number"):
        build(bad)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, np.float64("nan"), 10**400])
@pytest.mark.parametrize("build", [Alpha, Alpha.from_amari, Alpha.from_renyi, Alpha.from_pyro, Alpha.from_tsallis])
def test_orders_are_finite(build: type, bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        build(bad)


def test_equal_orders_are_equal_values() -> None:
    assert Alpha(2) == Alpha(2.0) == Alpha(np.float64(2)) == Alpha(Fraction(2))
    assert repr(Alpha(-0.0)) == "Alpha(alpha=0.0)"
    assert len({Alpha(0.5), Alpha(Fraction(1, 2)), Alpha(0.25)}) == 2


# (converter, order in that convention, alpha), restated from the definitions
GOLDEN = [
    (Alpha.from_amari, 1.0, 0.0),  # KL(Q || P)
    (Alpha.from_amari, -1.0, 1.0),  # KL(P || Q)
    (Alpha.from_amari, 0.0, 0.5),  # 4 x squared Hellinger
    (Alpha.from_amari, -3.0, 2.0),  # Pearson / 2
    (Alpha.from_amari, 3.0, -1.0),  # Neyman / 2
    (Alpha.from_renyi, 0.5, 0.5),
    (Alpha.from_renyi, 1.0, 1.0),
    (Alpha.from_renyi, 2.0, 2.0),
    (Alpha.from_renyi, -1.0, -1.0),
    (Alpha.from_pyro, 1.0, 0.0),
    (Alpha.from_pyro, 0.5, 0.5),
    (Alpha.from_pyro, 0.0, 1.0),
    (Alpha.from_pyro, -1.0, 2.0),
    (Alpha.from_pyro, 2.0, -1.0),
    (Alpha.from_tsallis, 0.5, 0.5),
    (Alpha.from_tsallis, 1.0, 1.0),
    (Alpha.from_tsallis, 2.0, 2.0),
]


@pytest.mark.parametrize(("convert", "order", "alpha"), GOLDEN)
def test_golden_table(convert: type, order: float, alpha: float) -> None:
    assert convert(order) == Alpha(alpha)


def _normal(z: float, loc: float, scale: float) -> float:
    return math.exp(-0.5 * ((z - loc) / scale) ** 2) / (scale * math.sqrt(2 * math.pi))


def _p(z: float) -> float:
    return _normal(z, 0.3, 1.0)


def _q(z: float) -> float:
    return _normal(z, 0.0, 0.9)


def _integral(f: object) -> float:
    return integrate.quad(f, -15, 15, epsabs=1e-13, epsrel=1e-12, limit=400)[0]


def _divergence(alpha: float) -> float:
    return (1 - _integral(lambda z: _p(z) ** alpha * _q(z) ** (1 - alpha))) / (alpha * (1 - alpha))


@pytest.mark.parametrize("order", [-2.0, -0.4, 0.2, 0.6, 1.5, 2.5])
def test_conversions_against_the_defining_integrals(order: float) -> None:
    amari = 4 / (1 - order**2) * (1 - _integral(lambda z: _p(z) ** ((1 - order) / 2) * _q(z) ** ((1 + order) / 2)))
    assert _divergence(Alpha.from_amari(order).alpha) == pytest.approx(amari, rel=1e-8)
    power = _integral(lambda z: _p(z) ** order * _q(z) ** (1 - order))
    d = _divergence(Alpha.from_renyi(order).alpha)
    assert math.log(1 - order * (1 - order) * d) / (order - 1) == pytest.approx(math.log(power) / (order - 1), rel=1e-8)
    assert order * _divergence(Alpha.from_tsallis(order).alpha) == pytest.approx((power - 1) / (order - 1), rel=1e-8)
    # Pyro's bound of order a is log Z - R_a(Q || P)
    a = order
    renyi_qp = math.log(_integral(lambda z: _q(z) ** a * _p(z) ** (1 - a))) / (a - 1)
    alpha = Alpha.from_pyro(a).alpha
    assert renyi_qp == pytest.approx(math.log(1 - alpha * (1 - alpha) * _divergence(alpha)) / (a - 1), rel=1e-8)


@pytest.mark.parametrize(
    ("alpha", "name", "expected"),
    [
        (0.5, "4 Hellinger^2", lambda: 4 * 0.5 * _integral(lambda z: (math.sqrt(_p(z)) - math.sqrt(_q(z))) ** 2)),
        (2.0, "Pearson / 2", lambda: 0.5 * _integral(lambda z: (_p(z) - _q(z)) ** 2 / _q(z))),
        (-1.0, "Neyman / 2", lambda: 0.5 * _integral(lambda z: (_p(z) - _q(z)) ** 2 / _p(z))),
    ],
)
def test_named_members(alpha: float, name: str, expected: object) -> None:
    assert _divergence(alpha) == pytest.approx(expected(), rel=1e-8), name


def test_the_limits_have_the_numbers_of_the_kls() -> None:
    l = weights(20, 3)
    for limit, kl in ((Alpha(0), ReverseKL()), (Alpha(1), ForwardKL())):
        assert torch.equal(limit.objective(l), kl.objective(l))
        assert torch.equal(limit.value(l), kl.value(l))
        assert limit.prefers_pathwise == kl.prefers_pathwise
        assert limit.is_additive == kl.is_additive
    assert torch.equal(Alpha(1).escort_weights(l), ForwardKL().escort_weights(l))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(exponent=st.floats(-300, -5), sign=st.sampled_from([-1, 1]), scale=st.floats(0.01, 300), seed=st.integers(0, 99))
def test_continuity_at_zero(exponent: float, sign: int, scale: float, seed: int) -> None:
    """d/d alpha at 0 of the objective is -mean - var / 2, of the value of like size: the bound is 10 times that."""
    alpha, l = sign * 10.0**exponent, weights(15, seed=seed, scale=scale)
    slack = 10 * abs(alpha) * (1 + scale**2) * 10 + 1e-12 * (1 + scale)
    assert abs(float(Alpha(alpha).objective(l) - ReverseKL().objective(l))) <= slack
    assert abs(float(Alpha(alpha).value(l) - ReverseKL().value(l))) <= slack * (1 + scale)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(exponent=st.floats(-15, -5), sign=st.sampled_from([-1, 1]), scale=st.floats(0.01, 5), seed=st.integers(0, 99))
def test_value_is_continuous_at_one(exponent: float, sign: int, scale: float, seed: int) -> None:
    alpha, l = 1 + sign * 10.0**exponent, weights(15, seed=seed, scale=scale)
    slack = 100 * 10.0**exponent * (1 + scale**2) + 1e-12
    assert abs(float(Alpha(alpha).value(l) - ForwardKL().value(l))) <= slack


def test_the_naive_formula_is_not_continuous_at_zero() -> None:
    """Negative control: what the careful mean is for."""
    l = weights(15, scale=0.1)
    alpha = 1e-13
    naive = (torch.logsumexp(alpha * l, 0) - math.log(15)) / (alpha * (alpha - 1))
    assert abs(float(naive - ReverseKL().objective(l))) > 1e-4
    assert abs(float(Alpha(alpha).objective(l) - ReverseKL().objective(l))) < 1e-12


def test_preferred_gradient() -> None:
    assert [Alpha(a).prefers_pathwise for a in (-1, 0, 0.5, 0.51, 1, 2)] == [True, True, True, False, False, False]
    assert ReverseKL().is_additive and not ForwardKL().is_additive and not Alpha(0.5).is_additive
