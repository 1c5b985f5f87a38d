"""Training many networks at once by minibatches, each stopped by its own validation score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value
from .._posterior import NetworkPosterior
from .._streams import stream
from ._minibatch import value_and_grad
from ._moments import Adam

_ORDER = 2  # purpose of a random stream


@dataclass(frozen=True, eq=False, repr=False)
class Schedule(Value):
    """How long and how fast: see :class:`~pyro_symvi.bnn.approximations.DeepEnsemble`."""

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    decays: int


@dataclass(frozen=True)
class Trained:
    """Where training ended: the best weights of each member by validation score.

    Attributes:
        theta: ``[members, dim]``.
        score: mean negative log likelihood a row there, ``[members]``, on the validation rows.
        best_epoch: when it was reached, ``[members]``, counted from 1.
        epochs: how many epochs each was trained, ``[members]``.
        gradients: rows whose likelihood was differentiated, over all members.
    """

    theta: Tensor
    score: Tensor
    best_epoch: Tensor
    epochs: Tensor
    gradients: int


def score_rows(posterior: NetworkPosterior, theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Mean negative log likelihood a row, ``[members]``; infinite where it is no number."""
    with torch.no_grad():
        value = -posterior.likelihood.log_prob(posterior.outputs(theta, x), y, posterior.extra(theta)).mean(-1)
    return torch.where(torch.isfinite(value), value, torch.inf)


def train(
    posterior: NetworkPosterior,
    start: Tensor,
    rows: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    schedule: Schedule,
    seed: int,
    report: Callable[[int, float], None],
) -> Trained:
    r"""Ascend the log posterior of ``rows`` from each row of ``start`` ``[members, dim]``.

    One step uses :math:`\frac1n\nabla\{\tfrac{n}{|B|}\sum_{i\in B}\log p(y_i\mid x_i,\theta)+\log p(\theta)\}` in Adam.
    A member that has not improved on its validation score for ``patience`` epochs returns to its best weights and goes
    on at a third of its rate, and stops after ``decays`` such returns. The order of the rows is one for all members,
    from the stream of (seed, epoch), so that a member's path does not depend on which others are trained with it.
    """
    x, y = rows
    n, members = len(x), len(start)
    theta, adam = start.clone(), Adam(start)
    rate = torch.full((members, 1), schedule.learning_rate).to(start)
    best, score = start.clone(), score_rows(posterior, start, *validation)
    best_epoch, epochs = (torch.zeros(members, dtype=torch.long) for _ in range(2))
    waited, left = torch.zeros(members, dtype=torch.long), torch.full((members,), schedule.decays)
    active, gradients = torch.arange(members), 0
    for epoch in range(1, schedule.epochs + 1):
        order = torch.randperm(n, generator=stream(seed, epoch, _ORDER)).to(x.device)
        for batch in order.split(schedule.batch_size):
            _, gradient = value_and_grad(posterior, theta, x[batch], y[batch], n / len(batch))
            theta = adam.step(theta, gradient / n, rate)
        gradients += len(active) * n
        found = score_rows(posterior, theta, *validation)
        better = (found < score[active]).cpu()
        improved = active[better]
        best[improved], score[improved], best_epoch[improved] = theta[better], found[better], epoch
        epochs[active] = epoch
        waited[active] = torch.where(better, 0, waited[active] + 1)
        report(epoch, float(score.median()))
        tired = waited[active] >= schedule.patience
        if bool(tired.any()):
            back = active[tired]
            theta[tired], rate[tired] = best[back], rate[tired] / 3
            adam.forget(tired)
            waited[back], left[back] = 0, left[back] - 1
            going = left[active] >= 0
            if not bool(going.all()):
                active, theta, rate = active[going], theta[going], rate[going]
                adam.keep(going)
        if len(active) == 0:
            break
    return Trained(best, score, best_epoch, epochs, gradients)
