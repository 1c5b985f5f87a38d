"""The spectrum of a model's layers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from ...groups import Group, Irrep, Quadrature
from .._capture import OUTPUT
from .._columns import Columns
from .._inputs import Inputs
from .._moments import FourierSums
from .._rules import MonteCarlo, exact_rule, given_rule
from .._sweep import Sweep
from ._checks import ConvergenceWarning, change, checked_mask, convergence_text, masked, require_bessel, require_use
from ._estimates import DrawSums
from ._gram import require_gram
from ._joining import joined_layer
from ._result import LayerSpectrum, Replicates
from ._spectra import Spectrum


def spectrum(
    model: Any,
    x: Any,
    group: Group,
    cutoff: int | None = None,
    *,
    rho_in: Any = None,
    layers: Sequence[str] | str | None = None,
    degree: int | None = None,
    rule: Quadrature | MonteCarlo | None = None,
    mask: Tensor | None = None,
    check: bool = False,
    batch: int = 256,
    allow_training: bool = False,
) -> Spectrum:
    """How the response u(g) = f(g x) of every layer divides among the irreducible representations of a group.

    B_beta = d_beta / e_beta |E_g[rho_beta(g) u(g)]|_F^2, and E|u|^2 = sum over all beta of B_beta (Plancherel).
    Nothing needs to be known of how a layer ought to transform. All energy in one sector is necessary for
    equivariance with values there, not sufficient: see :func:`~pyro_symvi.equivariance.equivariance_error`.

    Args:
        model: a torch module in evaluation mode, or a function; samples first, in inputs and outputs. Channels are
            the last axis of an output; axes between are sites, whose energies are added.
        x: samples ``[B, ...]``: a tensor, or a tuple, list or dict of them (see ``Inputs``).
        group: compact.
        cutoff: largest label of the irreps of a Lie group; a finite group has all of them.
        rho_in: how the group moves the inputs; may be left out for vectors on the last axis of a single tensor.
        layers: names or patterns of modules; None for every module without children, () for the output alone. Modules
            that were not asked for by name and have no samples on the first axis are left out, see ``left_out``.
        degree: of the rule, at least (and by default) 2 ``cutoff``; more where the response has a larger band.
        rule: :class:`MonteCarlo` for unbiased estimates with standard errors, :func:`lebedev_rule`, or a rule of your
            own, which has to pass :func:`gram_error`.
        mask: ``[B, N]`` of zeros and ones: points that count, in outputs ``[B, N, ...]`` (others are left alone).
            Energies are sums over points.
        check: compute again with a rule of degree + 2, keep the differences (``changes``) and warn where one is above
            1 % of what varies. Costs a little over twice as much. Nothing is done for finite groups and estimates.
        batch: samples per forward pass.
        allow_training: take a model that is in training mode.

    Raises:
        ValueError: for a rule too short or wrong, training mode, chance in the model, samples that see each other,
            outputs whose shape changes with orientation, nan; energies below zero or in excess of E|u|^2 by more than
            rounding (a rule with negative weights).

    Warns:
        ConvergenceWarning: with ``check=True``.
    """
    inputs = Inputs.of(x, group, rho_in)
    irreps = group.irreps(cutoff)
    counts = checked_mask(mask, inputs.samples)
    chosen = _rule(group, cutoff, degree, rule)

    left_out: dict[str, str] = {}

    def layers_by(rule: Quadrature, estimate: bool = False) -> dict[str, LayerSpectrum]:
        sweep = Sweep(model, inputs, rule, layers, batch, allow_training)
        found = _layers(sweep, irreps, counts, estimate)
        left_out.update(sweep.left_out)
        return found

    estimate = isinstance(rule, MonteCarlo)
    labels, dimensions = tuple(irrep.label for irrep in irreps), tuple(irrep.dimension for irrep in irreps)
    coarse = layers_by(chosen, estimate)
    seed = rule.seed if isinstance(rule, MonteCarlo) else None
    found = Spectrum(
        coarse, group, labels, dimensions, chosen.degree, len(chosen.weights), seed=seed, left_out=left_out
    )
    if check and not group.is_finite and not estimate:
        fine = layers_by(group.quadrature(_next_degree(chosen.degree, cutoff)))
        found = replace(found, changes={name: change(layer, fine[name]) for name, layer in coarse.items()})
        text = convergence_text(found)
        if text:
            warnings.warn(text, ConvergenceWarning, stacklevel=2)
    return found


def _rule(group: Group, cutoff: int | None, degree: int | None, rule: Quadrature | MonteCarlo | None) -> Quadrature:
    needed = 0 if cutoff is None else 2 * cutoff
    if isinstance(rule, MonteCarlo):
        return rule.draws(group)
    if rule is None:
        return exact_rule(group, needed, degree)
    rule = given_rule(rule)
    if not group.is_finite:
        rule.require(needed)
    return require_gram(group, rule, cutoff)


def _next_degree(degree: float, cutoff: int | None) -> int:
    """Two more; a rule of one's own that calls itself exact for everything is compared with the least but one."""
    return 2 * (cutoff or 0) + 2 if math.isinf(degree) else int(degree) + 2


def _layers(sweep: Sweep, irreps: Sequence[Irrep], mask: Tensor | None, estimate: bool) -> dict[str, LayerSpectrum]:
    """Spectra of a few samples at a time, joined: coefficients of all samples at once would take much memory."""
    columns = Columns(irreps)
    few = sweep.parts(columns.run_length(sweep.rule.elements))
    parts = [_part(part, columns, None if mask is None else mask[rows], estimate) for rows, part in few]
    return {name: joined_layer([part[name] for part in parts]) for name in parts[0]}


def _part(sweep: Sweep, columns: Columns, mask: Tensor | None, estimate: bool) -> dict[str, LayerSpectrum]:
    irreps, evaluations = columns.irreps, len(sweep.rule.weights)
    sums: dict[str, FourierSums | DrawSums] = {}
    for block, (elements, weights, responses) in enumerate(sweep.blocks()):
        if not sums:
            require_use(mask, responses)
        matrices = columns.full(elements) if estimate else None
        for name, value in responses.items():
            if name not in sums:
                sums[name] = DrawSums(irreps, evaluations) if estimate else FourierSums(irreps, columns)
            entry = sums[name]
            if isinstance(entry, FourierSums):
                entry.add_at(elements, weights, masked(value, mask), block)
            elif matrices is not None:
                entry.add_block(matrices, weights, masked(value, mask))
    labels = tuple(irrep.label for irrep in irreps)
    found = {}
    for name, s in sorted(sums.items(), key=lambda item: _last(item[0])):
        found[name] = _layer(name, labels, s)
        if not estimate:
            require_bessel(found[name], evaluations)
    return found


def _layer(name: str, labels: tuple[Any, ...], sums: FourierSums | DrawSums) -> LayerSpectrum:
    if isinstance(sums, FourierSums):
        energies, total = _by_channel(sums.energies(), 1), _by_channel(sums.square, 0)
        return LayerSpectrum(name, labels, energies, total)
    energies, total = sums.estimates()
    energies, total = _by_channel(energies, 2), _by_channel(total, 1)
    return LayerSpectrum(name, labels, energies[0], total[0], Replicates(energies[1:], total[1:]))


def _by_channel(value: Tensor, axis: int) -> Tensor:
    """``[..., B, *sites, channels]`` summed over sites; samples are on ``axis``. On the CPU."""
    shape = value.shape[axis:]
    channels = shape[-1] if len(shape) > 1 else 1
    return value.reshape(*value.shape[:axis], shape[0], -1, channels).sum(-2).cpu()


def _last(name: str) -> bool:
    return name == OUTPUT or name.startswith(f"{OUTPUT}[")
