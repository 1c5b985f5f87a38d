"""An f-divergence that adapts to the tail of the weights."""

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor

from pyro_symvi.divergences.base import GradientForm
from pyro_symvi.divergences.non_alpha import NonAlpha


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
