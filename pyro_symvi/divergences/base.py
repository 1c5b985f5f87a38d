"""What every divergence promises, and the checks they share."""

from abc import ABC, abstractmethod
from typing import ClassVar, final

import torch
from torch import Tensor


class Divergence(ABC):
    """A divergence D(P || Q) between a target p and a guide q: a frozen, hashable value.

    Every estimator is a pure function of the log-weights ``l_k = log p~(z_k) - log q(z_k)`` with ``z_k ~ q``
    (independent, or closed under a symmetry), where ``p~ = Z p`` may be unnormalised. The particle dimension comes
    *first*; all further dimensions are a batch of separate problems. All arithmetic is in log space. A weight of zero
    (``l_k = -inf``: the guide leaves the target's support) is allowed; nan goes through as nan.

    To implement one: a frozen dataclass with an attribute ``alpha`` that supplies ``_objective`` and ``_value``, and
    inherits the tests of ``tests/contracts/divergence.py``. Arguments are checked here, so that a subclass reads like
    its definition; overriding a checked method raises ``TypeError`` when the class is defined.

    Attributes:
        alpha: order of the member of the alpha family (exponent on the target p); 0 is KL(Q || P), 1 is KL(P || Q).
    """

    alpha: float

    _checked: ClassVar[tuple[str, ...]] = ("objective", "value", "escort_weights", "score_surrogate")

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for name in Divergence._checked:
            if name in cls.__dict__:
                raise TypeError(
                    f"expected {cls.__name__} to define _objective and _value, got an override of {name}, because the "
                    f"public methods check their arguments for every divergence; try renaming it to _{name}"
                )

    @abstractmethod
    def _objective(self, log_weights: Tensor) -> Tensor:
        """The estimator behind :meth:`objective`, on checked log-weights."""

    @abstractmethod
    def _value(self, log_weights: Tensor) -> Tensor:
        """The estimator behind :meth:`value`, on checked log-weights."""

    @property
    def prefers_pathwise(self) -> bool:
        """Whether the reparameterised gradient of :meth:`objective` is the better one: alpha <= 1/2.

        Above 1/2 the weighted score form (:meth:`score_surrogate`) is used: it is continuous in alpha at 1, where the
        pathwise form carries noise of order 1 / (alpha - 1).
        """
        return self.alpha <= 0.5

    @property
    def is_additive(self) -> bool:
        """Whether :meth:`objective` is linear in the log-weights, so that an unbiased estimate of each log-weight
        (a minibatch, scaled up) gives an unbiased objective. True for KL(Q || P) alone."""
        return self.alpha == 0.0

    @final
    def objective(self, log_weights: Tensor) -> Tensor:
        """What is minimised over the guide: D_alpha(P || Q) up to an increasing function and a constant in q.

        Adding a constant c to every log-weight (another normaliser Z) changes the result by a constant that does not
        depend on q, so the minimiser does not depend on Z. With K particles it is a consistent, in general biased,
        estimate; for KL(Q || P) it is unbiased.

        Args:
            log_weights: floating point, shape ``(K, *batch)``.

        Returns:
            Shape ``batch``. ``+inf`` where the divergence is infinite on these particles.

        Raises:
            TypeError: ``log_weights`` is no floating-point tensor.
            ValueError: it has no particle dimension, or no particle.
        """
        return self._objective(_checked_log_weights(log_weights))

    @final
    def value(self, log_weights: Tensor) -> Tensor:
        """Self-normalised estimate of D_alpha(P || Q) itself, never negative up to rounding, and free of Z.

        ``(1 - mean(w^alpha) / mean(w)^alpha) / (alpha (1 - alpha))`` with ``w = exp(l)``; its limits are
        ``log mean w - mean log w`` at alpha = 0 and ``sum_k s_k log(K s_k)``, ``s = softmax(l)``, at alpha = 1.
        Biased towards zero: from K particles it cannot exceed ``log K`` at alpha = 1.

        Args:
            log_weights: floating point, shape ``(K, *batch)``.

        Returns:
            Shape ``batch``; nan if all weights of a problem are zero.

        Raises:
            TypeError, ValueError: as :meth:`objective`.
        """
        return self._value(_checked_log_weights(log_weights))

    @final
    def escort_weights(self, log_weights: Tensor) -> Tensor:
        """Weights of the escort law ``p^alpha q^(1 - alpha)`` on the particles: ``softmax(alpha l)`` over dimension 0.

        They give the score form of the gradient for a guide q_theta,
        ``grad objective = -(1 / alpha) sum_k softmax(alpha l)_k grad log q(z_k)`` with ``z_k`` held fixed.

        Args:
            log_weights: floating point, shape ``(K, *batch)``.

        Returns:
            Shape ``(K, *batch)``, summing to 1 over dimension 0. Differentiable: detach them in a score form.

        Raises:
            ValueError: ``alpha`` is 0, where the escort law is q itself and the weights carry no information.
            TypeError, ValueError: as :meth:`objective`.
        """
        log_weights = _checked_log_weights(log_weights)
        if self.alpha == 0.0:
            raise ValueError(
                f"expected a divergence with alpha != 0, got {self!r}, because at alpha = 0 the escort law is the "
                "guide itself (uniform weights, whose score has mean zero); try the pathwise gradient of objective()"
            )
        return torch.softmax(self.alpha * log_weights, dim=0)

    @final
    def score_surrogate(self, log_weights: Tensor, log_guide: Tensor) -> Tensor:
        """``-(1 / alpha) sum_k softmax(alpha l)_k log q(z_k)``, the escort weights held constant.

        Only its gradient has a meaning: if ``log_guide`` is log q_theta at *fixed* ``z_k``, it is a consistent estimate
        of the gradient of :meth:`objective` in theta.

        Args:
            log_weights: shape ``(K, *batch)``; detached here.
            log_guide: ``log q_theta(z_k)``, shape ``(K, *batch)``.

        Returns:
            Shape ``batch``.

        Raises:
            ValueError: the shapes differ; ``alpha`` is 0.
            TypeError, ValueError: as :meth:`objective`.
        """
        log_guide = _checked_log_weights(log_guide, "log_guide")
        weights = self.escort_weights(log_weights).detach()
        if weights.shape != log_guide.shape:
            raise ValueError(
                f"expected log_guide of the shape of log_weights {tuple(weights.shape)}, got {tuple(log_guide.shape)}, "
                "because each particle has one weight and one guide density; try summing over sites first"
            )
        return -(weights * log_guide).sum(0) / self.alpha


def _checked_log_weights(log_weights: Tensor, name: str = "log_weights") -> Tensor:
    if not isinstance(log_weights, Tensor):
        raise TypeError(
            f"expected {name} to be a torch.Tensor, got {type(log_weights).__name__}, because gradients flow through "
            "it; try torch.as_tensor"
        )
    if not log_weights.is_floating_point():
        raise TypeError(
            f"expected {name} of a floating-point dtype, got {log_weights.dtype}, because it holds logarithms; "
            "try .to(torch.float64)"
        )
    if log_weights.dim() == 0 or log_weights.shape[0] == 0:
        raise ValueError(
            f"expected {name} of shape (particles, *batch) with at least one particle, got {tuple(log_weights.shape)}, "
            "because dimension 0 is the particle dimension; try log_weights.reshape(-1)"
        )
    return log_weights
