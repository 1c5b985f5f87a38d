"""Conjugation: orthogonal matrices on symmetric ones, unitary matrices on Hermitian ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._action import Action
from ._orthogonal import Orthogonal
from ._special_orthogonal import SpecialOrthogonal
from ._unitary import Unitary


@dataclass(frozen=True, eq=False, repr=False)
class Conjugation(Action):
    """X -> g X g^T on symmetric matrices ``[..., n, n]`` with the Frobenius metric, for SO(n) or O(n).

    Closed forms, with X = Q diag(l) Q^T: the horizontal part keeps the diagonal of Q^T v Q (and blocks of equal
    eigenvalues); log volume sum_{i<j} log |l_i - l_j|; H = -Q diag(sum_{j != i} 1/(l_i - l_j)) Q^T, the drift of
    Dyson's Brownian motion. Equal eigenvalues (up to rounding) are left out of the sums.
    """

    n: int
    improper: bool = False

    def __post_init__(self) -> None:
        self.group  # noqa: B018  (checks n)

    @property
    def group(self) -> Orthogonal | SpecialOrthogonal:
        return Orthogonal(self.n) if self.improper else SpecialOrthogonal(self.n)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.n, self.n)

    def _point(self, x: Tensor, name: str) -> Tensor:
        x = super()._point(x, name)
        asymmetry = (x.detach() - x.detach().mT).abs()
        if bool(
            (asymmetry > 1e3 * torch.finfo(x.dtype).eps * (1 + x.detach().abs().amax((-2, -1), keepdim=True))).any()
        ):
            raise ValueError(
                f"expected {name} to be symmetric, got asymmetry {float(asymmetry.max()):.3g}, because the action is "
                f"on symmetric matrices; try ({name} + {name}.mT) / 2"
            )
        return x

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        moved = g @ x @ g.mT
        return (moved + moved.mT) / 2

    def _spectrum(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Eigenvalues, eigenvectors, differences l_i - l_j and which of them are not zero."""
        values, vectors = torch.linalg.eigh(x)
        differences = values[..., :, None] - values[..., None, :]
        scale = values.abs().amax(-1)[..., None, None]
        return values, vectors, differences, differences.abs() > 100 * torch.finfo(x.dtype).eps * scale

    def _project(self, x: Tensor, v: Tensor) -> Tensor:
        _, vectors, _, moving = self._spectrum(x)
        inside = vectors.mT @ v @ vectors
        return vectors @ torch.where(moving, 0.0, inside) @ vectors.mT

    def _log_orbit_volume(self, x: Tensor) -> Tensor:
        values = torch.linalg.eigvalsh(x)
        i, j = torch.triu_indices(self.n, self.n, offset=1, device=x.device)
        gaps = (values[..., j] - values[..., i]).abs()
        kept = gaps > 100 * torch.finfo(x.dtype).eps * values.abs().amax(-1, keepdim=True)
        return torch.where(kept, torch.where(kept, gaps, 1.0).log(), 0.0).sum(-1)

    def _mean_curvature(self, x: Tensor) -> Tensor:
        _, vectors, differences, moving = self._spectrum(x)
        rates = torch.where(moving, 1 / torch.where(moving, differences, 1.0), 0.0).sum(-1)
        return -(vectors * rates[..., None, :]) @ vectors.mT

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The diagonal matrix of eigenvalues in increasing order."""
        values, vectors = torch.linalg.eigh(x)
        if not self.improper:
            sign = torch.linalg.det(vectors).sign()[..., None, None]
            vectors = torch.cat([vectors[..., :-1], vectors[..., -1:] * sign], -1)
        return torch.diag_embed(values), vectors.mT.contiguous()

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        """Eigenvectors to eigenvectors in order: the closest conjugate (Hoffman-Wielandt)."""
        (_, g), (_, h) = self._canonicalize(x), self._canonicalize(y)
        return h.mT @ g


def _complex(x: Tensor) -> Tensor:
    return torch.complex(x[..., 0], x[..., 1])


@dataclass(frozen=True, eq=False, repr=False)
class HermitianConjugation(Action):
    """X -> g X g^* of U(n) on Hermitian matrices, written as real ``[..., n, n, 2]`` (``torch.view_as_real``).

    Twice the symmetric case: log volume 2 sum_{i<j} log |l_i - l_j|, H = -Q diag(sum_{j != i} 2/(l_i - l_j)) Q^*,
    Dyson's Brownian motion with factor 1; the horizontal part keeps the diagonal of Q^* v Q.
    """

    n: int

    def __post_init__(self) -> None:
        self.group  # noqa: B018  (checks n)

    @property
    def group(self) -> Unitary:
        return Unitary(self.n)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.n, self.n, 2)

    def _point(self, x: Tensor, name: str) -> Tensor:
        x = super()._point(x, name)
        z = _complex(x.detach())
        if bool(((z - z.mH).abs() > 1e3 * torch.finfo(x.dtype).eps * (1 + z.abs().amax((-2, -1), keepdim=True))).any()):
            raise ValueError(
                f"expected {name} to be Hermitian, got another matrix; try (X + X.mH) / 2, then view_as_real"
            )
        return x

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        moved = g @ _complex(x) @ g.mH
        return torch.view_as_real(((moved + moved.mH) / 2).resolve_conj())

    def _spectrum(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(_complex(x))
        differences = values[..., :, None] - values[..., None, :]
        scale = values.abs().amax(-1)[..., None, None]
        return values, vectors, differences, differences.abs() > 100 * torch.finfo(x.dtype).eps * scale

    def _project(self, x: Tensor, v: Tensor) -> Tensor:
        _, vectors, _, moving = self._spectrum(x)
        inside = vectors.mH @ _complex(v) @ vectors
        return torch.view_as_real(vectors @ torch.where(moving, torch.zeros_like(inside), inside) @ vectors.mH)

    def _log_orbit_volume(self, x: Tensor) -> Tensor:
        values = torch.linalg.eigvalsh(_complex(x))
        i, j = torch.triu_indices(self.n, self.n, offset=1, device=x.device)
        gaps = values[..., j] - values[..., i]
        kept = gaps > 100 * torch.finfo(x.dtype).eps * values.abs().amax(-1, keepdim=True)
        return 2 * torch.where(kept, torch.where(kept, gaps, 1.0).log(), 0.0).sum(-1)

    def _mean_curvature(self, x: Tensor) -> Tensor:
        _, vectors, differences, moving = self._spectrum(x)
        rates = torch.where(moving, 2 / torch.where(moving, differences, 1.0), 0.0).sum(-1)
        return torch.view_as_real(-(vectors * rates[..., None, :]) @ vectors.mH)

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The diagonal matrix of eigenvalues in increasing order."""
        values, vectors = torch.linalg.eigh(_complex(x))
        diagonal = torch.diag_embed(values)
        return torch.stack([diagonal, torch.zeros_like(diagonal)], -1), vectors.mH.resolve_conj()

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        """Eigenvectors to eigenvectors in order, as in :class:`Conjugation`."""
        (_, g), (_, h) = self._canonicalize(x), self._canonicalize(y)
        return h.mH @ g
