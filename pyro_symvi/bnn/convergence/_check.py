"""The figures of convergence of one run, in three spaces."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .._draws import Draws
from .._perceptron import Perceptron
from .._posterior import NetworkPosterior
from ..predictions._rows import check_draws, check_inputs, check_targets
from ._functionals import invariants_of_units, log_likelihoods, predictions_at
from ._report import Convergence, ConvergenceLine, Subject, make_line, undefined
from ._statistics import FEWEST_DRAWS, FEWEST_IN_PIECE, bfmi, chainwise_rhat, ess, mcse, rhat

_GOOD, _BAD = 1.01, 1.05


def check_convergence(
    posterior: NetworkPosterior,
    draws: Draws,
    x: Tensor | None = None,
    y: Tensor | None = None,
    *,
    symmetry: Any = None,
    rows: int = 50,
    weights: int = 200,
    pieces: int = 4,
) -> Convergence:
    """R-hats and effective sample sizes of what is predicted, of what symmetry leaves alone, and of raw weights.

    Function space counts: predictions at the rows of ``x`` must agree between chains and within each. R-hat of raw
    weights between chains is large wherever chains sit in different copies of one mode (permuted or rescaled hidden
    units): it is shown and counts for nothing. Between the two lie weights up to symmetry: sorted norms of units, and
    canonical weights where a ``symmetry`` is given.

    R-hat reads good up to 1.01 and bad beyond 1.05; effective sample sizes good from 400 and bad below 100, always for
    the worst quantity. One chain, or independent draws of an approximation, cannot show whether others would agree.

    Args:
        posterior: whose draws these are.
        draws: chains of a sampler, at least 8 draws each.
        x: inputs to predict at; those of the posterior unless given.
        y: their targets, for the log likelihood of all rows.
        symmetry: a ``NetworkSymmetry``, for the line on canonical weights; or whatever else has ``canonicalize``, from
            theta ``[*batch, dim]`` to a canonical form of the same shape (``rescaling.Canonicaliser``).
        rows: predictions are looked at on so many rows at most, evenly spaced.
        weights: so many single weights at most, evenly spaced.
        pieces: of each chain, compared with one another; even.

    Returns:
        A :class:`Convergence`; its ``reading()`` is the verdict for predictions.

    Raises:
        ValueError: for chains too short to be compared with their own halves, and for y without x.
    """
    check_draws(posterior, draws)
    if draws.draws < FEWEST_DRAWS:
        raise ValueError(
            f"expected at least {FEWEST_DRAWS} draws a chain, got {draws.draws} of {draws.source}, because chains are "
            "compared with their own halves; independent draws and ensembles have nothing to converge: try evaluate"
        )
    if (x is None) and y is not None:
        raise ValueError("expected x with y, got y alone")
    if x is None:
        x, y = posterior.x, posterior.y
    x = check_inputs(posterior, x)
    y = None if y is None else check_targets(posterior, x, y)
    predictions = predictions_at(posterior, draws, x[_spaced(len(x), rows)])
    lines = _function_space(posterior, draws, predictions, x, y)
    lines.append(_within(draws, predictions, pieces, "R-hat within chains, predictions", Subject.PREDICTIONS))
    lines += _up_to_symmetry(posterior, draws, symmetry, weights, pieces)
    lines += _raw_weights(draws, weights, pieces)
    lines += _rounding(draws) + _energy(draws)
    lines += _copies(draws)
    return Convergence(draws.source, draws.chains, draws.draws, tuple(lines))


def _copies(draws: Draws) -> list[ConvergenceLine]:
    """A line where chains hold the same draws, which agree whatever they are."""
    copies = draws.chains - len(torch.unique(draws.theta.flatten(1), dim=0))
    if not copies:
        return []
    meaning = "chains with the very draws of another, as from one seed: they cannot show whether others would agree"
    return [make_line("copied chains", Subject.PREDICTIONS, torch.tensor([float(copies)]), 0.0, 0.0, meaning)]


def _spaced(n: int, at_most: int) -> Tensor:
    return torch.linspace(0, n - 1, min(n, at_most)).round().long()


def _between(draws: Draws, name: str, subject: Subject, values: Callable[[], Tensor], meaning: str) -> ConvergenceLine:
    """R-hat between chains, which needs two."""
    if draws.chains < 2:
        return undefined(name, subject, "one chain cannot show whether others would agree")
    return make_line(name, subject, rhat(values()), _GOOD, _BAD, meaning)


def _within(draws: Draws, values: Tensor, pieces: int, name: str, subject: Subject, more: str = "") -> ConvergenceLine:
    """R-hat between pieces of each chain, looser by the shortness of pieces."""
    if draws.draws < pieces * FEWEST_IN_PIECE:
        return undefined(name, subject, f"needs {pieces} pieces of {FEWEST_IN_PIECE} draws a chain")
    meaning = more or f"is each chain stationary? {pieces} pieces of it compared; good to 1.05, bad from 1.2"
    return make_line(name, subject, chainwise_rhat(values, pieces), 1.05, 1.2, meaning)


def _function_space(
    posterior: NetworkPosterior, draws: Draws, predictions: Tensor, x: Tensor, y: Tensor | None
) -> list[ConvergenceLine]:
    subject, count = Subject.PREDICTIONS, predictions.shape[-1]
    lines = [
        _between(
            draws, "R-hat, predictions", subject, lambda: predictions,
            f"do chains predict the same? {count} predictions; good to {_GOOD}, bad from {_BAD}",
        )
    ]  # fmt: skip
    if y is not None:
        lines.append(
            _between(
                draws, "R-hat, log likelihood", subject, lambda: log_likelihoods(posterior, draws, x, y)[..., None],
                f"do chains fit equally well? summed over {len(x)} rows",
            )
        )  # fmt: skip
    if posterior.layout.extras:
        extra = posterior.extra(draws.theta)
        lines.append(_between(draws, "R-hat, noise", subject, lambda: extra, "parameters of the likelihood"))
    for kind in ("bulk", "tail"):
        what = "their means" if kind == "bulk" else "their 5 % and 95 % quantiles"
        meaning = f"independent draws that would tell {what} as well; good from 400, bad below 100"
        lines.append(
            make_line(f"ESS {kind}", subject, ess(predictions, kind), 400, 100, meaning, larger_is_better=True)
        )
    relative = mcse(predictions) / predictions.double().flatten(0, 1).std(0).cpu()
    meaning = "Monte Carlo error of mean predictions, in posterior sd; good to 0.05, bad from 0.1"
    lines.append(make_line("MCSE / sd", subject, relative, 0.05, 0.1, meaning))
    return lines


def _up_to_symmetry(
    posterior: NetworkPosterior, draws: Draws, symmetry: Any, weights: int, pieces: int
) -> list[ConvergenceLine]:
    subject, lines = Subject.WEIGHTS, []
    layers = symmetry if hasattr(symmetry, "layers") else None
    if layers is not None or Perceptron.of(posterior.network) is not None:
        norms = invariants_of_units(posterior, draws, layers)
        if norms:
            values = torch.cat(list(norms.values()), -1)
            meaning = "sorted norms of hidden units, which no permutation, sign or rescaling changes"
            lines.append(_between(draws, "R-hat, unit norms", subject, lambda: values, meaning))
            lines.append(_within(draws, values, pieces, "R-hat within chains, unit norms", subject))
    if symmetry is not None:
        theta = symmetry.canonicalize(draws.theta)
        chosen = theta[..., _spaced(theta.shape[-1], weights)]
        meaning = "weights after each draw is brought to its canonical form; large too where that form jumps"
        lines.append(_between(draws, "R-hat, canonical weights", subject, lambda: chosen, meaning))
    return lines


def _raw_weights(draws: Draws, weights: int, pieces: int) -> list[ConvergenceLine]:
    chosen, subject = draws.theta[..., _spaced(draws.theta.shape[-1], weights)], Subject.NOTHING
    meaning = "raw weights; large where chains sit in permuted or rescaled copies of a mode, which is harmless"
    more = "does each chain stay in one copy of a mode? large where it hops between copies, which is harmless"
    return [
        _within(draws, chosen, pieces, "R-hat within chains, raw weights", subject, more),
        _between(draws, "R-hat, raw weights", subject, lambda: chosen, meaning),
    ]


def _rounding(draws: Draws) -> list[ConvergenceLine]:
    """Whether the log density has digits left: its rounding decides on acceptance where it is not small beside 1."""
    if "log_density" not in draws.stats:
        return []
    rounding = draws.stats["log_density"].double().abs().amax(-1) * torch.finfo(draws.theta.dtype).eps
    meaning = "rounding error of the log density; good to 0.01, bad from 0.1: then sample with dtype=torch.float64"
    return [make_line("rounding", Subject.PREDICTIONS, rounding, 0.01, 0.1, meaning)]


def _energy(draws: Draws) -> list[ConvergenceLine]:
    lines, subject = [], Subject.PREDICTIONS
    if "energy" in draws.stats:
        meaning = "is the energy resampled? good from 0.3, bad below 0.2"
        fraction = bfmi(draws.stats["energy"])
        lines.append(make_line("E-BFMI", subject, fraction, 0.3, 0.2, meaning, larger_is_better=True))
    if "energy_error" in draws.stats:
        error = draws.stats["energy_error"].double()
        share = (~(error.abs() <= 1000)).double().mean(-1)
        meaning = "share of steps with an energy error beyond 1000 or none; good at 0, bad from 0.01"
        lines.append(make_line("divergent steps", subject, share, 0.0, 0.01, meaning))
        if "acceptance" in draws.stats and bool((draws.stats["acceptance"] != 1).any()):
            meaning = "of each chain; good from 0.5, bad below 0.2"
            accepted = draws.stats["acceptance"].double().mean(-1)
            lines.append(make_line("acceptance", subject, accepted, 0.5, 0.2, meaning, larger_is_better=True))
        else:
            variance = error.nan_to_num(math.inf, math.inf, math.inf).var(-1) / draws.theta.shape[-1]
            meaning = "variance of the energy error a dimension, sets the bias of unadjusted samplers"
            lines.append(make_line("energy error", Subject.NOTHING, variance, math.inf, math.inf, meaning))
    return lines
