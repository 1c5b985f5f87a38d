"""Pairs of laws between which divergences have a closed form."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Pair(Protocol):
    """Two laws P (the target) and Q (the guide), known by their power integrals; shapes ``batch``, differentiable.

    To implement one: give the three methods; ``Divergence.exact`` and ``renyi_divergence`` do the rest.
    """

    def log_power_integral(self, alpha: float) -> Tensor:
        """``log int p^alpha q^(1 - alpha)``; ``+inf`` where the integral diverges."""
        ...

    def forward_kl(self) -> Tensor:
        """KL(P || Q)."""
        ...

    def reverse_kl(self) -> Tensor:
        """KL(Q || P)."""
        ...


def renyi_divergence(pair: Pair, order: float) -> Tensor:
    """``R_order(P || Q) = log(int p^order q^(1 - order)) / (order - 1)``; KL(P || Q) at order 1.

    Args:
        pair: two laws.
        order: positive.

    Raises:
        ValueError: the order is not positive: R_0 is zero for laws of one support, and for negative orders R is not
            positive and *decreases* with the divergence.

    Source: van Erven & Harremoes (2014), "Renyi divergence and Kullback-Leibler divergence".
    """
    if not 0.0 < order < float("inf"):
        raise ValueError(
            f"expected a finite Renyi order > 0, got {order!r}, because R is no divergence of P and Q at others; try "
            "Alpha(order).exact(pair), or the order 1 - order with P and Q exchanged"
        )
    return pair.forward_kl() if order == 1.0 else pair.log_power_integral(order) / (order - 1.0)


@dataclass(frozen=True, eq=False)
class ExponentialFamilyPair:
    """Two members of one exponential family ``exp(eta . T(z) - A(eta)) dm(z)``, P at ``target`` and Q at ``guide``.

    ``log int p^alpha q^(1 - alpha) = A(alpha eta_p + (1 - alpha) eta_q) - alpha A(eta_p) - (1 - alpha) A(eta_q)`` and
    ``KL(P || Q) = A(eta_q) - A(eta_p) - (eta_q - eta_p) . grad A(eta_p)``, by autograd. The differences cancel where
    the laws are close or A is large: the absolute error is some 1e-16 A.

    Source: Nielsen & Nock (2011), "On Renyi and Tsallis entropies and divergences for exponential families".

    Args:
        log_partition: A, ``[*batch, m] -> [*batch]``, one value per parameter vector (no mixing across the batch);
            ``+inf`` outside the natural parameter space.
        target, guide: natural parameters ``[*batch, m]``, inside the space.

    >>> poisson = ExponentialFamilyPair(lambda eta: eta.exp().sum(-1), torch.tensor([0.0]), torch.tensor([1.0]))
    >>> poisson.forward_kl()  # e - 1 - 1
    tensor(0.7183)

    Raises:
        TypeError: unless both parameters are floating tensors.
        ValueError: for parameters of different length.
    """

    log_partition: Callable[[Tensor], Tensor]
    target: Tensor
    guide: Tensor

    def __post_init__(self) -> None:
        for name in ("target", "guide"):
            value = getattr(self, name)
            if not isinstance(value, Tensor) or not value.is_floating_point() or value.dim() == 0:
                raise TypeError(
                    f"expected {name} as a floating tensor of natural parameters [*batch, m], got {value!r}, because "
                    "the closed forms differentiate in it; try torch.as_tensor(...)"
                )
        if self.target.shape[-1] != self.guide.shape[-1]:
            raise ValueError(
                f"expected two parameters of one family, got {self.target.shape[-1]} and {self.guide.shape[-1]} "
                "entries, because both laws need the same statistics; try the larger family for both"
            )

    def log_power_integral(self, alpha: float) -> Tensor:
        """``log int p^alpha q^(1 - alpha)``."""
        partition = self.log_partition
        mixed = partition(alpha * self.target + (1.0 - alpha) * self.guide)
        return mixed - alpha * partition(self.target) - (1.0 - alpha) * partition(self.guide)

    def forward_kl(self) -> Tensor:
        """KL(P || Q)."""
        return self._bregman(self.guide, self.target)

    def reverse_kl(self) -> Tensor:
        """KL(Q || P)."""
        return self._bregman(self.target, self.guide)

    def _bregman(self, a: Tensor, b: Tensor) -> Tensor:
        """``A(a) - A(b) - (a - b) . grad A(b)``."""
        a, b = torch.broadcast_tensors(a, b)
        learns = torch.is_grad_enabled() and b.requires_grad
        with torch.enable_grad():
            leaf = b if b.requires_grad else b.detach().requires_grad_()
            at_b = self.log_partition(leaf)
            (gradient,) = torch.autograd.grad(at_b.sum(), leaf, create_graph=learns)
        if not learns:
            at_b = at_b.detach()
        return self.log_partition(a) - at_b - ((a - b) * gradient).sum(-1)


class GaussianPair:
    """P = N(loc_p, cov_p) and Q = N(loc_q, cov_q), any positive definite covariances.

    In coordinates that make P standard, with ``m`` and ``S`` the mean and covariance of Q there and
    ``M = I + alpha (S - I)``,

        log int p^alpha q^(1 - alpha) = (alpha log|S| - log|M| - alpha (1 - alpha) m' M^-1 m) / 2,

    finite if and only if M is positive definite, which is to say that the mixture ``alpha P^-1 + (1 - alpha) Q^-1`` of
    precisions is (always for alpha in [0, 1]); ``+inf`` otherwise.

    Source: Gil, Alajaji & Linder (2013), "Renyi divergence measures for commonly used univariate continuous
    distributions", table 2.

    Args:
        loc_p, loc_q: ``[*batch, d]``.
        covariance_p, covariance_q: ``[*batch, d, d]``.

    Raises:
        ValueError: shapes do not fit, or a covariance is not positive definite.

    >>> from pyro_symvi.divergences import ChiSquare
    >>> zero, one = torch.zeros(1), torch.ones(1, 1)
    >>> ChiSquare().exact(GaussianPair(zero, one, zero, 0.5 * one))
    tensor(inf)
    """

    def __init__(self, loc_p: Tensor, covariance_p: Tensor, loc_q: Tensor, covariance_q: Tensor) -> None:
        dim = loc_p.shape[-1] if loc_p.dim() else 0
        shapes = [tuple(t.shape) for t in (loc_p, covariance_p, loc_q, covariance_q)]
        if dim == 0 or loc_q.shape[-1:] != (dim,) or any(s[-2:] != (dim, dim) for s in (shapes[1], shapes[3])):
            raise ValueError(
                f"expected shapes [*batch, d] and [*batch, d, d] of one d, got {shapes}, because both laws live in one "
                "space; try loc.unsqueeze(-1) for one dimension"
            )
        roots = []
        for name, covariance in (("covariance_p", covariance_p), ("covariance_q", covariance_q)):
            root, info = torch.linalg.cholesky_ex(covariance)
            if bool((info != 0).any()):
                raise ValueError(
                    f"expected {name} positive definite, got one that is not, because the law would have no density; "
                    "try adding a small multiple of the identity"
                )
            roots.append(root)
        relative = torch.linalg.solve_triangular(roots[0], roots[1], upper=False)
        self._root = relative
        shift = torch.broadcast_to(loc_q - loc_p, (*torch.broadcast_shapes(loc_p.shape, loc_q.shape),))
        self._mean = torch.linalg.solve_triangular(roots[0], shift.unsqueeze(-1), upper=False)
        self._covariance = relative @ relative.mT
        self._log_det = 2.0 * relative.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        self.dim = dim

    def log_power_integral(self, alpha: float) -> Tensor:
        """``log int p^alpha q^(1 - alpha)``; ``+inf`` where the mixture of precisions is not positive definite."""
        one = torch.eye(self.dim, dtype=self._covariance.dtype, device=self._covariance.device)
        mixed = one + alpha * (self._covariance - one)
        finite = torch.linalg.cholesky_ex(mixed.detach())[1] == 0
        root = torch.linalg.cholesky(torch.where(finite[..., None, None], mixed, one))
        scaled = torch.linalg.solve_triangular(root, self._mean, upper=False)
        squares = scaled.square().sum((-2, -1))
        log_det = 2.0 * root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        integral = 0.5 * (alpha * self._log_det - log_det - alpha * (1.0 - alpha) * squares)
        return torch.where(finite, integral, torch.inf)

    def forward_kl(self) -> Tensor:
        """KL(P || Q) = (tr S^-1 + m' S^-1 m - d + log|S|) / 2."""
        one = torch.eye(self.dim, dtype=self._root.dtype, device=self._root.device)
        inverse = torch.linalg.solve_triangular(self._root, one.expand_as(self._root), upper=False)
        squares = inverse.square().sum((-2, -1)) + (inverse @ self._mean).square().sum((-2, -1))
        return 0.5 * (squares - self.dim + self._log_det)

    def reverse_kl(self) -> Tensor:
        """KL(Q || P) = (tr S + m' m - d - log|S|) / 2."""
        squares = self._root.square().sum((-2, -1)) + self._mean.square().sum((-2, -1))
        return 0.5 * (squares - self.dim - self._log_det)
