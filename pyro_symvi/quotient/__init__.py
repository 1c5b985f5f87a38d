"""Diffusion on quotient spaces: generative models of shapes that ignore movement along group orbits.

A :class:`Diffusion` joins an action, a path from noise to data and a prior; whatever estimates E[x_1 | x_t] is its
denoiser: an exact one (``oracles``) or a network trained by one of the ``losses``. Samplers carry the curvature of
orbits with the sign that leaves the target's law in place.
"""

from ._context import Context as Context
from ._dataset import CloudDataset as CloudDataset
from ._interpolants import Interpolant as Interpolant
from ._interpolants import Linear as Linear
from ._interpolants import Trigonometric as Trigonometric
from ._priors import GaussianPrior as GaussianPrior
from ._priors import HarmonicPrior as HarmonicPrior
from ._priors import Prior as Prior
from ._process import Denoiser as Denoiser
from ._process import Diffusion as Diffusion

__all__ = [
    "CloudDataset",
    "Context",
    "Denoiser",
    "Diffusion",
    "GaussianPrior",
    "HarmonicPrior",
    "Interpolant",
    "Linear",
    "Prior",
    "Trigonometric",
]
