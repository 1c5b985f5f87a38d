"""Guides for Pyro models, built on the families.

`AutoLocationScale`: one symmetric law of the whole unconstrained vector. `AutoSymmetric`: one law a site, von
Mises-Fisher on spheres; `AutoSphere`: the same for models with directions only. `OrbitMixture`: the average of a
guide's copies under a group, for label switching and sign ambiguity; `label_permutation` makes the group's action from
site names.
"""

from ._orbit_actions import label_permutation
from ._orbit_gain import Gain
from .location_scale import AutoLocationScale
from .orbit_mixture import OrbitMixture
from .sphere import AutoSphere
from .symmetric import AutoSymmetric

__all__ = ["AutoLocationScale", "AutoSphere", "AutoSymmetric", "Gain", "OrbitMixture", "label_permutation"]
