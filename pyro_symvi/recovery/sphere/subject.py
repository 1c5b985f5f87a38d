"""What is certified on a sphere: a target and the direction and concentration that a guide gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...divergences import Divergence
from ...families import Family, PowerSphericalFamily, VonMisesFisherFamily
from ...families._axial import AxialFamily
from ...guides import AutoSymmetric
from ...guides._site_law import SphereSite
from ...special import bessel_ratio, inverse_bessel_ratio
from .density import SphereDensity


@dataclass(frozen=True)
class SphereSubject:
    """A target on the sphere, with a fitted law or alone.

    Attributes:
        density: The target.
        name: The guide in words; empty for a target alone.
        family: The fitted law's family; None for a target alone.
        direction: Fitted ``[n]``, float64.
        concentration: Fitted.
        divergence: What was minimised, if known.
    """

    density: SphereDensity
    name: str = ""
    family: AxialFamily | None = None
    direction: torch.Tensor | None = None
    concentration: float = 0.0
    divergence: Divergence | None = None

    @property
    def kind(self) -> str:
        """``"target"`` where nothing was fitted, else ``"guide"``."""
        return "target" if self.direction is None else "guide"

    @property
    def order(self) -> float | None:
        """Alpha of the divergence; None where it is not known, or outside the alpha family."""
        if self.divergence is None or not self.divergence.in_alpha_family:
            return None
        return float(self.divergence.alpha)

    @property
    def length(self) -> float:
        """Length of the fitted law's mean."""
        if self.family is None or self.direction is None:
            return 0.0
        concentration = torch.tensor(self.concentration, dtype=torch.float64)
        law = self.family.distribution({"direction": self.direction, "concentration": concentration})
        return float(law.mean.norm())

    def matching(self, length: float) -> float:
        """The concentration at which the family's mean has this length, below 1."""
        if isinstance(self.family, PowerSphericalFamily):
            return (self.density.dim - 1) * length / (1 - length)
        return float(inverse_bessel_ratio(self.density.dim, torch.tensor(length, dtype=torch.float64)))


def vmf_length(dim: int, concentration: float) -> float:
    """Length of the mean of a von Mises-Fisher law."""
    return float(bessel_ratio(dim, torch.tensor(concentration, dtype=torch.float64)))


def is_sphere_subject(subject: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether `read_sphere_subject` takes it, or refuses it with a reason."""
    if isinstance(subject, AutoSymmetric):
        subject.set_up(*args, **kwargs)
        return any(isinstance(site, SphereSite) for site in subject._known().values())
    return isinstance(subject, (SphereDensity, AxialFamily)) or any(isinstance(a, SphereDensity) for a in args)


def read_sphere_subject(
    given: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    parameters: Mapping[str, torch.Tensor] | None = None,
    divergence: Divergence | None = None,
) -> SphereSubject:
    """The subject of a `SphereDensity`, a family followed by one (with ``parameters=``), or a guide with its model's
    arguments.

    Raises:
        TypeError: Not one of these.
        ValueError: Missing or wrong parameters, several latent sites, dimensions that differ.
    """
    if isinstance(given, SphereDensity):
        if args or kwargs:
            raise TypeError(
                "expected no further arguments beside a SphereDensity, got some, because its data are inside it; try "
                "certify(density)"
            )
        return SphereSubject(given)
    if isinstance(given, AxialFamily):
        if len(args) != 1 or not isinstance(args[0], SphereDensity) or parameters is None:
            raise TypeError(
                "expected certify(family, sphere_density, parameters={'direction': ..., 'concentration': ...}), got "
                "other arguments, because a family alone has neither a target nor parameters; try "
                "SphereDensity.from_model(model, *args)"
            )
        return _of_family(args[0], given, parameters, divergence, f"{_name(given)} law")
    if isinstance(given, AutoSymmetric):
        given.set_up(*args, **kwargs)
        density = SphereDensity.from_model(given.model, *args, **kwargs)
        family: Family = given.family_of(density.name)
        if not isinstance(family, AxialFamily):
            raise TypeError(f"expected a law on the sphere at site '{density.name}', got {family!r}")
        found = {name: value.detach().cpu() for name, value in given.parameters_of(density.name).items()}
        return _of_family(density, family, found, divergence, f"{type(given).__name__} guide ({_name(family)})")
    raise TypeError(
        f"expected a SphereDensity, a family on the sphere or an AutoSphere guide, got {type(given).__name__}, because "
        "a certificate of a direction speaks of one law on one sphere; try AutoSphere(model)"
    )


def _of_family(
    density: SphereDensity,
    family: AxialFamily,
    parameters: Mapping[str, torch.Tensor],
    divergence: Divergence | None,
    name: str,
) -> SphereSubject:
    missing = {"direction", "concentration"} - set(parameters)
    if missing:
        raise ValueError(
            f"expected parameters 'direction' and 'concentration', got {sorted(parameters)}, because {_name(family)} "
            "laws have both; try family.from_mean(mean)"
        )
    direction = torch.as_tensor(parameters["direction"]).detach().double()
    concentration = torch.as_tensor(parameters["concentration"]).detach().double()
    if direction.shape != (density.dim,) or family.dim != density.dim or concentration.numel() != 1:
        raise ValueError(
            f"expected a direction of length {density.dim} and one concentration, got shapes {tuple(direction.shape)} "
            f"and {tuple(concentration.shape)} in a family of dimension {family.dim}, because guide and target share "
            "one sphere; try a family of the target's dimension"
        )
    norm = float(direction.norm())
    if not abs(norm - 1) < 1e-3 or not torch.isfinite(concentration).all() or float(concentration) < 0:
        raise ValueError(
            f"expected a unit direction and a finite concentration >= 0, got length {norm:.6g} and "
            f"{float(concentration):.6g}, because the family has no other laws; try direction / direction.norm()"
        )
    return SphereSubject(density, name, family, direction / norm, float(concentration), divergence)


def _name(family: AxialFamily) -> str:
    return {VonMisesFisherFamily: "von Mises-Fisher", PowerSphericalFamily: "power spherical"}.get(
        type(family), type(family).__name__
    )
