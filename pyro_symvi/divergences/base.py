"""What every divergence promises, and the checks they share."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from pyro_symvi.divergences._description import Description
from pyro_symvi.divergences._leave_one_out import leave_one_out_weights
from pyro_symvi.divergences.pairs import Pair

GradientForm = Literal["pathwise", "weighted", "doubly_reparameterized", "leave_one_out"]


class Divergence(ABC):
    """A divergence D(P || Q) between a target p and a guide q: a frozen, hashable value.

    Every estimator is a pure function of the log-weights ``l_k = log p~(z_k) - log q(z_k)`` with ``z_k ~ q``
    (independent, or closed under a symmetry), where ``p~ = Z p`` may be unnormalised. The particle dimension comes
    *first*; all further dimensions are a batch of separate problems. All arithmetic is in log space. A weight of zero
    (``l_k = -inf``: the guide leaves the target's support) is allowed; nan goes through as nan.

    Four forms of the gradient, in terms of ``l`` and of ``log q`` at fixed points:

    - :meth:`objective`, differentiated through reparameterised draws (the *pathwise* gradient);
    - :meth:`score_surrogate`, the *weighted* score form: draws need no derivative;
    - :meth:`path_surrogate`, *doubly reparameterised*: no score term, least noise near the optimum;
    - :meth:`leave_one_out_surrogate`, the score function with control variates, for draws without a derivative.

    To implement one: a frozen dataclass with an attribute ``alpha`` and a ``formula`` that supplies ``_objective`` and
    ``_value``, and inherits the tests of ``tests/contracts/divergence.py``; outside the alpha family derive from
    ``NonAlpha`` and supply ``_score_weights`` and ``_path_weights``, too. Arguments are checked here, so that a
    subclass reads like its definition; overriding a checked method raises ``TypeError`` when the class is defined.

    Attributes:
        alpha: order of the member of the alpha family (exponent on the target p); 0 is KL(Q || P), 1 is KL(P || Q).
        formula, direction: the definition and the order of arguments, as text; see :meth:`describe`.
    """

    alpha: float
    formula: ClassVar[str] = ""
    direction: ClassVar[str] = "target first, D(P || Q)"

    _checked: ClassVar[tuple[str, ...]] = (
        "objective",
        "value",
        "escort_weights",
        "score_surrogate",
        "path_surrogate",
        "leave_one_out_surrogate",
        "exact",
    )

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

    def _score_weights(self, log_weights: Tensor) -> Tensor:
        """``v_k`` with ``grad objective = sum_k v_k grad log q(z_k)``."""
        return -torch.softmax(self.alpha * log_weights, dim=0) / self.alpha

    def _path_weights(self, log_weights: Tensor) -> Tensor:
        """``v_k`` of :meth:`path_surrogate`."""
        alpha = self.alpha
        escort = torch.softmax(alpha * log_weights, dim=0)
        return -escort - (alpha / (1.0 - alpha) if self.prefers_pathwise else -1.0) * escort.square()

    def _exact(self, pair: Pair) -> Tensor:
        """The divergence between two laws in closed form."""
        alpha = self.alpha
        if alpha in (0.0, 1.0):
            return pair.forward_kl() if alpha == 1.0 else pair.reverse_kl()
        return -torch.expm1(pair.log_power_integral(alpha)) / (alpha * (1.0 - alpha))

    @property
    def in_alpha_family(self) -> bool:
        """Whether an exponent ``alpha`` says all about the minimiser."""
        return True

    @property
    def gradient_forms(self) -> tuple[GradientForm, ...]:
        """The forms of the gradient that exist: all four, but no weighted one at alpha = 0."""
        forms: tuple[GradientForm, ...] = ("pathwise", "doubly_reparameterized", "leave_one_out")
        return forms if self.in_alpha_family and self.alpha == 0.0 else (*forms, "weighted")

    @property
    def bounds_evidence(self) -> bool:
        """Whether ``objective`` bounds a decreasing function of log Z from above, so that a model can be learnt by it:
        alpha < 1."""
        return self.alpha < 1.0

    @property
    def normalizer_cancels(self) -> bool:
        """Whether the minimiser of :meth:`objective` is free of the target's normaliser Z. True in the alpha family."""
        return True

    @property
    def is_biased(self) -> bool:
        """Whether :meth:`objective` is biased with finitely many particles: all but KL(Q || P) in the alpha family."""
        return not self.is_additive

    @property
    def preferred_gradient(self) -> GradientForm:
        """The form of the gradient that a loss uses unless told otherwise."""
        return "pathwise" if self.prefers_pathwise else "weighted"

    @final
    def describe(self) -> Description:
        """Name, formula, direction, exponent, and whether it is additive, biased, and free of the normaliser."""
        alpha = self.alpha if self.in_alpha_family else None
        facts = self.is_additive, self.is_biased, self.normalizer_cancels
        return Description(type(self).__name__, self.formula, self.direction, alpha, *facts)

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
            TypeError, ValueError: as :meth:`objective`; no member of the alpha family.
        """
        log_weights = _checked_log_weights(log_weights)
        if self.alpha == 0.0:
            self._require("weighted")
        return torch.softmax(self.alpha * log_weights, dim=0)

    @final
    def score_surrogate(self, log_weights: Tensor, log_guide: Tensor) -> Tensor:
        """``-(1 / alpha) sum_k softmax(alpha l)_k log q(z_k)``, the escort weights held constant.

        Only its gradient has a meaning: if ``log_guide`` is log q_theta at *fixed* ``z_k``, it is a consistent estimate
        of the gradient of :meth:`objective` in theta, with a bias of order 1/K. Outside the alpha family the weights
        are ``(f(u_k) - u_k f'(u_k)) / K`` with u = p/q. Its variance does not vanish where q = p.

        Source: Bornschein & Bengio (2015), "Reweighted wake-sleep", for alpha = 1; Hernandez-Lobato et al. (2016) for
        the alpha family.

        Args:
            log_weights: shape ``(K, *batch)``; detached here.
            log_guide: ``log q_theta(z_k)``, shape ``(K, *batch)``.

        Returns:
            Shape ``batch``.

        Raises:
            ValueError: the shapes differ; there is no score form (``alpha`` is 0).
            TypeError, ValueError: as :meth:`objective`.
        """
        l, log_guide = _checked_log_weights(log_weights).detach(), _checked_log_weights(log_guide, "log_guide")
        self._require("weighted")
        weights = self._score_weights(l)
        _check_same_shape(weights, log_guide)
        return (weights * log_guide).sum(0)

    @final
    def path_surrogate(self, path_log_weights: Tensor) -> Tensor:
        """The doubly reparameterised gradient: ``sum_k v_k l_k``, the weights ``v_k`` held constant.

        Only its gradient has a meaning, and only if ``path_log_weights`` depend on theta *through the draws alone*:
        ``log p(z_k(theta)) - log q(z_k(theta))`` with the parameters of the density q detached (equivalently, add
        ``log q_theta`` at fixed points to the ordinary log-weights). With ``s = softmax(alpha l)``

            v_k = -s_k - alpha / (1 - alpha) s_k^2    for alpha <= 1/2: the expectation of the *pathwise* gradient,
            v_k = -s_k + s_k^2                        for alpha > 1/2: the expectation of the *weighted* gradient,

        at the same K, exactly (integration by parts in each draw); so the bias, of order 1/K, is the same and the
        variance lower. At alpha = 0 it is "sticking the landing": v_k = -1/K, variance zero where q = p. Outside the
        alpha family v_k is ``-u_k^2 f''(u_k) / K``.

        Sources: Roeder, Wu & Duvenaud (2017), "Sticking the landing"; Tucker, Lawson, Gu & Maddison (2018), "Doubly
        reparameterized gradient estimators for Monte Carlo objectives".

        Args:
            path_log_weights: shape ``(K, *batch)``.

        Returns:
            Shape ``batch``.

        Raises:
            TypeError, ValueError: as :meth:`objective`.
        """
        l = _checked_log_weights(path_log_weights, "path_log_weights")
        weights = self._path_weights(l.detach())
        return (weights * torch.where(weights == 0.0, torch.zeros_like(l), l)).sum(0)

    @final
    def leave_one_out_surrogate(self, log_weights: Tensor, log_guide: Tensor) -> Tensor:
        """The score-function gradient of :meth:`objective` with leave-one-out control variates.

        ``sum_k (J(l) - J(l with l_k replaced by the mean of the others) - dJ/dl_k + mean_j dJ/dl_j) log q(z_k)``, the
        bracket held constant, J the objective: unbiased for the gradient of ``E J`` at this K, for draws without a
        derivative (discrete sites, too). At alpha = 0 it is ``-(1/(K-1)) sum_k (l_k - mean l) log q(z_k)`` (RLOO, which
        vanishes where q = p); otherwise VIMCO for the alpha objective. Its variance grows with the dimension as the
        pathwise one does not: prefer a reparameterised form where there is one. Time K^2.

        Sources: Kool, van Hoof & Welling (2019), "Buy 4 REINFORCE samples, get a baseline for free"; Mnih & Rezende
        (2016), "Variational inference for Monte Carlo objectives".

        Args:
            log_weights: shape ``(K, *batch)``, K >= 2; detached here.
            log_guide: ``log q_theta(z_k)``, shape ``(K, *batch)``.

        Returns:
            Shape ``batch``. Only its gradient in ``log_guide`` has a meaning.

        Raises:
            ValueError: fewer than two particles, other shapes, or no objective to take the score of.
            TypeError, ValueError: as :meth:`objective`.
        """
        l, log_guide = _checked_log_weights(log_weights).detach(), _checked_log_weights(log_guide, "log_guide")
        self._require("leave_one_out")
        _check_same_shape(l, log_guide)
        weights = leave_one_out_weights(self._objective, l, self.normalizer_cancels)
        return (weights * log_guide).sum(0)

    @final
    def exact(self, pair: Pair) -> Tensor:
        """The divergence between two laws, P the target and Q the guide, in closed form.

        Args:
            pair: two laws with known power integrals, such as ``GaussianPair``, ``ExponentialFamilyPair`` or
                ``pyro_symvi.distributions.VonMisesFisherPair``.

        Returns:
            Shape ``batch`` of the pair; ``+inf`` where the divergence is infinite.

        Raises:
            TypeError: ``pair`` is none.
            ValueError: this divergence has no closed form.
        """
        if not isinstance(pair, Pair):
            raise TypeError(
                f"expected a pair of laws with forward_kl, reverse_kl and log_power_integral, got {pair!r}, because "
                "closed forms rest on these three; try GaussianPair(loc_p, covariance_p, loc_q, covariance_q)"
            )
        return self._exact(pair)

    def _require(self, form: GradientForm) -> None:
        if form in self.gradient_forms:
            return
        if self.in_alpha_family and self.alpha == 0.0:
            raise ValueError(
                f"expected a divergence with alpha != 0, got {self!r}, because at alpha = 0 the escort law is the "
                "guide itself (uniform weights, whose score has mean zero); try the pathwise gradient of objective()"
            )
        raise ValueError(
            f"expected a form of the gradient that {self!r} has, got {form!r}, because it is defined by another; "
            f"try {self.gradient_forms[0]!r}"
        )


def _check_same_shape(weights: Tensor, log_guide: Tensor) -> None:
    if weights.shape != log_guide.shape:
        raise ValueError(
            f"expected log_guide of the shape of log_weights {tuple(weights.shape)}, got {tuple(log_guide.shape)}, "
            "because each particle has one weight and one guide density; try summing over sites first"
        )


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
