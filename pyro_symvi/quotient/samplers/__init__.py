"""Samplers: from noise to data along horizontal paths, and what they say about densities.

All are frozen values with ``sample(diffusion, denoiser, shape, ...)``; the public ones carry the curvature of orbits
with the sign that keeps the law of the data. ``horizontal=False`` is the plain sampler of the total space.

>>> from pyro_symvi.quotient import Diffusion
>>> def denoiser(x, t, context=None):  # data N(0, 1/4), so that E[x_1 | x_t] is linear
...     return (t / (t**2 + 4 * (1 - t) ** 2))[..., None, None] * x
>>> SDESampler(steps=20).sample(Diffusion(), denoiser, (100, 5, 3)).shape
torch.Size([100, 5, 3])
"""

from ._aligned import AlignedSampler as AlignedSampler
from ._langevin import LangevinCorrector as LangevinCorrector
from ._likelihood import log_likelihood as log_likelihood
from ._ode import ODESampler as ODESampler
from ._sampler import Sampler as Sampler
from ._sde import SDESampler as SDESampler

__all__ = ["AlignedSampler", "LangevinCorrector", "ODESampler", "SDESampler", "Sampler", "log_likelihood"]
