"""Deep ensembles: the baseline of every comparison, and where samplers start."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..._value import positive_int
from .._draws import Draws, independent_draws
from .._posterior import NetworkPosterior
from .._streams import stream
from ._approximation import Approximation, Fitted, Progress, Rows, positive
from ._initial import initial_weights
from ._progress import Reporter
from ._training import Schedule, Trained, train

_SPLIT = 3  # purpose of a random stream
_NORMAL_MAD = 1.4826
"""The standard deviation of a normal law over its median absolute deviation."""
_FEWEST_ROWS = 20
"""Below this many rows none is held out."""


class FittedEnsemble(Fitted):
    """Point masses on trained weights, equally weighted.

    Attributes:
        members: ``[M, dim]``, the members that were kept.
        info: ``validation_score`` (mean negative log likelihood a row of each trained member), ``dropped`` (indices of
            those left out), ``threshold``, ``best_epoch``, ``epochs``, ``held_out`` (rows held out of the data),
            ``row_gradients``, ``seconds``.
    """

    source = "deep ensemble"

    def __init__(self, posterior: NetworkPosterior, members: Tensor, info: Mapping[str, Any]) -> None:
        super().__init__(posterior, info)
        self.members = members

    @property
    def draws(self) -> Draws:
        """Each member once, ``[1, M, dim]``."""
        return independent_draws(self.members, self.posterior.layout, self.source, **self.info)

    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        """All members in order, ``n // M`` times, then ``n % M`` different ones at random.

        So ``sample(M)`` are the members, whatever the generator: chains that start there start there again.
        """
        count = len(self.members)
        rounds = [torch.arange(count)] * (n // count)
        if n % count:
            rounds.append(torch.randperm(count, generator=generator)[: n % count])
        return self.members[torch.cat(rounds).to(self.members.device)]


@dataclass(frozen=True, eq=False, repr=False)
class DeepEnsemble(Approximation):
    r"""Networks trained from independent starts (Lakshminarayanan et al. 2017), all in one batch.

    Each member ascends the log posterior by Adam on minibatches. The prior enters through its gradient, scaled as in
    :math:`\log p(y\mid x,\theta)+\log p(\theta)`, and not as decoupled weight decay (AdamW): decay divides the
    likelihood's gradient by its running size but not the prior's, so that AdamW at rest solves
    :math:`\nabla\log p(y\mid\theta)/\sqrt v=\lambda\theta`, which is no mode of any posterior, while here rest is a
    mode of this one, for every prior. Early stopping then stops short of it.

    Without ``validation``, a share ``holdout`` of the posterior's rows is held out for stopping, and the members never
    train on it; below 20 rows none is, and the training rows are what stops. A member whose validation score is worse
    than median + ``drop`` robust standard deviations (1.4826 MAD) of the members, or no number, is left out and
    recorded.

    Args:
        members: how many are trained.
        epochs: at most so many passes over the rows.
        batch_size: rows a step.
        learning_rate: Adam's.
        patience: epochs without improvement on the validation rows after which a member goes back to its best weights
            and its rate falls to a third, ``decays`` times; after that it stops.
        decays: see ``patience``; 0 is plain early stopping.
        drop: how many robust standard deviations above the median a validation score may be.
        holdout: share of rows held out where no validation rows are given.
        start: initial weights ``[members, dim]`` instead of random ones scaled by fan-in.

    Raises:
        ValueError: unless the share held out is between 0 and 1.
    """

    members: int = 10
    epochs: int = 1000
    batch_size: int = 64
    learning_rate: float = 0.01
    patience: int = 30
    decays: int = 2
    drop: float = 3.0
    holdout: float = 0.1
    start: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("members", "epochs", "batch_size", "patience"):
            positive_int(getattr(self, name), name)
        positive_int(self.decays, "decays", 0)
        positive(self.learning_rate, "learning_rate", "a step size")
        positive(self.drop, "drop", "a number of standard deviations")
        if not 0 < self.holdout < 1:
            raise ValueError(f"expected holdout between 0 and 1, got {self.holdout!r}, because it is a share of rows")

    def _fit(
        self, posterior: NetworkPosterior, validation: Rows | None, seed: int, progress: Progress
    ) -> FittedEnsemble:
        if len(posterior.x) == 0:
            raise ValueError("expected a posterior with rows to train on, got none; try sample_prior")
        began = time.perf_counter()
        start = self._starts(posterior, seed)
        rows, stopping, held_out = self._split(posterior, validation, seed)
        schedule = Schedule(self.epochs, self.batch_size, self.learning_rate, self.patience, self.decays)
        with Reporter(progress, self.epochs, "deep ensemble") as report:
            trained = train(posterior, start, rows, stopping, schedule, seed, report)
        keep, threshold = self._keep(trained)
        info = {
            "seed": seed,
            "validation_score": trained.score,
            "dropped": (~keep).nonzero().flatten().tolist(),
            "threshold": threshold,
            "best_epoch": trained.best_epoch,
            "epochs": trained.epochs,
            "held_out": held_out,
            "row_gradients": trained.gradients,
            "seconds": time.perf_counter() - began,
        }
        return FittedEnsemble(posterior, trained.theta[keep], info)

    def _starts(self, posterior: NetworkPosterior, seed: int) -> Tensor:
        if self.start is None:
            return torch.stack([initial_weights(posterior, seed, member) for member in range(self.members)])
        if self.start.shape != (self.members, posterior.dim):
            raise ValueError(
                f"expected start [{self.members}, {posterior.dim}], got {list(self.start.shape)}; try start=None"
            )
        return self.start.to(posterior.x)

    def _split(self, posterior: NetworkPosterior, validation: Rows | None, seed: int) -> tuple[Rows, Rows, int]:
        """Rows to train on, rows to stop by, and how many of the posterior's were held out."""
        x, y = posterior.x, posterior.y
        if validation is not None:
            return (x, y), validation, 0
        if len(x) < _FEWEST_ROWS:
            return (x, y), (x, y), 0
        order = torch.randperm(len(x), generator=stream(seed, 0, _SPLIT)).to(x.device)
        held_out = max(1, round(self.holdout * len(x)))
        out, kept = order[:held_out], order[held_out:]
        return (x[kept], y[kept]), (x[out], y[out]), held_out

    def _keep(self, trained: Trained) -> tuple[Tensor, float]:
        """Which members are kept, ``[members]``, and the score beyond which one is dropped."""
        score = trained.score.double()
        sound = torch.isfinite(score) & torch.isfinite(trained.theta).all(-1)
        if not bool(sound.any()):
            raise ValueError(
                "expected a member with a finite validation score, got none, because every one of them diverged; try a "
                "smaller learning_rate, or inputs and targets of unit size"
            )
        median = score[sound].quantile(0.5)
        spread = _NORMAL_MAD * (score[sound] - median).abs().quantile(0.5)
        threshold = float(median + self.drop * spread)
        return sound & (score <= threshold + 1e-12 * abs(threshold)), threshold
