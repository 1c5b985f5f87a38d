r"""The modified Bessel function of the first kind through :math:`{}_0F_1`: any real order v >= 0, any x >= 0.

.. math:: I_v(x) = \frac{(x/2)^v}{\Gamma(v+1)}\,{}_0F_1(v+1;\ x^2/4).

The order is raised by n steps to where Debye's expansion holds to rounding, and brought down again by the recurrence of
rho_v = 0F1(v+2) / 0F1(v+1) = 1 / (1 + x^2 rho_{v+1} / (4 (v+1) (v+2))), in which all terms are positive. About a
hundred operations whatever v and x. Each function takes a float or a tensor; a tensor of orders needs one of arguments.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from torch import Tensor

from . import _debye
from ._numbers import Real, log1p, where

Order: TypeAlias = Any
"""A float, or a tensor where the argument is one."""

_GROUP = 8
"""Factors multiplied before a logarithm is taken: no overflow to x = 1e38."""


def _raised(order: Order, x: Any) -> tuple[int, Order, Any]:
    """Steps n, the order, and the raised order in the kind of x."""
    if isinstance(order, Tensor):
        return _debye.LOWEST_ORDER, order, order + _debye.LOWEST_ORDER
    steps = max(0, math.ceil(_debye.LOWEST_ORDER - order))
    return steps, order, x.new_full((), order + steps) if isinstance(x, Tensor) else order + steps


def log_hyp0f1(order: Order, x: Real, scaled: bool) -> Real:
    """Log 0F1(v + 1; x^2 / 4), less x where ``scaled``."""
    steps, v, top = _raised(order, x)
    z = _debye.at(top, x)
    value = _debye.log_hyp0f1(z, scaled)
    quarter = x * x / 4
    rho = 2 * (top + 1) * _debye.ratio_over_x(z)
    for j in range(steps, 0, -_GROUP):
        product = 0 * x  # less 1, of the factors 1 + growth: one logarithm for a few steps
        for i in range(j, max(j - _GROUP, 0), -1):
            a = v + i
            growth = quarter / (a * (a + 1)) * rho
            product = product + growth + product * growth
            rho = 1 / (1 + growth)
        value = value + log1p(product)
    a = v + 1
    y = quarter / a
    series = y * (1 - y / (2 * (a + 1)) * (1 - 4 * y / (3 * (a + 2))))  # relative error y^3, no rounding floor
    return where(y < 1e-5, series - x if scaled else series, value)


def ratio(order: Order, x: Real) -> Real:
    """I_(v+1)(x) / I_v(x)."""
    steps, v, top = _raised(order, x)
    r = x * _debye.ratio_over_x(_debye.at(top, x))
    for j in range(steps - 1, -1, -1):
        r = x / (2 * (v + (j + 1)) + x * r)
    return r


def ratio_complement(order: Order, x: Real) -> Real:
    """1 - I_(v+1)(x) / I_v(x), to full relative accuracy also where the ratio is nearly 1."""
    steps, v, top = _raised(order, x)
    r, c = _debye.ratio_and_complement(_debye.at(top, x))
    for j in range(steps - 1, -1, -1):
        twice = 2 * (v + (j + 1))
        share = 1 / (twice + x * r)
        r, c = x * share, (twice - x * c) * share
    return where(x < v + 1, 1 - r, c)


def ratio_slope(order: Order, x: Real) -> Real:
    r"""The derivative of r_v = I_(v+1) / I_v in x, as (r_v / x) e_v with e_v = rho_v - (1 - rho_v) e_(v+1).

    The textbook form 1 - r^2 - (2 v + 1) r / x has lost every digit at x = 1e8.
    """
    steps, v, top = _raised(order, x)
    z = _debye.at(top, x)
    r_over_x = _debye.ratio_over_x(z)
    e = _debye.ratio_slope(z) / r_over_x
    for j in range(steps - 1, -1, -1):
        twice = 2 * (v + (j + 1))
        r_over_x = 1 / (twice + x * x * r_over_x)
        rho = twice * r_over_x
        e = rho - (1 - rho) * e
    return r_over_x * e
