"""Laplace's approximation of all weights, for small networks."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor

from .._posterior import NetworkPosterior
from ._approximation import Approximation, Fitted, Progress, Rows
from ._deep_ensemble import DeepEnsemble
from ._information import output_information

_TRAINING = DeepEnsemble(members=1)
LARGEST = 2000
"""Most weights of which a full precision matrix is formed."""
_ROWS = 256
"""Rows of the Jacobian made at once."""


class FittedLaplace(Fitted):
    """N(loc, precision^-1) in the weights of the network; parameters of the likelihood stay as they are.

    Attributes:
        loc: ``[dim]``.
        precision: ``[network_dim, network_dim]``, or its diagonal ``[network_dim]``; float64.
        log_evidence: log p(y, loc) + (d log 2 pi - log det precision) / 2, Laplace's estimate.
    """

    source = "Laplace"

    def __init__(self, posterior: NetworkPosterior, loc: Tensor, precision: Tensor, info: Mapping[str, Any]) -> None:
        super().__init__(posterior, info)
        self.loc, self.precision = loc, precision
        d = len(precision)
        log_det = precision.log().sum() if precision.ndim == 1 else torch.logdet(precision)
        with torch.no_grad():
            value = posterior.log_prob(loc).double()
        self.log_evidence = float(value + 0.5 * (d * math.log(2 * math.pi) - log_det))

    @property
    def law(self) -> dist.TorchDistribution:
        """The law of the network's weights, float64, over ``[network_dim]``."""
        weights = self.loc[: len(self.precision)].double()
        if self.precision.ndim == 1:
            return dist.Normal(weights, self.precision.rsqrt(), validate_args=False).to_event(1)
        return dist.MultivariateNormal(weights, precision_matrix=self.precision, validate_args=False)

    def _log_prob(self, theta: Tensor) -> Tensor:
        """Log density of the network's weights; -infinity where the likelihood's parameters are others."""
        d = len(self.precision)
        value = self.law.log_prob(theta[..., :d].double()).to(theta)
        return torch.where((theta[..., d:] == self.loc[d:]).all(-1), value, -math.inf)

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        d = len(self.precision)
        z = torch.randn(n, d, generator=generator, dtype=torch.float64).to(self.precision.device)
        if self.precision.ndim == 1:
            moved = z * self.precision.rsqrt()
        else:
            moved = torch.linalg.solve_triangular(torch.linalg.cholesky(self.precision).mT, z.mT, upper=True).mT
        theta = self.loc.repeat(n, 1)
        theta[:, :d] += moved.to(theta)
        return theta


@dataclass(frozen=True, eq=False, repr=False)
class Laplace(Approximation):
    r"""A trained network, and a normal law of all its weights with the curvature there.

    Precision: :math:`\sum_i J_i^T\Lambda_i J_i+T^{-1}`, the generalised Gauss-Newton matrix, with J the Jacobian of the
    outputs and Lambda their Fisher information, plus the prior's. It is positive definite anywhere; where training
    stopped early it is not taken at a mode. Draws predict with the network itself, which in wide directions leaves the
    region where its linear approximation holds: predictions are known to suffer (Immer et al. 2021), and it is here to
    be compared with.

    Args:
        diagonal: keep the diagonal alone: 1 / scale^2 of the conditional laws.
        training: trains the network; the first member that is kept is taken.
        start: a trained network ``[dim]``; nothing is then trained.

    Raises:
        TypeError: unless ``training`` is a ``DeepEnsemble``.
    """

    diagonal: bool = False
    training: DeepEnsemble = _TRAINING
    start: Tensor | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.training, DeepEnsemble):
            raise TypeError(f"expected training as a DeepEnsemble, got {self.training!r}")

    def _fit(
        self, posterior: NetworkPosterior, validation: Rows | None, seed: int, progress: Progress
    ) -> FittedLaplace:
        began = time.perf_counter()
        d = posterior.layout.network_dim
        kinds = set(posterior.parameter_prior.kinds[:d])
        if kinds != {"normal"}:
            raise ValueError(
                f"expected normal priors of all weights, got {' and '.join(sorted(kinds))}, because the precision is "
                "that of the prior where data say nothing; try NormalPrior(1.0)"
            )
        if d > LARGEST and not self.diagonal:
            raise ValueError(
                f"expected at most {LARGEST} weights, got {d}, because a matrix of all pairs is formed; try "
                "Laplace(diagonal=True) or LastLayerLaplace()"
            )
        training: Mapping[str, Any] = {}
        if self.start is None:
            trained = self.training.fit(posterior, validation=validation, seed=seed, progress=progress)
            theta, training = trained.members[0], trained.info
        else:
            theta = posterior.layout.check(self.start).detach().to(posterior.x)
            if theta.ndim != 1 or not bool(torch.isfinite(theta).all()):
                raise ValueError(f"expected start as one finite network [{posterior.dim}], got {list(theta.shape)}")
        precision = _precision(posterior, theta, self.diagonal)
        info = {"seed": seed, "training": training, "seconds": time.perf_counter() - began}
        return FittedLaplace(posterior, theta, precision, info)


def _precision(posterior: NetworkPosterior, theta: Tensor, diagonal: bool) -> Tensor:
    """The Gauss-Newton matrix plus the prior's precision, or the diagonal of it."""
    d, extra = posterior.layout.network_dim, posterior.extra(theta)
    prior = posterior.parameter_prior.scale[:d].to(theta.device).double() ** -2
    found = prior.clone() if diagonal else torch.diag(prior)
    for start in range(0, len(posterior.x), _ROWS):
        x, y = posterior.x[start : start + _ROWS], posterior.y[start : start + _ROWS]
        jacobian = _jacobian(posterior, theta, x)  # [K, n, d]
        with torch.no_grad():
            information = output_information(posterior.likelihood, posterior.outputs(theta, x), y, extra).double()
        weighted = torch.einsum("nkl,lnd->knd", information, jacobian)
        if diagonal:
            found += (weighted * jacobian).sum((0, 1))
        else:
            found += weighted.flatten(0, 1).T @ jacobian.flatten(0, 1)
    return found if diagonal else 0.5 * (found + found.T)


def _jacobian(posterior: NetworkPosterior, theta: Tensor, x: Tensor) -> Tensor:
    """Derivatives of the outputs on each row in the network's weights, ``[K, n, network_dim]``, float64.

    One copy of theta a row, so that one backward pass an output gives the gradients of all rows.
    """
    copies = theta.repeat(len(x), 1).requires_grad_()
    with torch.enable_grad():
        outputs = torch.cat([posterior.outputs(copies[i : i + 1], x[i : i + 1])[0] for i in range(len(x))])
        rows = [torch.autograd.grad(o.sum(), copies, retain_graph=True)[0] for o in outputs.T]
    return torch.stack(rows)[..., : posterior.layout.network_dim].double()
