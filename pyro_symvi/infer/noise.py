r"""Base samples :math:`\xi_1,\dots,\xi_N` closed under a symmetry.

Why: with samples closed under negation of the coordinates J, and a target that is even in J about c, the gradient of
the finite-sample objective in :math:`\nu_J` is zero at :math:`\nu_J = c`, for any number of samples and any scale that
commutes with the reflection. The optimiser then finds the exact centre, not one of a random objective.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.stats import qmc

from ..distributions import Normal
from ..families import LocationScale


def orbit_closed_noise(
    family: LocationScale,
    num_particles: int,
    *,
    reflect: tuple[int, ...],
    generator: torch.Generator,
) -> torch.Tensor:
    r"""Base samples ``[N, d]``, ``N >= num_particles``, closed under :math:`\xi_J \mapsto -\xi_J`, ``J = reflect``.

    Scrambled Sobol points mapped by the base's quantile function make the replicates; each comes twice, with opposite
    signs in the other coordinates. For a spherical base each is spread over the cross-polytope through it:
    :math:`\pm r Q e_1, \dots, \pm r Q e_s` in the ``s`` coordinates of J, with Q a random orthogonal matrix and
    :math:`r = \lVert\xi_J\rVert`. That set has :math:`\sum \xi\xi^T \propto I` exactly, so for an elliptical target the
    scatter :math:`S \propto M` is an exact stationary point as well, and it spans the J-space, which a full scale needs
    to be bounded. For a product base each is joined by its reflection only. Normal samples are scaled to have unit
    second moments.

    Args:
        family: Gives the base law.
        num_particles: At least this many samples; raised so that a full scale has d spanning pairs.
        reflect: The coordinates J; empty means all (plain antithetic samples).
        generator: Random state.
    """
    dim = family.dim
    block = torch.tensor(reflect if reflect else range(dim))
    size = len(block)
    whole = size == dim
    copies = (2 * size if family.spherical else 2) * (1 if whole else 2)
    needed = max(num_particles, 2 * dim + 2 if family.pattern.mixes else 4)
    replicates = math.ceil(needed / copies)
    if not family.spherical and family.pattern.mixes:
        replicates = max(replicates, dim + 1)
    seed = int(torch.randint(2**31 - 1, (), generator=generator))
    sobol = qmc.Sobol(family.law.uniforms_needed(dim), scramble=True, seed=np.random.default_rng(seed))
    uniforms = sobol.random(1 << max(1, math.ceil(math.log2(replicates))))[:replicates]
    base = torch.from_numpy(family.law.noise(np.clip(uniforms, 1e-12, 1 - 1e-12)))
    if isinstance(family.law, Normal):
        base = _unit_second_moments(base, block)
    base = base if whole else torch.cat([base, _negated(base, block, inside=False)])
    if not family.spherical:
        return torch.cat([base, _negated(base, block, inside=True)])
    part = base[:, block]
    columns = torch.randn(len(base), size, size, dtype=torch.float64, generator=generator)
    columns[:, :, 0] = part
    frames, _ = torch.linalg.qr(columns)
    vertices = part.norm(dim=-1)[:, None, None] * frames.mT
    out = base[:, None, None, :].expand(len(base), 2, size, dim).clone()
    out[:, 0, :, block] = vertices
    out[:, 1, :, block] = -vertices
    return out.reshape(-1, dim)


def _unit_second_moments(noise: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
    """Scaled so that coordinates outside the block, and the block's squared norm, have their exact second moments.

    With it a Gaussian target's covariance, like its mean, carries no sampling error.
    """
    scale = noise.square().mean(0).rsqrt()
    scale[block] = (len(block) / noise[:, block].square().sum(-1).mean()).sqrt()
    return noise * scale


def _negated(noise: torch.Tensor, block: torch.Tensor, *, inside: bool) -> torch.Tensor:
    """The noise with the coordinates of the block (or all others) negated."""
    signs = torch.full((noise.shape[-1],), 1.0 if inside else -1.0, dtype=noise.dtype)
    signs[block] *= -1
    return noise * signs
