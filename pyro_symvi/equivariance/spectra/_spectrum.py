"""The spectrum of a model's layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...groups import Group, Quadrature
from .._capture import OUTPUT
from .._inputs import Inputs
from .._moments import FourierSums
from .._rules import MonteCarlo, exact_rule
from .._sweep import Sweep
from ._result import LayerSpectrum, Spectrum


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
    batch: int = 256,
    allow_training: bool = False,
) -> Spectrum:
    """How the response u(g) = f(g x) of every layer divides among the irreducible representations of a group.

    B_beta = d_beta / e_beta |E_g[rho_beta(g) u(g)]|_F^2, and E|u|^2 = sum over all beta of B_beta (Plancherel).
    Nothing needs to be known of how a layer ought to transform. All energy in one sector is necessary for
    equivariance with values there, not sufficient: see :func:`~pyro_symvi.equivariance.equivariance_error`.

    Args:
        model: a torch module in evaluation mode, or a function; samples first, in inputs and outputs.
        x: samples ``[B, ...]``: a tensor, or a tuple, list or dict of them (see ``Inputs``).
        group: compact.
        cutoff: largest label of the irreps of a Lie group; a finite group has all of them.
        rho_in: how the group moves the inputs; may be left out for vectors on the last axis of a single tensor.
        layers: names or patterns of modules; None for every module without children, () for the output alone.
        degree: of the rule, at least (and by default) 2 ``cutoff``; more where the response has a larger band.
        rule: :class:`MonteCarlo`, or a rule of your own.
        mask: ``[B, N]``, points that count, for outputs ``[B, N, ...]``.
        batch: samples per forward pass.
        allow_training: take a model that is in training mode.

    Raises:
        ValueError: for a rule too short, training mode, chance in the model, samples that see each other, outputs
            whose shape changes with orientation, nan.
    """
    inputs = Inputs.of(x, group, rho_in)
    irreps = group.irreps(cutoff)
    chosen = _rule(group, cutoff, degree, rule)
    sweep = Sweep(model, inputs, chosen, layers, batch, allow_training)
    sums: dict[str, FourierSums] = {}
    for elements, weights, responses in sweep.blocks():
        matrices = FourierSums(irreps).matrices(elements)
        for name, value in responses.items():
            sums.setdefault(name, FourierSums(irreps)).add_block(matrices, weights, _masked(value, mask))
    labels = tuple(irrep.label for irrep in irreps)
    found = {name: _layer(name, labels, s) for name, s in sorted(sums.items(), key=lambda item: _last(item[0]))}
    dimensions = tuple(irrep.dimension for irrep in irreps)
    return Spectrum(found, group, labels, dimensions, chosen.degree, len(chosen.weights))


def _rule(group: Group, cutoff: int | None, degree: int | None, rule: Quadrature | MonteCarlo | None) -> Quadrature:
    needed = 0 if cutoff is None else 2 * cutoff
    if isinstance(rule, MonteCarlo):
        return rule.draws(group)
    return exact_rule(group, needed, degree) if rule is None else rule.require(needed)


def _masked(value: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None or value.shape[1 : 1 + mask.ndim] != mask.shape:
        return value
    return value * mask.to(value).reshape(*mask.shape, *(1,) * (value.ndim - 1 - mask.ndim))


def _layer(name: str, labels: tuple[Any, ...], sums: FourierSums) -> LayerSpectrum:
    energies, total = sums.energies(), sums.square
    samples, channels = len(total), total.shape[-1] if total.ndim > 1 else 1
    energies = energies.reshape(len(energies), samples, -1, channels).sum(2)
    return LayerSpectrum(name, labels, energies, total.reshape(samples, -1, channels).sum(1))


def _last(name: str) -> bool:
    return name == OUTPUT or name.startswith(f"{OUTPUT}[")
