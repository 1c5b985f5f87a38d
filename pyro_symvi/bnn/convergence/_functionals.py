"""Quantities that the symmetries of a network leave alone: what it predicts, and norms of its units, sorted."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from .._draws import Draws
from .._perceptron import Perceptron
from .._posterior import NetworkPosterior
from ..predictions._rows import check_draws, check_inputs, row_blocks


def predictions_at(posterior: NetworkPosterior, draws: Draws, x: Tensor) -> Tensor:
    """What each draw predicts at ``x`` ``[n, ...]``, ``[chains, draws, q]``: functions of f, whatever the weights.

    Real targets: the means of all targets, and the log standard deviations where they differ between rows. Classes:
    the probabilities, without that of the first class.
    """
    check_draws(posterior, draws)
    x = check_inputs(posterior, x)
    theta = draws.flat.to(posterior.x)
    extra = posterior.extra(theta)
    parts = []
    for _, outputs in row_blocks(posterior, theta, x):
        law = posterior.likelihood.predictive(outputs, extra)
        if isinstance(law, torch.distributions.Categorical):
            parts.append(law.probs[..., 1:].flatten(1))
            continue
        parts.append(law.mean.flatten(1))
        scale = law.stddev
        if bool((scale != scale[:, :1]).any()):
            parts.append(scale.log().flatten(1))
    return torch.cat(parts, 1).reshape(draws.chains, draws.draws, -1)


def log_likelihoods(posterior: NetworkPosterior, draws: Draws, x: Tensor, y: Tensor) -> Tensor:
    """Sum over the rows of log p(y_i | x_i, theta), ``[chains, draws]``."""
    check_draws(posterior, draws)
    theta = draws.flat.to(posterior.x)
    extra, total = posterior.extra(theta), theta.new_zeros(len(theta))
    for rows, outputs in row_blocks(posterior, theta, x):
        total += posterior.likelihood.log_prob(outputs, y[rows], extra).sum(-1)
    return total.reshape(draws.chains, draws.draws)


def invariants_of_units(posterior: NetworkPosterior, draws: Draws, symmetry: Any = None) -> dict[str, Tensor]:
    """Norms of the hidden units, sorted within each layer: name of the layer to ``[chains, draws, q]``.

    Where units may be rescaled (phi(c z) = c^k phi(z)) log omega_j, omega_j = |w_j|^k |v_j| with w_j, v_j the weights
    into and out of unit j over their prior scales; else the logs of both norms. Permutations, signs and rescalings of
    units change none of them. Left out: linear layers, which more than these groups leave alone.

    Args:
        posterior: of a perceptron, unless ``symmetry`` is given.
        draws: of its parameters.
        symmetry: a ``NetworkSymmetry``, which also finds the units of networks that are no perceptrons.
    """
    check_draws(posterior, draws)
    white = draws.theta.double() / posterior.parameter_prior.scale.to(draws.theta.device)
    found = {}
    for name, incoming, outgoing, degree in _layers(posterior, symmetry):
        norms = [white[..., index].square().sum(-1) for index in (incoming, outgoing)]
        into, out = (0.5 * norm.clamp_min(torch.finfo(norm.dtype).tiny).log() for norm in norms)
        parts = [into, out] if degree is None else [degree * into + out]
        found[name] = torch.cat([part.sort(-1).values for part in parts], -1)
    return found


def _layers(posterior: NetworkPosterior, symmetry: Any) -> list[tuple[str, Tensor, Tensor, float | None]]:
    """Name, places of the weights into and out of each unit ``[h, p]`` and ``[h, q]``, and degree, of each layer."""
    if symmetry is not None:
        return [
            (layer.name, layer.incoming, layer.outgoing, layer.degree) for layer in symmetry.layers if not layer.linear
        ]
    perceptron = Perceptron.of(posterior.network)
    if perceptron is None:
        raise ValueError(
            f"expected a perceptron, got {type(posterior.network).__name__}, because the units of its layers are not "
            "known; try symmetry=NetworkSymmetry.from_module(network)"
        )
    places = torch.arange(posterior.dim)
    layers = []
    for before, after in itertools.pairwise(perceptron.stages):
        if before.activation.linear:
            continue
        incoming = places[posterior.layout.slices[before.weight]].reshape(before.outputs, before.inputs)
        if before.bias is not None:
            incoming = torch.cat([incoming, places[posterior.layout.slices[before.bias], None]], 1)
        outgoing = places[posterior.layout.slices[after.weight]].reshape(after.outputs, after.inputs).T
        layers.append((before.weight, incoming, outgoing, before.activation.degree))
    return layers
