"""Exact laws and denoisers, without training: finitely many shapes in uniformly random orientation.

With them samplers, losses and networks are tested against closed forms.
"""

from ._shapes import ShapeMixture as ShapeMixture
from ._targets import langevin as langevin
from ._targets import orbit_mean as orbit_mean

__all__ = ["ShapeMixture", "langevin", "orbit_mean"]
