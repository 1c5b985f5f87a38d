"""The two Kullback-Leibler divergences."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from pyro_symvi.divergences._log_space import log_mean_exp
from pyro_symvi.divergences.base import Divergence


@dataclass(frozen=True)
class ReverseKL(Divergence):
    """Reverse, exclusive KL(Q || P) = E_q[log q - log p], the divergence of the usual ELBO; the order alpha = 0.

    ``objective`` is ``-mean_k l_k``, an unbiased estimate of the negative ELBO ``KL(Q || P) - log Z``.
    ``value`` is ``log mean_k w_k - mean_k l_k``.

    Source: Jordan, Ghahramani, Jaakkola & Saul (1999), "An introduction to variational methods for graphical models".

    >>> from pyro_symvi.divergences import Alpha
    >>> log_weights = torch.tensor([0.0, -1.0, -2.0])
    >>> float(ReverseKL().objective(log_weights)), float(Alpha(0.0).objective(log_weights))
    (1.0, 1.0)
    """

    alpha: float = field(default=0.0, init=False, repr=False)

    formula: ClassVar[str] = "int q log(q / p)"
    direction: ClassVar[str] = "guide first, KL(Q || P)"

    def _objective(self, log_weights: Tensor) -> Tensor:
        return -log_weights.mean(0)

    def _value(self, log_weights: Tensor) -> Tensor:
        return log_mean_exp(log_weights) - log_weights.mean(0)


@dataclass(frozen=True)
class ForwardKL(Divergence):
    """Forward, inclusive KL(P || Q) = E_p[log p - log q]; the order alpha = 1.

    With ``s = softmax(l)``, ``objective = value = sum_k s_k l_k - log mean_k w_k``: the normaliser cancels, and what is
    left is the KL divergence of the normalised weights from uniform ones, between 0 and log K (``0 log 0 = 0``).

    Source: self-normalised importance sampling as in Bornschein & Bengio (2015), "Reweighted wake-sleep", section 2.3.

    >>> bool(ForwardKL().objective(torch.full((8,), 3.0)).abs() < 1e-6)
    True
    """

    alpha: float = field(default=1.0, init=False, repr=False)

    formula: ClassVar[str] = "int p log(p / q)"
    direction: ClassVar[str] = "target first, KL(P || Q)"

    def _objective(self, log_weights: Tensor) -> Tensor:
        weights = torch.softmax(log_weights, dim=0)
        relative = log_weights - log_mean_exp(log_weights)
        return (weights * torch.where(weights == 0.0, torch.zeros_like(relative), relative)).sum(0)

    def _value(self, log_weights: Tensor) -> Tensor:
        return self._objective(log_weights)
