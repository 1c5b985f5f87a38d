"""Members of the alpha family under their own names and scales."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from pyro_symvi.divergences.alpha import Alpha
from pyro_symvi.divergences.base import Divergence
from pyro_symvi.divergences.pairs import Pair


class ScaledAlpha(Divergence):
    """``factor`` times D_alpha: the objective (and so every gradient) of ``Alpha(alpha)``, the value on its own scale.

    To implement one: give ``alpha`` and ``_factor``.
    """

    _factor: ClassVar[float] = 1.0

    def _objective(self, log_weights: Tensor) -> Tensor:
        return Alpha(self.alpha)._objective(log_weights)

    def _value(self, log_weights: Tensor) -> Tensor:
        return self._factor * Alpha(self.alpha)._value(log_weights)

    def _exact(self, pair: Pair) -> Tensor:
        return self._factor * Alpha(self.alpha)._exact(pair)


@dataclass(frozen=True)
class ChiSquare(ScaledAlpha):
    """Pearson's chi-square(P || Q) = int (p - q)^2 / q, or Neyman's chi-square(Q || P) = int (p - q)^2 / p.

    Pearson's (the default) is ``2 D_2``: the variance of the importance weight p / q under q; infinite for a guide of
    much lighter tails than the target. Neyman's, ``reverse=True``, is ``2 D_(-1)``; infinite for a guide that leaves
    the target's support. Both objectives are consistent and biased, and free of the normaliser. (An
    objective ``log mean w^2`` that is *maximised* is the opposite of Pearson's.)

    Source: Dieng, Tran, Ranganath, Paisley & Blei (2017), "Variational inference via chi upper bound minimization".

    Args:
        reverse: guide first.

    Raises:
        TypeError: ``reverse`` is no bool.

    >>> ChiSquare().alpha, ChiSquare(reverse=True).alpha
    (2.0, -1.0)
    """

    reverse: bool = False

    _factor: ClassVar[float] = 2.0

    def __post_init__(self) -> None:
        if not isinstance(self.reverse, bool):
            raise TypeError(
                f"expected reverse to be True or False, got {self.reverse!r}, because it tells chi-square(Q || P) from "
                "chi-square(P || Q); try ChiSquare(reverse=True)"
            )

    @property
    def alpha(self) -> float:  # type: ignore[override]
        """2 for Pearson's, -1 for Neyman's."""
        return -1.0 if self.reverse else 2.0

    @property
    def formula(self) -> str:  # type: ignore[override]
        """The defining integral."""
        return "int (p - q)^2 / p" if self.reverse else "int (p - q)^2 / q"

    @property
    def direction(self) -> str:  # type: ignore[override]
        """Which argument is first."""
        return "guide first, chi-square(Q || P)" if self.reverse else "target first, chi-square(P || Q)"


@dataclass(frozen=True)
class Hellinger(ScaledAlpha):
    """Squared Hellinger distance H^2 = (1/2) int (sqrt p - sqrt q)^2 = 1 - int sqrt(p q), between 0 and 1.

    ``D_(1/2) / 4``, symmetric in P and Q, finite for all pairs of laws; the one member of the family that is.

    >>> import torch
    >>> float(Hellinger().value(torch.tensor([0.0, -torch.inf, -torch.inf, -torch.inf])))  # nearly disjoint
    0.5
    """

    alpha: float = field(default=0.5, init=False, repr=False)

    _factor: ClassVar[float] = 0.25
    formula: ClassVar[str] = "1/2 int (sqrt p - sqrt q)^2"
    direction: ClassVar[str] = "symmetric"
