"""Standard errors of means over chains, and the verdict on many means that ought to be zero."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

#: Chains are cut into pieces until there are this many batch means.
BATCHES = 24
#: Below this many batch means no verdict is given.
FEWEST_BATCHES = 8
#: Level of a verdict, all tests together.
LEVEL = 0.01


@dataclass(frozen=True)
class ZeroMean:
    """Means that ought to be zero: ``mean``, ``error`` (standard error) and ``z``, each ``[...]``.

    z is the normal quantile of the p-value of Student's t with ``batches`` - 1 degrees of freedom, so that it reads
    as a number of standard deviations however few chains there are.
    """

    mean: Tensor
    error: Tensor
    z: Tensor
    batches: int


def zero_mean(values: Tensor) -> ZeroMean:
    """Test of E[values] = 0 from ``[chains, draws, ...]``, with errors between chains.

    With 24 chains or more, one mean a chain. With fewer, each chain is cut into equally many consecutive pieces, 24
    or more in all, and the means of the pieces are taken as independent: right where a piece is many autocorrelation
    times long (or the draws are independent), too small an error otherwise.

    Averages of squares are skewed, which Student's t does not know. Exact draws of a posterior (three ReLU units, 30
    tests, 100 replications each) were called violated at level 0.01 in 1 % of runs where draws were independent, in 2
    to 5 % where pieces were 8 to 16 autocorrelation times long, and in 5 to 9 % where they were 3.4: a p-value just
    below the level is worth a longer run.
    """
    return of_batch_means(in_pieces(values).mean(1))


def in_pieces(values: Tensor) -> Tensor:
    """``[chains, draws, ...]`` cut into ``[batches, length, ...]``; the last draws may be left out."""
    chains, draws = values.shape[:2]
    pieces = min(max(1, math.ceil(BATCHES / chains)), draws)
    length = draws // pieces
    return values[:, : pieces * length].reshape(chains * pieces, length, *values.shape[2:])


def of_batch_means(means: Tensor) -> ZeroMean:
    """The test from batch means ``[batches, ...]``."""
    batches, mean = len(means), means.mean(0)
    if batches < 2:
        return ZeroMean(mean, torch.full_like(mean, math.nan), torch.zeros_like(mean), batches)
    error = means.std(0) / math.sqrt(batches)
    return ZeroMean(mean, error, normal_score(mean, error, batches), batches)


def normal_score(mean: Tensor, error: Tensor, batches: int) -> Tensor:
    """Sign and normal quantile of the two-sided p-value of Student's t; 0 / 0 gives 0."""
    from scipy import special

    t = torch.where((mean == 0) & (error == 0), torch.zeros_like(mean), mean / error)
    tail = special.stdtr(batches - 1, -t.abs().double().cpu().numpy()).clip(min=1e-300)
    return torch.as_tensor(-special.ndtri(tail)).to(mean) * t.sign()


def bonferroni(z: Tensor) -> float:
    """Probability, at most, that any of so many independent or dependent z would be as far out as the farthest.

    Zero where a z is nan: weights so large that what is averaged overflows are no draws of a posterior.
    """
    from scipy import special

    if bool(z.isnan().any()):
        return 0.0
    return min(1.0, z.numel() * 2 * float(special.ndtr(-float(z.abs().max())))) if z.numel() else 1.0


def verdict(z: Tensor, batches: int, level: float = LEVEL) -> str:
    """Three words: ``violated``, ``no violation seen``, or ``too few chains``."""
    if batches < FEWEST_BATCHES:
        return "too few chains"
    return "violated" if bonferroni(z) < level else "no violation seen"
