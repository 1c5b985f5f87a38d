"""Two modes under a normal guide, to the digits of the reviewed figures: N1, N2, N3 in one dimension, N10 in two.

The population objective by quadrature, made by the divergences and families under test (see ``quadrature.py``). The
trapezoidal rule is exact to rounding here: the integrands are analytic in a strip and vanish at the ends.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import Tensor

from pyro_symvi.divergences import Alpha, Divergence, ForwardKL, ReverseKL
from pyro_symvi.families import LocationScale
from tests.divergences.quadrature import alpha_value, hessian, minimize, moving, plane, still, t, trapezoid
from tests.divergences.targets import two_modes

LINE = LocationScale(1, scale="diagonal")


def on_a_line(rule: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return rule[0][:, None], rule[1]


BASE, SPACE = on_a_line(trapezoid(-10.0, 10.0, 2001)), on_a_line(trapezoid(-40.0, 40.0, 3001))


def density(m: float) -> Callable[[Tensor], Tensor]:
    return lambda z: two_modes(m)(z[..., 0])


def objective(divergence: Divergence, m: float, x: Tensor) -> Tensor:
    """At ``x = (nu, log sigma)``, or ``(nu,)`` with unit scale."""
    parameters = {"loc": x[:1], "scale": x[1:].exp() if len(x) > 1 else torch.ones_like(x)}
    if divergence.alpha == 0.0:
        return moving(divergence, LINE, density(m), BASE, parameters)
    return still(divergence, LINE, density(m), SPACE, parameters)


def reverse(m: float) -> Callable[[Tensor], Tensor]:
    return lambda x: objective(ReverseKL(), m, x)


def test_n1_where_the_centre_stops_being_a_minimum() -> None:
    """Unit scale: J''(0) = 1 - m^2 E sech^2(m xi); its zero; KL at the centre and at a mode.

    The third KL is 50 - E log cosh(10 xi), by mpmath to 30 digits (quadrature, and the series of log(1 + e^-x)).
    """
    assert hessian(reverse(1.0), [0.0]).item() == pytest.approx(0.3942944904, abs=1e-8)
    assert hessian(reverse(2.0), [0.0]).item() == pytest.approx(-0.4589550630, abs=1e-8)
    threshold = optimize.brentq(lambda m: hessian(reverse(m), [0.0]).item(), 1.0, 2.0, xtol=1e-12)
    assert threshold == pytest.approx(1.4608339604, abs=1e-8)
    for m, nu, expected in ((1.0, 0.0, 0.1254327925), (10.0, 0.0, 42.6815836099), (10.0, 10.0, 0.6931471806)):
        assert float(reverse(m)(t(nu))) == pytest.approx(expected, abs=1e-9)
    assert float(objective(ForwardKL(), 1.0, t(0.0))) != pytest.approx(0.1254327925, abs=1e-2)  # another direction


CENTRED = {2.0: (0.226508, 2.04701, None), 3.0: (0.840621, 2.7438, 0.1328), 5.0: (3.306604, 4.2226, 0.0561)}
ASIDE = {3.0: (0.688769, 2.98431, 1.02337), 5.0: (0.693146, 5.0000, 1.0000)}


@pytest.mark.parametrize("m", CENTRED)
def test_n2_a_stable_centre_that_is_not_the_optimum(m: float) -> None:
    """Scale free: the centre is a strict minimum at each m (J'' > 0), the global one at m = 2 alone."""
    value, sigma, curvature = CENTRED[m]
    x, found = minimize(reverse(m), [0.05, math.log(m)])
    assert abs(x[0]) < 1e-9 and found == pytest.approx(value, abs=1e-6)
    assert math.exp(x[1]) == pytest.approx(sigma, abs=6e-5)
    if curvature is not None:
        assert hessian(reverse(m), x)[0, 0] == pytest.approx(curvature, abs=6e-5)
    y, other = minimize(reverse(m), [m, 0.0])
    if m in ASIDE:
        value, nu, sigma = ASIDE[m]
        assert other == pytest.approx(value, abs=2e-6) and other < found - 0.1
        assert (y[0], math.exp(y[1])) == pytest.approx((nu, sigma), abs=2e-5)
    else:
        assert abs(y[0]) < 1e-9 and other == pytest.approx(found, abs=1e-12)


def test_n2_where_the_global_optimum_leaves_the_centre() -> None:
    """m = 2.80008: first order, both minima being there on either side."""

    def gap(m: float) -> float:
        return minimize(reverse(m), [0.0, math.log(m)])[1] - minimize(reverse(m), [m, 0.0])[1]

    assert optimize.brentq(gap, 2.75, 2.85, xtol=1e-9) == pytest.approx(2.8000822, abs=1e-6)


@pytest.mark.parametrize(("m", "critical"), [(3.0, 0.114896), (5.0, 0.521847)])
def test_n3_the_order_at_which_the_symmetric_fit_takes_over(m: float, critical: float) -> None:
    def gap(alpha: float) -> float:
        def loss(x: Tensor) -> Tensor:
            return objective(Alpha(alpha), m, x)

        centred, aside = minimize(loss, [0.0, math.log(m)])[1], minimize(loss, [m, 0.0])[1]
        return alpha_value(Alpha(alpha), centred) - alpha_value(Alpha(alpha), aside)

    assert optimize.brentq(gap, critical - 1e-3, critical + 1e-3, xtol=1e-8) == pytest.approx(critical, abs=1e-6)
    if m == 5.0:
        assert gap(1 - critical) > 0.05  # with the exponent on the other density there is no switch there


def test_n3_two_minima_at_once() -> None:
    """m = 5, alpha = 0.7: the symmetric optimum and a local minimum at a mode; D_alpha of each."""
    for start, value, place in (
        ([0.1, 1.6], 1.062558, (0.0, 5.0585)),
        ([5.0, 0.0], 1.830529, (4.99972, 1.00097)),
    ):
        x, found = minimize(lambda y: objective(Alpha(0.7), 5.0, y), start)
        assert alpha_value(Alpha(0.7), found) == pytest.approx(value, abs=1e-6)
        assert (x[0], math.exp(x[1])) == pytest.approx(place, abs=6e-5 if place[0] == 0 else 6e-6)


def exchangeable(m: float) -> Callable[[Tensor], Tensor]:
    """1/2 N((m, -m), I) + 1/2 N((-m, m), I)."""

    def log_prob(z: Tensor) -> Tensor:
        modes = [-0.5 * ((z - t(s * m, -s * m)) ** 2).sum(-1) for s in (1.0, -1.0)]
        return torch.stack(modes).logsumexp(0) - math.log(4 * math.pi)

    return log_prob


def full(x: Tensor) -> dict[str, Tensor]:
    """Location, logarithm of the diagonal and the entry below it."""
    rows = [torch.stack([x[2].exp(), 0 * x[3]]), torch.stack([x[3], x[4].exp()])]
    return {"loc": x[:2], "scale": torch.stack(rows)}


@pytest.mark.parametrize("m", [1.5, 1.75, 2.0])
def test_n10_an_exchangeable_target_whose_contrast_is_lost(m: float) -> None:
    """Full normal guide, reverse KL: at m = 2 the best fit sits on one mode; up to 1.75 it is exchangeable."""
    rule, family = plane(trapezoid(-8.0, 8.0, 81), trapezoid(-8.0, 8.0, 81)), LocationScale(2)

    def loss(x: Tensor) -> Tensor:
        return moving(ReverseKL(), family, exchangeable(m), rule, full(x))

    fits = [minimize(loss, start) for start in ([0.1, -0.1, 0.5, -0.3, 0.3], [m, -m, 0.05, 0.0, 0.05])]
    x, value = min(fits, key=lambda fit: fit[1])
    if m == 2.0:
        assert value == pytest.approx(0.685114, abs=1e-6)
        assert x[:2] == pytest.approx((1.97955, -1.97955), abs=2e-5)
    else:
        assert x[:2] == pytest.approx((0.0, 0.0), abs=1e-9)
        scale = full(torch.from_numpy(x))["scale"].numpy()
        covariance = scale @ scale.T
        assert covariance[0, 0] == pytest.approx(covariance[1, 1], abs=1e-9)
        assert np.linalg.eigvalsh(covariance)[0] == pytest.approx(1.0, abs=1e-9)  # across the contrast
