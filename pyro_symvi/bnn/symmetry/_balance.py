"""The point of each rescaling orbit with the largest prior density, all layers jointly."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .._priors import ParameterPrior
from ._layer import SymmetricLayer, prior_powers


def balanced(
    layers: Sequence[SymmetricLayer],
    theta: Tensor,
    parameter_prior: ParameterPrior,
    *,
    tolerance: float = 1e-10,
    sweeps: int = 10_000,
) -> Tensor:
    """Theta ``[*batch, dim]`` moved by rescaling to the largest prior density; dead units stay.

    The negative log prior is convex in the log c of all units (strictly, where none is dead). It is minimised over
    one layer at a time: with normal priors c_j = (k b_j / a_j)^(1 / (2 + 2 k)), with Laplace priors
    (k b_j / a_j)^(1 / (1 + k)), with both by Newton's method, until no log c moves by ``tolerance`` in a sweep.
    There, a_j = k b_j for every unit at once (Kobialka et al. 2026: balancedness).
    """
    layers = [layer for layer in layers if layer.degree is not None]
    flat = theta.detach().reshape(-1, theta.shape[-1])
    if not layers or not len(flat):
        return theta
    tolerance = max(tolerance, 20 * torch.finfo(theta.dtype).eps)
    tables = [
        _Energies(power, layers, values)
        for power, values in zip((2, 1), prior_powers(parameter_prior, flat), strict=True)
    ]
    logs = [flat.new_zeros(len(flat), layer.h) for layer in layers]
    for _ in range(sweeps):
        change = 0.0
        for i, layer in enumerate(layers):
            (a2, b2), (a1, b1) = (table.of(i, logs) for table in tables)
            step = _log_step(float(layer.degree or 1.0), a2, b2, a1, b1)
            logs[i] = logs[i] + step
            change = max(change, float(step.abs().max()))
        if change < tolerance or len(layers) == 1:
            break
    for layer, log_c in zip(layers, logs, strict=True):
        theta = layer.rescaling.act(log_c.reshape(*theta.shape[:-1], layer.h).exp(), theta)  # type: ignore[union-attr]
    return theta


class _Energies:
    """Prior energies summed over all weights from one unit to another.

    ``pairs[i, j]`` ``[n, h_i, h_j]`` holds the weights into a unit of layer i and out of one of layer j (None: no
    scaled unit on that side); they scale with c_i^power c_j^(-k_j power).
    """

    def __init__(self, power: int, layers: Sequence[SymmetricLayer], values: Tensor) -> None:
        self.power, self.degrees = power, [float(layer.degree or 1.0) for layer in layers]
        dim, device = values.shape[-1], values.device
        sides = []
        for index_of in (lambda layer: layer.incoming, lambda layer: layer.outgoing):
            owner, unit = torch.full((2, dim), -1, device=device)
            for i, layer in enumerate(layers):
                index = index_of(layer).to(device)
                owner[index] = i
                unit[index] = torch.arange(layer.h, device=device)[:, None]
            sides.append((owner, unit.clamp(min=0)))
        (into, row), (out, column) = sides
        sizes = [*(layer.h for layer in layers), 1]
        self.pairs: dict[tuple[int | None, int | None], Tensor] = {}
        if not bool((values != 0).any()):
            return
        for i, j in torch.unique(torch.stack([into, out], -1), dim=0).tolist():
            here = ((into == i) & (out == j)).nonzero()[:, 0]
            if i < 0 and j < 0:
                continue
            table = values.new_zeros(len(values), sizes[i] * sizes[j])
            table.index_add_(1, row[here] * sizes[j] + column[here], values[:, here])
            key = (i if i >= 0 else None, j if j >= 0 else None)
            self.pairs[key] = table.reshape(-1, sizes[i], sizes[j])

    def of(self, layer: int, logs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Energies into and out of each unit of a layer at the present log c, ``[n, h]``."""
        own = logs[layer]
        a, b = torch.zeros_like(own), torch.zeros_like(own)
        for (i, j), table in self.pairs.items():
            if i == layer:
                a = a + (table.sum(-1) if j is None else (table @ self._factor(j, logs, False)[..., None])[..., 0])
            if j == layer:
                b = b + (table.sum(-2) if i is None else (self._factor(i, logs, True)[..., None, :] @ table)[..., 0, :])
        return a * self._factor(layer, logs, True), b * self._factor(layer, logs, False)

    def _factor(self, layer: int, logs: Sequence[Tensor], is_incoming: bool) -> Tensor:
        rate = self.power * (1.0 if is_incoming else -self.degrees[layer])
        return (rate * logs[layer]).exp()


def _log_step(k: float, a2: Tensor, b2: Tensor, a1: Tensor, b1: Tensor) -> Tensor:
    """The log c_j that minimise the negative log prior over one layer, from energies of both kinds of prior."""
    alive = (a2 + a1 > 0) & (b2 + b1 > 0)
    a2, a1, b2, b1 = (torch.where(alive, value, 1.0) for value in (a2, a1, b2, b1))
    if bool((a1 + b1 == 0)[alive].all()):
        return torch.where(alive, (k * b2 / a2).log() / (2 + 2 * k), 0.0)
    if bool((a2 + b2 == 0)[alive].all()):
        return torch.where(alive, (k * b1 / a1).log() / (1 + k), 0.0)
    s = torch.zeros_like(a2)
    for _ in range(60):
        terms = (a2 * (2 * s).exp(), a1 * s.exp(), b2 * (-2 * k * s).exp(), b1 * (-k * s).exp())
        slope = terms[0] + terms[1] - k * (terms[2] + terms[3])
        curvature = 2 * terms[0] + terms[1] + k**2 * (2 * terms[2] + terms[3])
        step = (slope / curvature).clamp(-1, 1)
        s = s - step
        if float(step.abs().max()) < 1e-13:
            break
    return torch.where(alive, s, 0.0)
