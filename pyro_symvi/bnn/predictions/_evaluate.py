"""Scoring draws of weights on rows, whatever made the draws."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .._draws import Draws
from .._posterior import NetworkPosterior
from ._mixture import NormalMixture
from ._rows import BUDGET, check_draws, check_inputs, check_targets, row_blocks
from ._scores import ClassificationScores, RegressionScores, Scores


def evaluate(
    posterior: NetworkPosterior,
    draws: Draws,
    x: Tensor,
    y: Tensor,
    *,
    target_scale: float | Tensor = 1.0,
    levels: Sequence[float] = (0.5, 0.75, 0.9, 0.95),
    block: int = BUDGET,
) -> Scores:
    """Scores of the equal-weight mixture over all draws of all chains on rows ``x`` ``[n, ...]``, ``y``.

    Draws may come from a sampler, an approximation or a deep ensemble (each member a draw). Rows are worked off in
    blocks of about ``block`` numbers, so that memory does not grow with rows times draws.

    Args:
        posterior: the network and its likelihood; its own rows are not used.
        draws: of its parameters.
        x: inputs, transformed as those the posterior was given.
        y: targets, transformed likewise.
        target_scale: what targets were divided by (a number, or one a target): LPPD becomes that of the raw target by
            subtracting its log, and RMSE and CRPS are multiplied by it. ``split.y_scale`` of a table's split.
        levels: of central predictive intervals.
        block: numbers held at once.

    Returns:
        :class:`RegressionScores` or :class:`ClassificationScores`; ``print`` shows a table.

    Raises:
        TypeError: draws or tensors of another kind, or a likelihood whose predictive law is neither normal nor
            categorical.
        ValueError: shapes that do not fit, nan or infinity, unknown classes, levels outside (0, 1).
    """
    check_draws(posterior, draws)
    levels = _check_levels(levels)
    x = check_inputs(posterior, x)
    y = check_targets(posterior, x, y)
    scale = _check_scale(posterior, target_scale, y)
    log_scale = float(scale.log().sum())
    shape = (draws.chains, draws.draws)
    theta = draws.flat.to(posterior.x)
    extra = posterior.extra(theta)
    pointwise, sums = [], _Sums(*shape)
    parts: list[tuple[Tensor, ...]] = []
    for rows, outputs in row_blocks(posterior, theta, x, block):
        log_density = posterior.likelihood.log_prob(outputs, y[rows], extra).double().reshape(*shape, -1) - log_scale
        pointwise.append(log_density.flatten(0, 1).logsumexp(0) - math.log(len(theta)))
        sums.add(log_density)
        law = posterior.likelihood.predictive(outputs, extra)
        if posterior.likelihood.is_classification:
            parts.append((_probabilities(law).double().mean(0),))
        else:
            mixture, target = _mixture(law), y[rows].double()
            parts.append((target - mixture.mean(), mixture.cdf(target), mixture.crps(target)))
    found = [torch.cat(part).cpu() for part in zip(*parts, strict=True)]
    common = (draws.source, *shape, torch.cat(pointwise).cpu(), *sums.means(len(x)), scale.cpu())
    if posterior.likelihood.is_classification:
        return ClassificationScores(*common, found[0], y.cpu())
    units = scale.cpu()
    return RegressionScores(*common, found[0] * units, found[1], found[2] * units, levels)


def predictive_mixture(posterior: NetworkPosterior, draws: Draws, x: Tensor) -> NormalMixture:
    """The predictive law of real targets at ``x``, places ``[n, m]``: its mean, density, quantiles and intervals.

    Held in memory whole: two numbers for each draw, row and target.
    """
    check_draws(posterior, draws)
    x = check_inputs(posterior, x)
    with torch.no_grad():
        return _mixture(posterior.predictive(draws.flat.to(posterior.x), x))


class _Sums:
    """Sums over rows of log mean densities over growing sets of draws."""

    def __init__(self, chains: int, draws: int) -> None:
        self.of_chains = torch.zeros(chains, dtype=torch.float64)
        self.by_chains, self.by_draws = self.of_chains.clone(), torch.zeros(draws, dtype=torch.float64)

    def add(self, log_density: Tensor) -> None:
        """Add rows, ``[chains, draws, rows]``."""
        chains, draws = log_density.shape[:2]
        counts = torch.arange(1, max(chains, draws) + 1, dtype=torch.float64, device=log_density.device)
        each = log_density.logsumexp(1)
        together = log_density.logsumexp(0).logcumsumexp(0) - (counts[:draws, None] * chains).log()
        self.of_chains += (each - math.log(draws)).sum(-1).cpu()
        self.by_chains += (each.logcumsumexp(0) - (counts[:chains, None] * draws).log()).sum(-1).cpu()
        self.by_draws += together.sum(-1).cpu()

    def means(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Means over rows: of each chain, by chains, by draws."""
        return self.of_chains / rows, self.by_chains / rows, self.by_draws / rows


def _mixture(law: torch.distributions.Distribution) -> NormalMixture:
    inner = law.base_dist if isinstance(law, torch.distributions.Independent) else law
    if not isinstance(inner, torch.distributions.Normal):
        raise TypeError(f"expected normal laws of the targets given the weights, got {type(inner).__name__}")
    return NormalMixture(inner.loc, inner.scale)


def _probabilities(law: torch.distributions.Distribution) -> Tensor:
    if not isinstance(law, torch.distributions.Categorical):
        raise TypeError(f"expected categorical laws of the classes given the weights, got {type(law).__name__}")
    return law.probs


def _check_levels(levels: Sequence[float]) -> tuple[float, ...]:
    levels = tuple(float(level) for level in levels)
    if not levels or not all(0 < level < 1 for level in levels):
        raise ValueError(f"expected levels in (0, 1), got {levels}; try (0.5, 0.9)")
    return levels


def _check_scale(posterior: NetworkPosterior, target_scale: float | Tensor, y: Tensor) -> Tensor:
    if posterior.likelihood.is_classification:
        if not (isinstance(target_scale, int | float) and target_scale == 1):
            raise ValueError(f"expected target_scale=1 for classes, got {target_scale}, because they have no unit")
        return torch.ones(1, dtype=torch.float64)
    scale = torch.as_tensor(target_scale, dtype=torch.float64, device=y.device).reshape(-1)
    if len(scale) not in (1, y.shape[1]) or not bool((torch.isfinite(scale) & (scale > 0)).all()):
        raise ValueError(f"expected a positive target_scale, or {y.shape[1]} of them, got {target_scale}")
    return scale.expand(y.shape[1])
