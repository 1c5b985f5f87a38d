"""Quantiles of one coordinate of a location-scale law."""

from __future__ import annotations

import numpy as np
from scipy import optimize

from ..distributions.bases import Array, Base

_TERMS = 20_000
_REACH = 90.0


def distribution_function(base: Base, row: Array, x: float) -> float:
    r"""Distribution function at ``x`` of :math:`\sum_j C_{ij}\xi_j`, ``row`` being :math:`C_{i\cdot}`.

    Inversion of the characteristic function (Gil-Pelaez, 1951) by the midpoint rule,

    .. math:: F(x) = ½ + \frac1\pi\sum_{k\ge 0} \frac{\sin((k+½)hx)}{k+½}\prod_j\varphi(C_{ij}(k+½)h),

    whose error is the mass beyond :math:`2\pi/h - |x|`, here below 1e-13, plus the cut tail of the sum.
    """
    h = 2 * np.pi / (_REACH * np.abs(row).sum())
    k = np.arange(_TERMS) + 0.5
    phi = np.prod([base.characteristic(c * k * h) for c in row if c], axis=0)
    return 0.5 + float(np.sum(np.sin(k * h * x) / k * phi)) / np.pi


def marginal_quantile(base: Base, row: Array, u: Array) -> Array:
    r"""Quantiles of :math:`\sum_j C_{ij}\xi_j` at levels ``u``.

    Spherical bases, and rows with one entry, scale the base's own quantile; else the distribution function above is
    inverted by Brent's method to 1e-10 of the scale.
    """
    entries = row[np.abs(row) > 1e-9 * np.abs(row).max()]
    scale = float(np.sqrt(np.sum(entries**2)))
    if base.spherical or len(entries) == 1:
        return scale * base.quantile(u)
    out = np.empty_like(u)
    for i, level in enumerate(np.maximum(u, 1 - u).ravel()):
        if level == 0.5:
            out.flat[i] = 0.0
            continue
        top = float(np.abs(entries).sum() * base.quantile(np.asarray(level)))
        root = optimize.brentq(lambda x, p=level: distribution_function(base, entries, x) - p, 0.0, top + scale, xtol=1e-11 * scale)
        out.flat[i] = root if u.flat[i] >= 0.5 else -root
    return out
