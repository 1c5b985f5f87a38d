"""Laws that the families are built from, as Pyro distributions: on R^d, and on the sphere.

Base laws of location-scale families (`bases`): `Normal`, `StudentT`, `Cauchy`, `Laplace`, `GeneralizedNormal`,
`Logistic`, `UniformBall`, each with what is true of it. `OrbitMixtureLaw`: the average of a law's images under group
elements. On the sphere of R^d, d >= 2, with support ``constraints.sphere``, exact densities (concentration 0 included),
exact draws, gradients of draws in direction and concentration, and registered Kullback-Leibler divergences:
`SphericalUniform`, `VonMisesFisher`, `PowerSpherical`.
"""

from . import _sphere_divergences as _sphere_divergences
from .bases import BASES, Base, Cauchy, GeneralizedNormal, Laplace, Logistic, Normal, StudentT, Tail, UniformBall
from .orbit_mixture import OrbitMixtureLaw
from .power_spherical import PowerSpherical
from .sphere_alpha import VonMisesFisherPair
from .spherical_uniform import SphericalUniform
from .von_mises_fisher import VonMisesFisher

__all__ = [
    "BASES",
    "Base",
    "Cauchy",
    "GeneralizedNormal",
    "Laplace",
    "Logistic",
    "Normal",
    "OrbitMixtureLaw",
    "PowerSpherical",
    "SphericalUniform",
    "StudentT",
    "Tail",
    "UniformBall",
    "VonMisesFisher",
    "VonMisesFisherPair",
]
