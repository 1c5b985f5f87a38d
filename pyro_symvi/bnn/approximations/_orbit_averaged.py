"""A fitted law averaged over the rescaling orbits of its network, by their own posterior law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._posterior import NetworkPosterior
from ..moves import OrbitRefresh
from ..samplers import ChainState
from ..symmetry import NetworkSymmetry
from ._approximation import Approximation, Fitted, Progress, Rows, check_base_and_symmetry


class FittedOrbitAverage(Fitted):
    """Draws of the base with new scales of all units: the push-forward q P of q by an exact Gibbs sweep P.

    P leaves the posterior pi invariant, so that KL(q P, pi) <= KL(q, pi) (data processing): the law is never worse than
    its base. For one hidden layer scales are exact given all that rescaling leaves alone, hence E[a_j - b_j] = p - q
    in each unit, whatever the base. There is no density in closed form.
    """

    def __init__(self, base: Fitted, move: OrbitRefresh) -> None:
        super().__init__(base.posterior, base.info)
        self.base, self.move = base, move
        self.source = f"{base.source}, averaged over orbits"

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        theta = self.base.sample(n, generator).flat
        zeros = torch.zeros_like(theta)
        state = ChainState(theta, zeros[:, 0], zeros, zeros)
        return self.move.apply(self.posterior, state, [generator or torch.default_generator] * n).position


@dataclass(frozen=True, eq=False, repr=False)
class OrbitAveraged(Approximation):
    """``base``, with the scale of each ReLU-like unit drawn anew from its posterior law given all else.

    Rescaling (incoming weights times c, outgoing divided by it) leaves the network as it is but not the prior, so that
    no uniform law on its orbits exists; the posterior's own law on them is known (for normal priors generalised inverse
    Gaussian) and does not depend on the data. Predictions stay the same, weights become those of the posterior along
    these directions.

    Args:
        base: what is fitted, such as ``MeanField()`` or ``DeepEnsemble()``.
        symmetry: that of the network; None reads it from the posterior's.
    """

    base: Approximation
    symmetry: NetworkSymmetry | None = None

    def __post_init__(self) -> None:
        check_base_and_symmetry(self.base, self.symmetry)

    def _fit(
        self, posterior: NetworkPosterior, validation: Rows | None, seed: int, progress: Progress
    ) -> FittedOrbitAverage:
        move = OrbitRefresh(NetworkSymmetry.of(posterior) if self.symmetry is None else self.symmetry)
        move.check(posterior)
        fitted: Any = self.base.fit(posterior, validation=validation, seed=seed, progress=progress)
        return FittedOrbitAverage(fitted, move)
