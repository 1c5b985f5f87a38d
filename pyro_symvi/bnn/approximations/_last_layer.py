"""The posterior of the last layer given the others: exact for normal noise, else normal at the mode."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from ..._value import positive_int
from .._likelihoods import LOG_SCALE_LIMIT, GaussianNoise, LearnedGaussianNoise
from .._posterior import NetworkPosterior
from ._approximation import Approximation, Fitted, Progress, Rows, positive
from ._deep_ensemble import DeepEnsemble
from ._head import Head
from ._information import output_information

_TRAINING = DeepEnsemble(members=1)
_DECREMENT = 1e-10
"""Newton's method ends when the predicted gain in log density is below this."""


class FittedLastLayer(Fitted):
    """Normal in the weights of the last layer; all others, and the likelihood's parameters, stay at ``theta``.

    Attributes:
        theta: ``[dim]``, the network with the last layer at its mode.
        places: where the last layer's weights lie in it, ``[outputs, r]``; the bias comes last.
        loc: their mode (mean for normal noise), ``[outputs * r]``.
        precision: ``[outputs * r, outputs * r]``, float64.
        log_evidence: of the last layer, given the other weights and the noise: exact for normal noise (log N(y; 0,
            s^2 I + Phi T Phi^T) with T the prior variances), Laplace's otherwise. Weights with a flat prior count as
            if their density were one.
        info: ``noise`` (scale, where there is one), ``newton_steps``, ``converged``, ``log_evidence``, ``training``
            (the info of the trained network), ``seconds``.
    """

    source = "last-layer Laplace"

    def __init__(
        self, posterior: NetworkPosterior, theta: Tensor, places: Tensor, precision: Tensor, info: Mapping[str, Any]
    ) -> None:
        super().__init__(posterior, info)
        self.theta, self.places, self.precision = theta, places, precision
        self.loc = theta.double()[places.reshape(-1)]
        self.log_evidence = float(info["log_evidence"])

    @property
    def covariance(self) -> Tensor:
        """Inverse of the precision."""
        return torch.cholesky_inverse(torch.linalg.cholesky(self.precision))

    def _log_prob(self, theta: Tensor) -> Tensor:
        """Log density of the last layer's weights; -infinity where others are not those of this law."""
        law = torch.distributions.MultivariateNormal(self.loc, precision_matrix=self.precision, validate_args=False)
        index = self.places.reshape(-1)
        others = torch.ones(len(self.theta), dtype=torch.bool, device=theta.device)
        others[index] = False
        on_it = (theta[..., others] == self.theta[others]).all(-1)
        value = law.log_prob(theta[..., index].double()).to(theta)
        return torch.where(on_it, value, -math.inf)

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        root = torch.linalg.cholesky(self.precision)
        z = torch.randn(n, len(self.loc), generator=generator, dtype=torch.float64).to(root.device)
        moved = self.loc + torch.linalg.solve_triangular(root.mT, z.mT, upper=True).mT
        theta = self.theta.repeat(n, 1)
        theta[:, self.places.reshape(-1)] = moved.to(theta)
        return theta


@dataclass(frozen=True, eq=False, repr=False)
class LastLayerLaplace(Approximation):
    r"""A trained network, and the normal posterior of its last layer given the rest (Kristiadi et al. 2020).

    For normal noise of scale s and features Phi (a column of ones for the bias) the posterior of each output's weights
    is exact, with precision :math:`\Phi^T\Phi/s^2+T^{-1}`, T the prior variances, and so is its evidence. Other
    likelihoods: mode by Newton's method, precision by the generalised Gauss-Newton matrix there.

    Args:
        noise: scale s for ``LearnedGaussianNoise``; None keeps the trained network's.
        evidence: take the scale with the largest evidence times prior instead. The features were trained on the same
            targets, so that this scale is too small where the network is large for the data (half that of the test
            residuals on 215 rows of the yacht data): for given features only.
        training: trains the network; ``members`` of it are trained and the first that is kept is taken.
        start: a trained network ``[dim]``; nothing is then trained.
        max_steps: Newton steps at most.

    Raises:
        TypeError: unless ``training`` is a ``DeepEnsemble``.
        ValueError: for a noise scale together with ``evidence=True``.
    """

    noise: float | None = None
    evidence: bool = False
    training: DeepEnsemble = _TRAINING
    start: Tensor | None = None
    max_steps: int = 100

    def __post_init__(self) -> None:
        if self.noise is not None:
            positive(self.noise, "noise", "a standard deviation")
            if self.evidence:
                raise ValueError("expected a noise scale or evidence=True, got both; try one of them")
        if not isinstance(self.training, DeepEnsemble):
            raise TypeError(f"expected training as a DeepEnsemble, got {self.training!r}")
        positive_int(self.max_steps, "max_steps")

    def _fit(
        self, posterior: NetworkPosterior, validation: Rows | None, seed: int, progress: Progress
    ) -> FittedLastLayer:
        began = time.perf_counter()
        learned = isinstance(posterior.likelihood, LearnedGaussianNoise)
        if (self.noise is not None or self.evidence) and not learned:
            raise ValueError(
                f"expected noise=None and evidence=False, got {self.noise} and {self.evidence}, because "
                f"{posterior.likelihood!r} has no noise scale to be set"
            )
        head = Head.of(posterior)
        kinds = {posterior.parameter_prior.kinds[i] for i in head.places.reshape(-1).tolist()}
        if not kinds <= {"normal", "flat"}:
            raise ValueError(
                f"expected a normal prior of the last layer, got {' and '.join(sorted(kinds))}, because the posterior "
                f"is not normal otherwise; try NetworkPrior(prior, {{'{head.name}.*': NormalPrior(1.0)}})"
            )
        theta, training = self._trained(posterior, validation, seed, progress)
        problem = _LastLayer(posterior, head, theta)
        extra = posterior.extra(theta).double()
        if self.evidence:
            extra = extra.new_tensor([problem.best_log_noise()])
        elif self.noise is not None:
            extra = extra.new_tensor([math.log(self.noise)])
        weights, precision, steps, converged = problem.climb(extra, self.max_steps)
        theta = theta.clone()
        theta[head.places] = weights.to(theta)
        theta[posterior.layout.network_dim :] = extra.to(theta)
        info = {
            "seed": seed,
            "log_evidence": problem.log_evidence(weights, precision, extra),
            "noise": _noise(posterior, extra),
            "newton_steps": steps,
            "converged": converged,
            "training": training,
            "seconds": time.perf_counter() - began,
        }
        return FittedLastLayer(posterior, theta, head.places, precision, info)

    def _trained(
        self, posterior: NetworkPosterior, validation: Rows | None, seed: int, progress: Progress
    ) -> tuple[Tensor, Mapping[str, Any]]:
        if self.start is not None:
            theta = posterior.layout.check(self.start)
            if theta.ndim != 1 or not bool(torch.isfinite(theta).all()):
                raise ValueError(f"expected start as one finite network [{posterior.dim}], got {list(theta.shape)}")
            return theta.detach().to(posterior.x), {}
        fitted = self.training.fit(posterior, validation=validation, seed=seed, progress=progress)
        return fitted.members[0], fitted.info


def _noise(posterior: NetworkPosterior, extra: Tensor) -> float | None:
    match posterior.likelihood:
        case LearnedGaussianNoise():
            return float(extra[0].exp())
        case GaussianNoise():
            return posterior.likelihood.scale
    return None


class _LastLayer:
    """The log posterior of the last layer's weights ``[outputs, r]`` with all else fixed, in float64."""

    def __init__(self, posterior: NetworkPosterior, head: Head, theta: Tensor) -> None:
        self.likelihood, self.posterior = posterior.likelihood, posterior
        self.y = posterior.y.double() if posterior.y.is_floating_point() else posterior.y
        self.design, self.offset = head.features(posterior, theta), head.offset
        self.first = theta.double()[head.places]
        index = head.places.cpu()
        scale = posterior.parameter_prior.scale[index].to(self.design)
        flat = torch.tensor([[posterior.parameter_prior.kinds[i] == "flat" for i in row] for row in index.tolist()])
        self.proper = ~flat.to(self.design.device)
        self.prior_precision = torch.where(self.proper, scale**-2, 0.0)

    def outputs(self, weights: Tensor) -> Tensor:
        return self.design @ weights.T + self.offset

    def log_prior(self, weights: Tensor) -> Tensor:
        constants = torch.where(self.proper, 0.5 * (self.prior_precision / (2 * math.pi)).log(), 0.0)
        return (constants - 0.5 * self.prior_precision * weights.square()).sum()

    def log_density(self, weights: Tensor, extra: Tensor) -> Tensor:
        return self.likelihood.log_prob(self.outputs(weights), self.y, extra).sum() + self.log_prior(weights)

    def precision(self, weights: Tensor, extra: Tensor) -> Tensor:
        """Sum over rows of (information of the outputs) x (features)(features)^T, plus the prior's: ``[K r, K r]``."""
        information = output_information(self.likelihood, self.outputs(weights), self.y, extra)
        k, r = self.first.shape
        found = torch.einsum("nkl,nr,ns->krls", information, self.design, self.design).reshape(k * r, k * r)
        return found + torch.diag(self.prior_precision.reshape(-1))

    def climb(self, extra: Tensor, max_steps: int) -> tuple[Tensor, Tensor, int, bool]:
        """Mode, precision there, steps taken, whether it converged: Newton's method with steps halved until uphill."""
        weights, value = self.first, self.log_density(self.first, extra)
        for taken in range(1, max_steps + 1):
            _, cotangent, _ = self.likelihood.scores(self.outputs(weights)[None], self.y, extra[None])
            gradient = (cotangent[0].T @ self.design - self.prior_precision * weights).reshape(-1)
            precision = self.precision(weights, extra)
            step = torch.cholesky_solve(gradient[:, None], _root(precision))[:, 0]
            gain, size = float(gradient @ step), 1.0
            while size > 1e-6:
                moved = weights + size * step.reshape(weights.shape)
                found = self.log_density(moved, extra)
                if float(found) >= float(value) + 0.1 * size * gain - 1e-9 * abs(float(value)):
                    weights, value = moved, found
                    break
                size /= 2
            if gain < _DECREMENT * (1 + abs(float(value))) or size <= 1e-6:
                return weights, self.precision(weights, extra), taken, gain < 1e-6 * (1 + abs(float(value)))
        return weights, self.precision(weights, extra), max_steps, False

    def log_evidence(self, weights: Tensor, precision: Tensor, extra: Tensor) -> float:
        """Log density at the mode plus (d log 2 pi - log det precision) / 2."""
        log_det = 2 * _root(precision).diagonal().log().sum()
        return float(self.log_density(weights, extra) + 0.5 * (len(precision) * math.log(2 * math.pi) - log_det))

    def best_log_noise(self) -> float:
        """The log noise scale with the largest evidence times prior: exact evidence, one dimension."""

        def loss(s: float) -> float:
            extra = self.design.new_tensor([s])
            weights, precision, _, _ = self.climb(extra, 1)  # one step reaches the mean
            return -self.log_evidence(weights, precision, extra) - float(self.likelihood.log_prior(extra))

        grid = np.linspace(-LOG_SCALE_LIMIT / 2, LOG_SCALE_LIMIT / 2, 41)
        lowest = int(np.argmin([loss(float(s)) for s in grid]))
        around = (grid[max(lowest - 1, 0)], grid[min(lowest + 1, len(grid) - 1)])
        return float(optimize.minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-6}).x)


def _root(precision: Tensor) -> Tensor:
    """Cholesky factor; features that are all zero under a flat prior leave none."""
    root, bad = torch.linalg.cholesky_ex(precision)
    if bool(bad.any()):
        raise ValueError(
            "expected data and prior that determine the last layer, got a singular precision, because features are "
            "collinear (dead units) where the prior is flat; try NormalPrior"
        )
    return root
