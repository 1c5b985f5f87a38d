"""S(z) = sum_i w_i exp(t (B z)_i): what every criterion is made of, with its derivatives, as sparse matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...groups import NetworkRescaling

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class ExponentialSum:
    """A sum over the entries of a parameter vector, entries between the same two units taken together.

    ``matrices[k][a, b]`` is the sum of w over entries of degree k that leave unit a and enter unit b; the last row and
    column stand for whatever has no free scale. B z = k z_a - z_b.

    Attributes:
        units: H.
        sign: t, +1 or -1.
        matrices: degree to a sparse matrix ``[H + 1, H + 1]``.
    """

    units: int
    sign: float
    matrices: dict[float, sparse.csr_matrix]

    @staticmethod
    def of(action: NetworkRescaling, weights: Vector, sign: float) -> ExponentialSum:
        """From weights w ``[dim]`` of the entries."""
        H = action.units
        tails, heads = (np.where(i.numpy() < 0, H, i.numpy()) for i in (action.leaves, action.enters))
        degrees = np.ones(len(weights)) if action.degrees is None else action.degrees.numpy()
        matrices = {}
        for degree in np.unique(degrees):
            chosen = (degrees == degree) & (weights != 0)
            entries = (weights[chosen], (tails[chosen], heads[chosen]))
            matrices[float(degree)] = sparse.coo_matrix(entries, shape=(H + 1, H + 1)).tocsr()
        return ExponentialSum(H, sign, matrices)

    def terms(self, z: Vector) -> dict[float, sparse.csr_matrix]:
        """The terms at z, in the places of ``matrices``."""
        padded = np.append(z, 0.0)
        enter = sparse.diags(np.exp(-self.sign * padded))
        return {k: (sparse.diags(np.exp(self.sign * k * padded)) @ m @ enter).tocsr() for k, m in self.matrices.items()}

    def value(self, z: Vector) -> float:
        """S(z)."""
        return float(sum(m.sum() for m in self.terms(z).values()))

    def gradient(self, z: Vector) -> Vector:
        """dS/dz, ``[H]``."""
        result = np.zeros(self.units + 1)
        for k, m in self.terms(z).items():
            result += self.sign * (k * np.asarray(m.sum(1)).ravel() - np.asarray(m.sum(0)).ravel())
        return result[:-1]

    def hessian(self, z: Vector) -> sparse.csr_matrix:
        """The second derivative of S, sparse ``[H, H]``."""
        total = sparse.csr_matrix((self.units + 1, self.units + 1))
        for k, m in self.terms(z).items():
            total = total + sparse.diags(k**2 * np.asarray(m.sum(1)).ravel() + np.asarray(m.sum(0)).ravel())
            total = total - k * (m + m.T)
        return total.tocsr()[:-1, :-1]
