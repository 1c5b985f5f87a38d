"""Divergences without an exponent, and Jeffreys' among them."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pyro_symvi.divergences.base import Divergence
from pyro_symvi.divergences.kullback_leibler import ForwardKL, ReverseKL
from pyro_symvi.divergences.pairs import Pair


class NonAlpha(Divergence):
    """A divergence outside the alpha family; asking for its ``alpha`` raises ``TypeError``.

    To implement one: supply ``_objective``, ``_value``, ``_score_weights``, ``_path_weights``.
    """

    @property
    def alpha(self) -> float:  # type: ignore[override]
        """None exists."""
        raise TypeError(
            f"expected a member of the alpha family, got {self!r}, because an exponent alpha is needed here; try "
            "pyro_symvi.infer.DivergenceELBO with SVI, which takes any divergence, or ReverseKL(), Alpha(0.5)"
        )

    @abstractmethod
    def _score_weights(self, log_weights: Tensor) -> Tensor:
        """See the base."""

    @abstractmethod
    def _path_weights(self, log_weights: Tensor) -> Tensor:
        """See the base."""

    def _exact(self, pair: Pair) -> Tensor:
        raise ValueError(
            f"expected a divergence with a closed form, got {self!r}, because it is no function of power integrals and "
            "KL divergences; try quadrature, or objective() on many draws"
        )

    @property
    def in_alpha_family(self) -> bool:
        """False."""
        return False

    @property
    def is_additive(self) -> bool:
        """False."""
        return False

    @property
    def bounds_evidence(self) -> bool:
        """False."""
        return False

    @property
    def prefers_pathwise(self) -> bool:
        """True."""
        return True


@dataclass(frozen=True)
class Jeffreys(NonAlpha):
    """KL(P || Q) + KL(Q || P) = int (p - q) log(p / q), symmetric in P and Q.

    ``objective = value = sum_k (s_k - 1/K) l_k`` with ``s = softmax(l)``: the normaliser cancels between the two terms.
    The second one is unbiased, the first has the bias of self-normalised importance sampling.

    Source: Jeffreys (1946), "An invariant form for the prior probability in estimation problems".

    >>> bool(Jeffreys().value(torch.tensor([1.0, 1.0, 1.0])).abs() < 1e-6)
    True
    """

    formula: ClassVar[str] = "int (p - q) log(p / q)"
    direction: ClassVar[str] = "symmetric"

    def _objective(self, log_weights: Tensor) -> Tensor:
        return ForwardKL()._objective(log_weights) + ReverseKL()._value(log_weights)

    def _value(self, log_weights: Tensor) -> Tensor:
        return self._objective(log_weights)

    def _score_weights(self, log_weights: Tensor) -> Tensor:
        particles = log_weights.shape[0]
        centred = (log_weights - log_weights.mean(0)) / max(particles - 1, 1)
        return -torch.softmax(log_weights, 0) - centred

    def _path_weights(self, log_weights: Tensor) -> Tensor:
        forward = ForwardKL()._path_weights(log_weights)
        return forward + ReverseKL()._path_weights(log_weights)

    def _exact(self, pair: Pair) -> Tensor:
        return pair.forward_kl() + pair.reverse_kl()
