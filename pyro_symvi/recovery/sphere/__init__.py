"""Directional targets: what a certificate says of a direction, an axis and a concentration."""

from ..certification import DOORS
from .algebra import SphereAlgebra
from .certification import certify_sphere, door
from .density import SphereDensity
from .matching import SphereOptimum, fit_sphere

DOORS.append(door)


def fingerprint(density: SphereDensity) -> str:
    """Hash of the graph and of all constants; empty where it could not be read."""
    return SphereAlgebra(density).fingerprint


__all__ = ["SphereDensity", "SphereOptimum", "certify_sphere", "fingerprint", "fit_sphere"]
