"""Ascent of the evidence bound of factorised normals, several starts in one batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .._posterior import NetworkPosterior
from .._streams import stream
from ._minibatch import value_and_grad
from ._moments import Adam

_NOISE = 4  # purpose of a random stream
_WINDOW = (125, 250)
"""Steps over which the bound is averaged to tell whether it still rises: as many as weights, within these limits."""
_ANNEALING = 0.5
"""Steps at a falling rate after the bound has stopped rising, as a share of those before."""
_AVERAGED = 0.5
"""The share of the annealing over which the parameters are averaged."""
_BETA = (0.9, 0.99)


@dataclass(frozen=True)
class Ascent:
    """Where it ended.

    Attributes:
        loc, scale: ``[starts, dim]``.
        history: mean evidence bound in each window, ``[windows, starts]``.
        steps: all of them, the annealing included.
        settled: whether the best start had stopped rising before the annealing began.
    """

    loc: Tensor
    scale: Tensor
    history: Tensor
    steps: int
    settled: bool


def ascend(
    posterior: NetworkPosterior,
    loc: Tensor,
    scale: Tensor,
    *,
    pairs: int,
    max_steps: int,
    learning_rate: float,
    batch_size: int | None,
    seed: int,
    report: Callable[[int, float], None],
) -> Ascent:
    r"""Adam on loc and log scale ``[starts, dim]`` with antithetic pairs theta = loc +- scale eps, gradients

    .. math:: g_{loc}=\overline{\nabla\log p},\quad
        g_{\log s}=s\,\overline{\epsilon\nabla\log p}+1+(\overline{\epsilon^2}-1)\,\kappa .

    The last term has mean zero. While the bound rises, kappa = s^2 / tau^2 removes the noise of normal priors
    N(0, tau^2), where most weights end; in the annealing kappa = 1 removes that of each weight's own curvature, which
    is 1 / s^2 at the optimum (the estimator of Roeder, Wu and Duvenaud 2017). For the loc the pairs are exact for every
    quadratic. The rate is constant until the mean bound of the last two windows is above that of the two before by less
    than two standard errors, for the start that is best; then it falls to zero along a cosine, and parameters are
    averaged over the second half of that.
    """
    starts, dim = loc.shape
    loc, log_scale = loc.clone(), scale.log()
    curvature = torch.where(
        torch.tensor([kind == "normal" for kind in posterior.parameter_prior.kinds]),
        posterior.parameter_prior.scale**-2,
        0.0,
    ).to(loc)
    generators = [stream(seed, start, _NOISE) for start in range(starts)]
    rows = _Rows(posterior, batch_size, seed)
    adam = Adam(torch.cat([loc, log_scale], -1), _BETA)

    def step(rate: float, own_curvature: bool = False) -> Tensor:
        nonlocal loc, log_scale
        eps = torch.stack([torch.randn(pairs, dim, generator=g, dtype=torch.float32) for g in generators]).to(loc)
        s = log_scale.exp()[:, None]
        theta = torch.stack([loc[:, None] + s * eps, loc[:, None] - s * eps])  # [2, starts, pairs, dim]
        value, gradient = (v.reshape(2, starts, pairs, *v.shape[1:]) for v in rows(theta.reshape(-1, dim)))
        to_loc = gradient.mean((0, 2))
        square = eps.square().mean(1)
        to_scale = s[:, 0] * (0.5 * (gradient[0] - gradient[1]) * eps).mean(1) + 1
        to_scale += (square - 1) * (1.0 if own_curvature else s[:, 0].square() * curvature)
        moved = adam.step(torch.cat([loc, log_scale], -1), torch.cat([to_loc, to_scale], -1), rate)
        entropy = log_scale.sum(-1) + 0.5 * dim * (1 + math.log(2 * math.pi))
        loc, log_scale = moved.split(dim, -1)
        return value.double().mean((0, 2)) + entropy.double()

    history: list[Tensor] = []
    errors: list[Tensor] = []
    taken, settled = 0, False
    length = min(max(dim, _WINDOW[0]), _WINDOW[1])
    rising = max(1, math.floor(max_steps / (1 + _ANNEALING)))
    while taken < rising and not settled:
        window = min(length, rising - taken)
        bounds = torch.stack([step(learning_rate) for _ in range(window)])
        taken += window
        history.append(bounds.mean(0))
        errors.append(bounds.std(0) / math.sqrt(window) if window > 1 else torch.full_like(bounds[0], math.inf))
        report(taken, float(history[-1].max()))
        settled = _settled(history, errors)
        if not bool(torch.isfinite(history[-1]).any()):
            break
    annealing = max(1, round(_ANNEALING * taken))
    tail = max(1, round(_AVERAGED * annealing))
    mean_loc, mean_log_scale = torch.zeros_like(loc), torch.zeros_like(log_scale)
    adam.forget(torch.arange(starts))
    for t in range(annealing):
        step(0.5 * learning_rate * (1 + math.cos(math.pi * (t + 0.5) / annealing)), own_curvature=True)
        if t >= annealing - tail:
            mean_loc += loc / tail
            mean_log_scale += log_scale / tail
    report(taken + annealing, float(history[-1].max()))
    return Ascent(mean_loc, mean_log_scale.exp(), torch.stack(history), taken + annealing, settled)


def _settled(history: list[Tensor], errors: list[Tensor]) -> bool:
    if len(history) < 4:
        return False
    bounds, errors_ = torch.stack(history[-4:]), torch.stack(errors[-4:])
    best = int(torch.nan_to_num(bounds[-1], nan=-math.inf).argmax())
    rise = float(bounds[2:, best].mean() - bounds[:2, best].mean())
    return rise < 2 * float(errors_[:, best].square().sum().sqrt()) / 2


class _Rows:
    """The log posterior and its gradient: on all rows, or on minibatches in random order."""

    def __init__(self, posterior: NetworkPosterior, batch_size: int | None, seed: int) -> None:
        self.posterior, self.batch_size = posterior, batch_size
        self.generator, self.queue = stream(seed, 0, _NOISE + 1), list[Tensor]()

    def __call__(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        posterior, n = self.posterior, len(self.posterior.x)
        if self.batch_size is None or self.batch_size >= n:
            return posterior.value_and_grad(theta)
        if not self.queue:
            order = torch.randperm(n, generator=self.generator).to(posterior.x.device)
            self.queue = list(order.split(self.batch_size))
        batch = self.queue.pop()
        return value_and_grad(posterior, theta, posterior.x[batch], posterior.y[batch], n / len(batch))
