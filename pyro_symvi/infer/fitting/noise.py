r"""Base samples :math:`\xi_1,\dots,\xi_N` closed under a symmetry.

Why: with samples closed under negation of the coordinates J, and a target that is even in J about c, the gradient of
the finite-sample objective in :math:`\nu_J` is zero at :math:`\nu_J = c`, for any number of samples and any scale that
commutes with the reflection. The optimiser then finds the exact centre, not one of a random objective. The same holds
for every finite group of orthogonal matrices that leaves the base law as it is, if the scale's pattern is carried to
itself (`_closure_checks`): the objective is then unchanged by the group, and so is its minimum, if it has but one.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from scipy.stats import qmc

from ...distributions import Normal
from ...families import LocationScale


def orbit_closed_noise(
    family: LocationScale,
    num_particles: int,
    *,
    reflect: tuple[int, ...],
    generator: torch.Generator,
    matrices: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Base samples ``[N, d]``, ``N >= num_particles``, closed under :math:`\xi_J \mapsto -\xi_J`, ``J = reflect``.

    Scrambled Sobol points mapped by the base's quantile function make the replicates; each comes twice, with opposite
    signs in the other coordinates. For a spherical base each is spread over the cross-polytope through it:
    :math:`\pm r Q e_1, \dots, \pm r Q e_s` in the ``s`` coordinates of J, with Q a random orthogonal matrix and
    :math:`r = \lVert\xi_J\rVert`. That set has :math:`\sum \xi\xi^T \propto I` exactly, so for an elliptical target the
    scatter :math:`S \propto M` is an exact stationary point as well, and it spans the J-space, which a full scale needs
    to be bounded. For a product base, or where fewer samples are asked for than that takes, each is joined by its
    reflection only. With ``matrices`` each replicate is joined by all its images under the finite group (and their
    negatives in J). Normal samples are scaled to have unit second moments, as far as the group allows.

    Args:
        family: Gives the base law.
        num_particles: At least this many samples; raised so that a full scale has d spanning pairs.
        reflect: The coordinates J; empty means all (plain antithetic samples).
        generator: Random state.
        matrices: Orthogonal matrices of a finite group ``[order, d, d]``; the reflection of J commutes with them, or
            J is empty, and then no reflection is added to the group's own.

    Warns:
        UserWarning: ``num_particles`` was raised: with fewer than d pairs that span, the objective of a scale that
            mixes coordinates has no minimum.
    """
    return labelled_noise(family, num_particles, reflect=reflect, generator=generator, matrices=matrices)[0]


def labelled_noise(
    family: LocationScale,
    num_particles: int,
    *,
    reflect: tuple[int, ...],
    generator: torch.Generator,
    matrices: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`orbit_closed_noise`, and for each sample the number of the independent draw it comes from, ``[N]``."""
    dim = family.dim
    needed = max(num_particles, 2 * dim if family.pattern.mixes else 2)
    if needed > num_particles:
        warnings.warn(
            f"num_particles raised from {num_particles} to at least {needed}: with fewer than {needed // 2} pairs of "
            f"base samples a {family.pattern.name} scale in {dim} dimensions grows without end",
            UserWarning,
            stacklevel=4,
        )
    block = torch.tensor(reflect if reflect else range(dim))
    if matrices is not None:
        return _whole_orbits(family, needed, block if reflect else None, matrices, generator)
    size = len(block)
    whole = size == dim
    polytope = family.spherical and (family.pattern.mixes or needed >= 2 * size * (1 if whole else 2))
    copies = (2 * size if polytope else 2) * (1 if whole else 2)
    replicates = math.ceil(needed / copies)
    if family.pattern.mixes:  # each replicate adds one direction outside the block, and one inside unless spread
        replicates = max(replicates, dim - size, 1 if polytope else size)
    base = _replicates(family, replicates, generator)
    if isinstance(family.law, Normal):
        base = _unit_second_moments(base, block)
    labels = torch.arange(replicates)
    base = base if whole else torch.cat([base, _negated(base, block, inside=False)])
    labels = labels if whole else labels.repeat(2)
    if not polytope:
        return torch.cat([base, _negated(base, block, inside=True)]), labels.repeat(2)
    part = base[:, block]
    columns = torch.randn(len(base), size, size, dtype=torch.float64, generator=generator)
    columns[:, :, 0] = part
    frames, _ = torch.linalg.qr(columns)
    vertices = part.norm(dim=-1)[:, None, None] * frames.mT
    out = base[:, None, None, :].expand(len(base), 2, size, dim).clone()
    out[:, 0, :, block] = vertices
    out[:, 1, :, block] = -vertices
    return out.reshape(-1, dim), labels.repeat_interleave(2 * size)


def _replicates(family: LocationScale, count: int, generator: torch.Generator) -> torch.Tensor:
    """Scrambled Sobol points under the base law, ``[count, d]``; i.i.d. ones in more dimensions than Sobol has."""
    columns = family.law.uniforms_needed(family.dim)
    if columns > qmc.Sobol.MAXDIM:
        uniforms = torch.rand(count, columns, dtype=torch.float64, generator=generator).numpy()
    else:
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        sobol = qmc.Sobol(columns, scramble=True, seed=np.random.default_rng(seed))
        uniforms = sobol.random(1 << max(1, math.ceil(math.log2(count))))[:count]
    return torch.from_numpy(family.law.noise(np.clip(uniforms, 1e-12, 1 - 1e-12)))


def _whole_orbits(
    family: LocationScale, needed: int, block: torch.Tensor | None, matrices: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Replicates, their reflections in the block unless the group has that, and the images of all these."""
    dim = family.dim
    signs = torch.ones(dim, dtype=torch.float64)
    if block is not None:
        signs[block] = -1
    inside = block is None or any(bool(torch.equal(a, torch.diag(signs))) for a in matrices)
    copies = len(matrices) * (1 if inside else 2)
    replicates = math.ceil(needed / copies)
    state = generator.get_state()
    while True:
        generator.set_state(state)
        base = _replicates(family, replicates, generator)
        base = base if inside else torch.cat([base, base * signs])
        out = torch.einsum("gij,nj->gni", matrices, base).reshape(-1, dim)
        if not family.pattern.mixes or replicates >= dim or int(torch.linalg.matrix_rank(out)) == dim:
            break
        replicates += 1
    labels = torch.arange(replicates).repeat(copies)
    if not isinstance(family.law, Normal):
        return out, labels
    moments = out.square().mean(0)
    monomial = bool(((matrices != 0).sum(-1) == 1).all())
    if not monomial:
        return out * moments.mean().rsqrt(), labels
    orbits = (matrices != 0).any(0).double()  # row i: the coordinates that the group takes to i
    return out * ((orbits @ moments) / orbits.sum(-1)).rsqrt(), labels


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
