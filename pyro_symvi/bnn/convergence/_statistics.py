"""R-hat, effective sample size and Monte Carlo error of many quantities at once, through arviz_stats."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Fewer draws in a piece say too little of its mean (Sommer et al. 2024 take pieces of 50 and more).
FEWEST_IN_PIECE = 50
#: R-hat halves chains; fewer draws than this say nothing.
FEWEST_DRAWS = 8


def rhat(values: Tensor) -> Tensor:
    """Rank-normalised split R-hat of values ``[chains, draws, *quantities]``, ``[*quantities]``.

    The larger of that of ranks and that of folded ranks, each chain cut in half (Vehtari, Gelman, Simpson, Carpenter
    and Burkner 2021): sqrt(((N - 1) / N W + B / N) / W) with the mean within-chain variance W and B / N the variance of
    chain means, over 2 x chains half chains. 1.01 and less is good. A quantity that never moves has nan; one that moves
    only between chains has infinity. With one chain only its halves are compared.
    """
    array = _checked(values)
    found = _call("rhat", array, method="rank")
    spread = array.max((0, 1)) > array.min((0, 1))
    moves = (array.max(1) > array.min(1)).any(0)
    found = np.where(spread & ~moves, np.inf, np.where(spread, found, np.nan))
    return torch.from_numpy(found)


def chainwise_rhat(values: Tensor, pieces: int = 4) -> Tensor:
    """R-hat of each chain alone, cut into ``pieces`` in time, ``[chains, *quantities]``.

    Small values say that a chain is stationary within the mode it has found; they say nothing of other modes (Sommer,
    Wimmer, Papamarkou, Bothmann, Bischl and Rugamer 2024). Rank-normalised as :func:`rhat` is; draws left over are
    those at the start. A chain in which a quantity never moves, while it does in another, has infinity: it is stuck.

    Raises:
        ValueError: an odd number of pieces, or pieces of fewer than 50 draws.
    """
    if isinstance(pieces, bool) or not isinstance(pieces, int) or pieces < 2 or pieces % 2:
        raise ValueError(f"expected an even number of pieces, got {pieces!r}, because chains are halved and halved")
    array = _checked(values)
    chains, draws = array.shape[:2]
    length = 2 * (draws // pieces)
    if length < 2 * FEWEST_IN_PIECE:
        raise ValueError(
            f"expected pieces of at least {FEWEST_IN_PIECE} draws, got {draws} draws in {pieces} pieces; try more draws"
        )
    cut = array[:, draws - length * (pieces // 2) :].reshape(chains, pieces // 2, length, -1)
    found = rhat(torch.from_numpy(cut.transpose(1, 2, 0, 3).copy())).reshape(chains, -1)
    moves = ~found.isnan()
    found = torch.where(~moves & moves.any(0), torch.inf, found)
    return found.reshape(chains, *values.shape[2:])


def ess(values: Tensor, kind: str = "bulk") -> Tensor:
    """Effective sample size of ``[chains, draws, *quantities]``, all chains together, ``[*quantities]``.

    ``"bulk"``: of rank-normalised values, for means. ``"tail"``: the smaller of those of the 5 % and 95 % quantiles
    (Vehtari et al. 2021). 400 and more is good. A quantity that never moves has nan.

    Raises:
        ValueError: for a kind other than bulk and tail.
    """
    if kind not in ("bulk", "tail"):
        raise ValueError(f"expected kind='bulk' or 'tail', got {kind!r}")
    array = _checked(values)
    options: dict[str, Any] = {"method": "tail", "prob": (0.05, 0.95)} if kind == "tail" else {"method": "bulk"}
    found = _call("ess", array, **options)
    return torch.from_numpy(np.where(array.max((0, 1)) > array.min((0, 1)), found, np.nan))


def mcse(values: Tensor) -> Tensor:
    """Monte Carlo standard error of the mean over all draws, ``[*quantities]``: sd / sqrt(ESS of the mean)."""
    return torch.from_numpy(_call("mcse", _checked(values), method="mean"))


def bfmi(energy: Tensor) -> Tensor:
    """Estimated Bayesian fraction of missing information from energies ``[chains, draws]``, one a chain.

    Mean squared change of the energy from draw to draw over its variance (Betancourt 2016). Below 0.3 is bad: momenta
    that are drawn anew move the energy too little. It speaks of samplers that do so between two draws, unthinned.
    """
    return torch.from_numpy(_call("bfmi", _checked(energy)))


def _checked(values: Tensor) -> np.ndarray:
    if not isinstance(values, Tensor):
        raise TypeError(f"expected values as a tensor [chains, draws, ...], got {type(values).__name__}")
    if values.ndim < 2 or values.shape[0] < 1 or values.shape[1] < FEWEST_DRAWS:
        raise ValueError(
            f"expected values [chains, draws >= {FEWEST_DRAWS}, ...], got {list(values.shape)}, because chains are "
            "cut in half"
        )
    if not bool(torch.isfinite(values).all()):
        raise ValueError("expected finite values, got nan or infinity; try to leave out chains that diverged")
    return values.detach().cpu().double().numpy()


def _call(name: str, array: np.ndarray, **options: Any) -> np.ndarray:
    from arviz_stats.base import array_stats

    function: Callable[..., Any] = getattr(array_stats, name)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(function(array, chain_axis=0, draw_axis=1, **options), dtype=float)
