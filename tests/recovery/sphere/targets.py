"""Directional targets with known means, and a short way to certify a direction and concentration at them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from pyro_symvi import certify
from pyro_symvi.families import PowerSphericalFamily, VonMisesFisherFamily
from pyro_symvi.recovery import Certificate, SphereDensity

Function = Callable[[torch.Tensor], torch.Tensor]
ALL = ("direction", "axis", "concentration")


def unit(*values: float) -> torch.Tensor:
    x = torch.tensor(values, dtype=torch.float64)
    return x / x.norm()


E1, E2, E3 = unit(1.0, 0.0, 0.0), unit(0.0, 1.0, 0.0), unit(0.0, 0.0, 1.0)


def bipolar(k: float) -> Function:
    return lambda x: k * x[..., 2] ** 2


def small_circle(height: float, b: float) -> Function:
    return lambda x: -b * (x[..., 2] - height) ** 2


def flipped(x: torch.Tensor) -> torch.Tensor:
    """Density of t = x_3: .8 on [0, 1], 10 on [-1, -.98], 1e-4 between."""
    low = torch.where(x[..., 2] < -0.98, math.log(10.0), math.log(1e-4))
    return torch.where(x[..., 2] > 0, math.log(0.8), low)


def certify_at(
    target: Function | SphereDensity,
    direction: Sequence[float] | torch.Tensor,
    concentration: float,
    *,
    family: type[VonMisesFisherFamily] | type[PowerSphericalFamily] = VonMisesFisherFamily,
    **options: Any,
) -> Certificate:
    """The certificate of a law of the family at this direction and concentration."""
    direction = torch.as_tensor(direction, dtype=torch.float64)
    density = target if isinstance(target, SphereDensity) else SphereDensity.from_callable(target, len(direction))
    parameters = {"direction": direction, "concentration": torch.tensor(concentration, dtype=torch.float64)}
    options = {"statistics": ALL, **options}
    return certify(family(density.dim), density, parameters=parameters, **options)


def verdicts(certificate: Certificate) -> dict[str, str]:
    return {name: certificate[name].verdict.name for name in certificate.statistics}
