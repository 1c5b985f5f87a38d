"""What a set of matrices leaves fixed: vectors, symmetric matrices, and the isotypic parts of the space.

All of it is computed from generators: v is fixed by a group when it is fixed by each generator. Where every
generator is monomial (one entry +1 or -1 a row and column: flips, permutations) the answer comes from orbits of
signed indices and is exact; otherwise from eigenvectors in float64.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

#: Eigenvalues below this (relative to one) count as zero.
RANK_TOLERANCE = 1e-10


def fixed_vectors(matrices: Tensor) -> Tensor:
    """Orthonormal basis ``[d, k]`` of {v : A v = v for all A}, for matrices ``[g, d, d]``.

    Orthogonal matrices: the null space of I - sym(mean A), since <v, A v> <= |v|^2 with equality iff A v = v.
    Others: one null space after the other.
    """
    d = matrices.shape[-1]
    identity = torch.eye(d, dtype=matrices.dtype, device=matrices.device)
    if len(matrices) == 0 or d == 0:
        return identity
    monomial = _as_signed_permutations(matrices)
    if monomial is not None:
        return _signed_orbit_basis(*monomial).to(matrices)
    if are_orthogonal(matrices):
        mean = matrices.mean(0)
        values, vectors = torch.linalg.eigh(identity - (mean + mean.mT) / 2)
        return vectors[:, values < RANK_TOLERANCE]
    basis = identity
    for matrix in matrices:
        residual = matrix @ basis - basis
        _, values, right = torch.linalg.svd(residual, full_matrices=True)
        rank = int((values > RANK_TOLERANCE * max(1.0, float(matrix.abs().max()))).sum())
        basis = torch.linalg.qr(basis @ right[rank:].mT).Q
        if basis.shape[1] == 0:
            break
    return basis


def fixed_symmetric(matrices: Tensor) -> Tensor:
    """Basis ``[k, d, d]``, orthonormal in the Frobenius product, of {S = S^T : A S A^T = S for all A}.

    Signs are chosen for a non-negative trace: where one shape is all that is left, it is positive definite.
    """
    d = matrices.shape[-1]
    i, j = torch.triu_indices(d, d, device=matrices.device)
    if len(matrices) == 0:
        coefficients = torch.eye(len(i), dtype=matrices.dtype, device=matrices.device)
    else:
        monomial = _as_signed_permutations(matrices)
        if monomial is not None:
            coefficients = _signed_orbit_basis(*_on_pairs(*monomial, i, j)).to(matrices)
        else:
            coefficients = fixed_vectors(symmetric_square(matrices))
    basis = torch.zeros(coefficients.shape[1], d, d, dtype=matrices.dtype, device=matrices.device)
    scale = 1 - (1 - 0.5**0.5) * (i != j).to(matrices)
    basis[:, i, j] = (coefficients * scale[:, None]).mT
    basis[:, j, i] = (coefficients * scale[:, None]).mT
    trace = basis.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.where(trace < -RANK_TOLERANCE, -1.0, 1.0).to(basis)[:, None, None] * basis


def symmetric_square(matrices: Tensor) -> Tensor:
    """S -> A S A^T in the orthonormal basis (E_ij + E_ji)/sqrt 2, E_ii of Sym(d): ``[g, m, m]``, m = d(d+1)/2."""
    d = matrices.shape[-1]
    i, j = torch.triu_indices(d, d, device=matrices.device)
    scale = 1 - (1 - 0.5**0.5) * (i == j).to(matrices)
    ii, jj = matrices[:, i][:, :, i], matrices[:, j][:, :, j]
    ij, ji = matrices[:, i][:, :, j], matrices[:, j][:, :, i]
    return (ii * jj + ij * ji) * scale[:, None] * scale


def isotypic_projections(matrices: Tensor) -> Tensor:
    """Orthogonal projections ``[k, d, d]`` on the isotypic parts of the space, for *orthogonal* matrices [g, d, d].

    They sum to one; each part is the sum of all copies of one real irreducible representation. The trivial part,
    if present, comes first, then by size. A generic symmetric matrix that commutes with the group has the
    irreducible parts for eigenspaces; two of them are isomorphic iff a second one links them.
    """
    d = matrices.shape[-1]
    commutant = fixed_symmetric(matrices)
    mix = torch.Generator().manual_seed(20240229)
    weights = torch.randn(2, len(commutant), generator=mix, dtype=torch.float64).to(matrices)
    first, second = torch.tensordot(weights, commutant, dims=1)
    values, vectors = torch.linalg.eigh(first)
    spread = max(float(values[-1] - values[0]), 1.0)
    starts = [0, *(k for k in range(1, d) if float(values[k] - values[k - 1]) > 1e-9 * spread), d]
    blocks = [vectors[:, a:b] for a, b in itertools.pairwise(starts)]
    label = list(range(len(blocks)))
    for a in range(len(blocks)):
        for b in range(a):
            linked = float((blocks[a].mT @ second @ blocks[b]).abs().max()) > 1e-8
            if linked and label[a] != label[b]:
                label = [label[b] if value == label[a] else value for value in label]
    parts = [torch.cat([blocks[k] for k in range(len(blocks)) if label[k] == name], 1) for name in sorted(set(label))]

    def rank(part: Tensor) -> tuple[int, int]:
        moved = float((matrices @ part - part).abs().max()) if len(matrices) else 0.0
        return (0 if moved < 1e-8 else 1, part.shape[1])

    return torch.stack([part @ part.mT for part in sorted(parts, key=rank)])


def are_orthogonal(matrices: Tensor) -> bool:
    """Whether A^T A = I for every matrix, to 1e-9 (frames are inverted numerically)."""
    if len(matrices) == 0:
        return True
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    return float((matrices.mT @ matrices - identity).abs().max()) < 1e-9


def _as_signed_permutations(matrices: Tensor) -> tuple[Tensor, Tensor] | None:
    """A e_i = sign[i] e_target[i] as (target, sign), each ``[g, d]``; None if some matrix is not of this form."""
    nonzero = matrices != 0
    unit = bool((matrices.abs() == nonzero).all())
    if not (unit and bool((nonzero.sum(-1) == 1).all()) and bool((nonzero.sum(-2) == 1).all())):
        return None
    target = matrices.abs().argmax(-2)
    return target, matrices.gather(-2, target[:, None])[:, 0].sign().long()


def _on_pairs(target: Tensor, sign: Tensor, i: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
    """The signed permutation of unordered pairs {i, j}, in the order of ``triu_indices``."""
    d = target.shape[-1]
    a, b = target[:, i], target[:, j]
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    return low * d - low * (low - 1) // 2 + high - low, sign[:, i] * sign[:, j]


def _signed_orbit_basis(target: Tensor, sign: Tensor) -> Tensor:
    """Fixed vectors of signed permutations: one for each orbit of indices whose signs do not contradict each other.

    Union-find with parity; columns are normalised, in the order of their first index.
    """
    d = target.shape[-1]
    parent, parity, contradictory = list(range(d)), [1] * d, [False] * d

    def root(index: int) -> tuple[int, int]:
        value, path = 1, index
        while parent[path] != path:
            value *= parity[path]
            path = parent[path]
        parent[index], parity[index] = path, (value if path != index else 1)
        return path, value

    here = torch.arange(d, device=target.device)
    moves = ((target != here) | (sign < 0)).nonzero().tolist()
    images, signs = target.tolist(), sign.tolist()
    for generator, index in moves:
        (a, value_a), (b, value_b) = root(index), root(images[generator][index])
        relation = value_a * value_b * signs[generator][index]
        if a == b:
            contradictory[a] = contradictory[a] or relation < 0
        else:
            low, high = min(a, b), max(a, b)
            parent[high], parity[high] = low, relation
            contradictory[low] = contradictory[low] or contradictory[high]
    found = [root(index) for index in range(d)]
    names = [r for r in range(d) if found[r][0] == r and not contradictory[r]]
    column = {r: k for k, r in enumerate(names)}
    basis = torch.zeros(d, len(names), dtype=torch.float64)
    for index, (r, value) in enumerate(found):
        if r in column:
            basis[index, column[r]] = value
    return basis / basis.norm(dim=0, keepdim=True) if names else basis
