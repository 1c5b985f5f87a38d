"""Translations: no Haar probability, so a window of shifts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...groups import Quadrature, TranslationAction
from ...groups._errors import sentence
from .._inputs import Inputs, leaves
from ._error import Whole, errors_of
from ._outputs import is_structure
from ._result import EquivarianceErrors


def translation_error(
    model: Any,
    x: Any,
    rho_in: Any = None,
    rho_out: Any = None,
    *,
    shifts: Tensor | None = None,
    scale: float | None = None,
    seed: int = 0,
    mask: Tensor | None = None,
    batch: int = 256,
    allow_training: bool = False,
) -> Any:
    """How far the output of a model of points depends on where the points are, over a few shifts of them all.

    z(t) = f(x + t), or f(x + t) - t where ``rho_out`` says that the output moves along; A^2 is its variance over 0 and
    the shifts. Translations are not compact: the number speaks of this window alone, but it is 0 (rounding) for a
    model of differences, whatever the window. Rounding grows with the length of the shifts, and so does the floor.

    Args:
        model, x, batch, allow_training: as in :func:`~pyro_symvi.equivariance.spectrum`.
        rho_in: ``TranslationAction(3)`` for tensors ``[B, ..., 3]`` that move, None for those that do not, in the
            structure of x; may be left out for a single tensor.
        rho_out: the same for outputs, in their structure: ``TranslationAction(3)`` for predicted positions.
        shifts: ``[k, 3]``; by default one in each direction of space, back and forth, at random orientation, of length
            ``scale``.
        scale: length of the shifts, by default the root mean square of the coordinates.
        seed: of the orientation.
        mask: as in :func:`~pyro_symvi.equivariance.equivariance_error`.

    Returns:
        An :class:`EquivarianceError`; :class:`EquivarianceErrors` by name for a structure of outputs.

    Raises:
        ValueError: unless the shifts are finite and ``[k, n]``, and where nothing says which inputs are positions.
    """
    if isinstance(x, Tensor) and rho_in is None:
        rho_in = TranslationAction(x.shape[-1])
    moving = _moving(rho_in)
    if not moving:
        raise ValueError(
            sentence(
                "rho_in= with a TranslationAction for the points that move",
                rho_in,
                "nothing says which of the inputs are positions",
                "{'positions': TranslationAction(3), 'species': None}",
            )
        )
    group = moving[0].group
    if shifts is None:
        size = _size(Inputs.of(x, group, rho_in)) if scale is None else scale
        chance = torch.Generator().manual_seed(seed)
        frame = torch.linalg.qr(torch.randn(group.n, group.n, generator=chance, dtype=torch.float64)).Q
        shifts = size * torch.cat([frame, -frame])
    elif shifts.ndim != 2 or shifts.shape[1] != group.n or not bool(torch.isfinite(shifts).all()):
        raise ValueError(f"expected finite shifts [k, {group.n}], got shape {list(shifts.shape)}")
    elements = torch.cat([shifts.new_zeros(1, group.n), shifts]).double()
    rule = Quadrature(elements, elements.new_full((len(elements),), 1 / len(elements)), 0)
    whole = Whole(model, x, group, rho_in, rho_out, None, rule, mask, batch, allow_training)
    found = errors_of(whole, whole.sums(), True)
    return EquivarianceErrors(found) if is_structure(rho_out) else next(iter(found.values()))


def _moving(rho: Any) -> list[TranslationAction]:
    if isinstance(rho, dict):
        return [action for value in rho.values() for action in _moving(value)]
    if isinstance(rho, tuple | list):
        return [action for value in rho for action in _moving(value)]
    return [rho] if isinstance(rho, TranslationAction) else []


def _size(inputs: Inputs) -> float:
    """Root mean square of the coordinates that move, 1 where all are 0."""
    moving = [x for _, x, action in leaves(inputs.x, inputs.actions) if isinstance(action, TranslationAction)]
    return float(torch.stack([x.detach().double().square().mean() for x in moving]).mean().sqrt()) or 1.0
