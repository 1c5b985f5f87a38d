"""Means and standard deviations of a fitted law, by formula, where there is one."""

from __future__ import annotations

import math

from torch import Tensor

from ..density import LogDensity
from ..distributions.bases import Normal
from ..recovery.subject import Subject

Moments = tuple[float, float]
"""Mean and standard deviation; infinite or nan where they do not exist."""


def flat_moments(subject: Subject, i: int) -> Moments:
    """Of a flat coordinate: location and scale of a location-scale law, where these moments exist."""
    mean = float(subject.loc[i]) if subject.has_mean else math.nan
    variance = subject.covariance
    if variance is None:
        heavy = subject.has_mean  # a Student-t law with 1 < df <= 2 has a mean and an infinite variance
        return mean, math.inf if heavy else math.nan
    return mean, math.sqrt(float(variance[i, i]))


def exponential_moments(subject: Subject, i: int) -> Moments | None:
    r"""Of :math:`e^{z_i}`, the variable of a positive site; None where there is no formula.

    Log-normal for a normal law, :math:`E e^{mz} = e^{m\nu + m^2 s^2/2}`. Infinite where the law's tails are heavier
    than exponential: whatever draws average to, the mean of a log-Student-t variable does not exist.
    """
    law, root = (None if subject.family is None else subject.family.law), subject.root[i]
    m, s = float(subject.loc[i]), float(root.norm())
    if law is None or isinstance(law, Normal):
        mean = math.exp(m + s * s / 2)
        return mean, mean * math.sqrt(math.expm1(s * s))
    tail = law.tail(subject.density.dim)
    if not tail.at_least_exponential:
        return math.inf, math.inf
    if tail.kind == "exponential" and tail.exponent == 1:
        steepest = s if law.spherical else float(root.abs().max())
        if steepest >= 1:
            return math.inf, math.inf
    return None


def transform_of(density: LogDensity, i: int) -> str:
    """Kind of the map from a flat coordinate to its site: ``"identity"``, ``"exp"``, ..."""
    for site in density.sites:
        if site.slice.start <= i < site.slice.stop:
            return site.transform
    return ""


def moments(subject: Subject, i: int, own_scale: bool) -> Moments | None:
    """Of the row of a coordinate: the flat one, or the site's value; None where only draws can tell."""
    if subject.kind != "guide":
        return None
    if not own_scale and transform_of(subject.density, i) == "exp":
        return exponential_moments(subject, i)
    return None if not own_scale else flat_moments(subject, i)


def unconstrained_values(density: LogDensity, z: Tensor) -> dict[str, tuple[str, Tensor]]:
    """``{site: (name, [n, *unconstrained shape])}`` of the sites whose support is not the real line: ``log sigma``."""
    found = {}
    for site in density.sites:
        if site.transform != "identity" or site.shape != site.unconstrained_shape:
            name = site.coordinates()[0].partition("[")[0]
            found[site.name] = name, z[:, site.slice].reshape(len(z), *site.unconstrained_shape)
    return found
