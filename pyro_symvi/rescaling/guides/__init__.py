"""Guides for the weights of networks: where on the rescaling orbit to begin, and where to end."""

from ._auto_normal import improve_on_orbit_ as improve_on_orbit_
from ._mean_field import MeanFieldPoint as MeanFieldPoint
from ._mean_field import best_mean_field as best_mean_field
from ._mean_field import kl_to_prior as kl_to_prior
from ._start import init_to_canonical as init_to_canonical
from ._values import canonical_values as canonical_values

__all__ = [
    "MeanFieldPoint",
    "best_mean_field",
    "canonical_values",
    "improve_on_orbit_",
    "init_to_canonical",
    "kl_to_prior",
]
