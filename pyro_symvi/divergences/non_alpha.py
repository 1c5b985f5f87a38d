"""Divergences without an exponent: general f, Jeffreys."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor

from pyro_symvi.divergences._log_space import log_mean_exp
from pyro_symvi.divergences.base import Divergence, GradientForm
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


@dataclass(frozen=True)
class FDivergence(NonAlpha):
    """``D_f(P || Q) = int q f(p / q)`` for any convex f with f(1) = 0, twice differentiable, as a function of *log u*.

    The normaliser does **not** cancel: the minimiser of ``mean_k f(w_k / Z)`` depends on Z, so that ``objective`` and
    every gradient need ``log_normalizer``: 0 for a target that integrates to 1, the log evidence if it is known. Then
    they are unbiased for any number of particles. Without it only :meth:`value` is available, which puts the particles'
    own mean for Z (consistent, biased).

    Source: Ali & Silvey (1966), "A general class of coefficients of divergence of one distribution from another".

    Args:
        f: ``log u -> f(u)``, elementwise on tensors, ``f(1) = 0``, convex in u; its value at ``log u = -inf`` is used
            where the guide leaves the target's support. ``generators`` holds some.
        log_normalizer: log Z of the target; None if it is unknown.

    Raises:
        TypeError: f is no function of a tensor, ``log_normalizer`` no number.
        ValueError: ``f(1)`` is not 0; f is not convex (on a grid of u from 0.02 to 50), a concave one would be
            maximised; ``log_normalizer`` is not finite.

    >>> from pyro_symvi.divergences.generators import jensen_shannon
    >>> FDivergence(jensen_shannon).normalizer_cancels
    False
    """

    f: Callable[[Tensor], Tensor]
    log_normalizer: float | None = None

    formula: ClassVar[str] = "int q f(p / q)"

    def __post_init__(self) -> None:
        _check_generator(self.f)
        log_z = self.log_normalizer
        if log_z is None:
            return
        if isinstance(log_z, bool) or not isinstance(log_z, Real):
            raise TypeError(
                f"expected log_normalizer to be a number or None, got {log_z!r}, because it is log Z of the target; "
                "try 0.0 for a normalised target"
            )
        if not abs(float(log_z)) < float("inf"):
            raise ValueError(
                f"expected a finite log_normalizer, got {log_z!r}, because it is subtracted from every log-weight; try "
                "0.0 for a normalised target"
            )
        object.__setattr__(self, "log_normalizer", float(log_z))

    @property
    def normalizer_cancels(self) -> bool:
        """False."""
        return False

    @property
    def is_biased(self) -> bool:
        """False: a mean over particles, the normaliser being known."""
        return False

    def _objective(self, log_weights: Tensor) -> Tensor:
        return self.f(self._normalized(log_weights)).mean(0)

    def _value(self, log_weights: Tensor) -> Tensor:
        return self.f(log_weights - log_mean_exp(log_weights)).mean(0)

    def _score_weights(self, log_weights: Tensor) -> Tensor:
        value, first, _ = self._derivatives(log_weights)
        scores = value - first
        particles = log_weights.shape[0]
        return scores / particles if particles == 1 else (scores - scores.mean(0)) / (particles - 1)

    def _path_weights(self, log_weights: Tensor) -> Tensor:
        _, first, second = self._derivatives(log_weights)
        return -(second - first) / log_weights.shape[0]

    def _derivatives(self, log_weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The generator and its first two derivatives in log u, at the normalised weights."""
        with torch.enable_grad():
            l = self._normalized(log_weights).detach().requires_grad_()
            value = self.f(l)
            (first,) = torch.autograd.grad(value.sum(), l, create_graph=True)
            second = torch.zeros_like(l)
            if first.requires_grad:
                (second,) = torch.autograd.grad(first.sum(), l)
        return value.detach(), first.detach(), second

    def _normalized(self, log_weights: Tensor) -> Tensor:
        if self.log_normalizer is None:
            raise ValueError(
                f"expected the target's normaliser for {self!r}, got log_normalizer=None, because the minimiser of a "
                "general f-divergence depends on it; try FDivergence(f, log_normalizer=0.0) if the target integrates "
                "to 1, its log evidence if that is known, or Alpha(...) or Jeffreys(), from which it cancels"
            )
        return log_weights - self.log_normalizer


@dataclass(frozen=True)
class TailAdaptive(NonAlpha):
    """The tail-adaptive f-divergence: f is chosen anew from the ranks of the weights, so that none dominates.

    With ``n_k`` the number of particles whose weight is at least ``w_k`` (1 for the largest, K for the smallest, ties
    alike), the gradient is ``-sum_k gamma_k grad l_k`` with ``gamma_k`` proportional to ``(n_k / K)^beta`` and summing
    to 1, through the draws alone (the doubly reparameterised form; the ordinary pathwise derivative would add a score
    term whose weighted mean is not zero). ``u^2 f''(u)`` is that power of the tail probability of the weights, so f is
    convex; but it moves with the guide: no fixed number is minimised, and :meth:`value` refuses. ``objective`` is
    ``-sum_k gamma_k l_k``, the gammas held constant. Ranks do not know Z: the normaliser cancels.

    Source: Wang, Liu & Liu (2018), "Variational inference with tail-adaptive f-divergence", algorithm 1.
    (The rank is that of the weight: the permutation that sorts the weights is not it.)

    Args:
        beta: exponent, at most 0; -1 is the authors' choice, 0 is KL(Q || P).

    Raises:
        TypeError, ValueError: ``beta`` is no finite number <= 0.

    >>> -TailAdaptive()._path_weights(torch.tensor([3.0, 1.0, 2.0])) * 11  # 1/1, 1/3, 1/2 of 11/6
    tensor([6., 2., 3.])
    """

    beta: float = -1.0

    formula: ClassVar[str] = "int q f(p / q), u^2 f''(u) proportional to (tail probability of u)^beta"

    def __post_init__(self) -> None:
        if isinstance(self.beta, bool) or not isinstance(self.beta, Real):
            raise TypeError(f"expected beta to be a number, got {self.beta!r}, because it is an exponent; try -1.0")
        if not -float("inf") < float(self.beta) <= 0.0:
            raise ValueError(
                f"expected a finite beta <= 0, got {self.beta!r}, because a positive one gives the largest weight the "
                "least say; try -1.0"
            )
        object.__setattr__(self, "beta", float(self.beta) + 0.0)

    @property
    def gradient_forms(self) -> tuple[GradientForm, ...]:
        """The doubly reparameterised one alone."""
        return ("doubly_reparameterized",)

    @property
    def preferred_gradient(self) -> GradientForm:
        """The only one."""
        return "doubly_reparameterized"

    def _objective(self, log_weights: Tensor) -> Tensor:
        weights = self._path_weights(log_weights.detach())
        return (weights * log_weights).sum(0)

    def _value(self, log_weights: Tensor) -> Tensor:
        raise ValueError(
            f"expected a divergence with a value, got {self!r}, because its f changes with the guide and the numbers "
            "of two guides do not compare; try Alpha(0.5).value(log_weights)"
        )

    def _score_weights(self, log_weights: Tensor) -> Tensor:
        return log_weights.new_full((), torch.nan).expand_as(log_weights)

    def _path_weights(self, log_weights: Tensor) -> Tensor:
        particles = log_weights.shape[0]
        rows = log_weights.movedim(0, -1).contiguous()
        ordered = rows.sort(-1).values
        at_least = particles - torch.searchsorted(ordered, rows, right=False)
        tail = at_least.clamp_min(1).to(rows.dtype) / particles
        gamma = tail**self.beta
        gamma = torch.where(rows.isnan().any(-1, keepdim=True), torch.nan, gamma / gamma.sum(-1, keepdim=True))
        return -gamma.movedim(-1, 0)


def _check_generator(f: object) -> None:
    log_u = torch.linspace(-4.0, 4.0, 81, dtype=torch.float64)
    if not callable(f):
        raise TypeError(f"expected f to be a function of log u, got {f!r}; try generators.jensen_shannon")
    values = f(log_u)
    if not isinstance(values, Tensor) or values.shape != log_u.shape:
        raise TypeError(
            f"expected f to map a tensor to a tensor of its shape, got {type(values).__name__}, because it acts on "
            "each weight by itself; try torch functions of log u"
        )
    scale = 1e-9 * (1.0 + float(values.abs().max()))
    if not abs(float(values[40])) <= scale:
        raise ValueError(
            f"expected f(1) = 0, got {float(values[40]):g} at log u = 0, because a divergence is zero where p = q; try "
            "subtracting it (f is a function of log u)"
        )
    slopes = values.detach().diff() / log_u.exp().diff()
    if not bool((slopes.diff() >= -1e-6 * (1.0 + slopes[1:].abs())).all()):
        raise ValueError(
            "expected f convex in u, got chords whose slope falls (or nan), because a concave f gives no divergence, "
            "and minimising it would drive the guide away; try the opposite sign (f is a function of log u)"
        )
