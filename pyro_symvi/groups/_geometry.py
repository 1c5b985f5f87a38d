"""Geometry of one orbit from its tangent basis V(x): Gram matrix, horizontal projection, volume.

V is ``[*batch, n, d]``, its columns the velocities of x under a basis of the Lie algebra. All of it works on orbits
of less than full dimension (pseudo-inverse and pseudo-determinant) as long as the rank is locally constant.
Source: Riemannian submersions, e.g. O'Neill (1966); H = -grad log vol is the trace of the second fundamental form.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _spectrum(basis: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Eigenvalues, eigenvectors of V^T V in float64 and which of them are not zero."""
    wide = basis.double()
    gram = wide.mT @ wide
    values, vectors = torch.linalg.eigh(gram.detach())
    floor = values[..., -1:] * max(gram.shape[-1], 1) * 1e2 * torch.finfo(basis.dtype).eps
    return values, vectors, values > floor


def project_horizontal(basis: Tensor, v: Tensor) -> Tensor:
    """The part of v normal to the orbit, v - V (V^T V)^+ V^T v. Shapes ``[*batch, n, d]``, ``[*batch, n]``."""
    if basis.shape[-1] == 0:
        return v.clone()
    values, vectors, kept = _spectrum(basis)
    frame = basis.double() @ vectors
    coefficients = (frame.mT @ v.double()[..., None])[..., 0]
    coefficients = torch.where(kept, coefficients / torch.where(kept, values, 1.0), 0.0)
    return v - (frame @ coefficients[..., None])[..., 0].to(v.dtype)


def log_volume(basis: Tensor) -> Tensor:
    """Half the log pseudo-determinant of V^T V, ``[*batch]``: log volume of the orbit up to a constant.

    Differentiable where the rank is locally constant, repeated eigenvalues included: with W the eigenvectors of
    nonzero eigenvalue (held fixed), log det(W^T G W) has the value and the gradient of the log pseudo-determinant.
    """
    if basis.shape[-1] == 0:
        return basis.new_zeros(basis.shape[:-2])
    _, vectors, kept = _spectrum(basis)
    frame = basis.double() @ vectors
    gram = frame.mT @ frame
    pairs = kept[..., :, None] & kept[..., None, :]
    gram = torch.where(pairs, gram, torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device))
    return (0.5 * torch.linalg.slogdet(gram).logabsdet).to(basis.dtype)
