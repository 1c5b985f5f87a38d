"""The fixed sample average that the pathwise fit minimises: value, gradient, Hessian."""

from __future__ import annotations

import numpy as np
import torch

from ...divergences import Divergence
from ...families import Parameters
from .chart import Chart

HUGE = 1e20
_STEP = 1e-4
"""Of the central differences, in units of the guide's scale: errors about 1e-8."""


class SampleObjective:
    r"""``x -> divergence.objective(log p(nu + C xi) - log q0(xi) + log|C|)`` over a chart, the samples ``xi`` fixed.

    Args:
        chart: Whitened parameters.
        divergence: A member of the alpha family.
        noise: Base samples ``[n, d]``.
    """

    def __init__(self, chart: Chart, divergence: Divergence, noise: torch.Tensor) -> None:
        self.chart, self.divergence, self.noise = chart, divergence, noise
        self.log_base = chart.family.log_base(noise, chart.reference)
        self.evaluations = 0

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient; a huge value and no gradient where either is not finite."""
        self.evaluations += 1
        leaf = torch.from_numpy(np.asarray(x, dtype=np.float64)).clone().requires_grad_()
        parameters = self.chart.parameters(leaf)
        z = self._place(parameters)
        values, slopes = self.chart.density.value_and_grad(z)
        log_p = values + ((z - z.detach()) * slopes).sum(-1)
        value = self._objective(log_p, parameters)
        if not torch.isfinite(value) or not torch.isfinite(slopes).all():
            return HUGE, np.zeros_like(x)
        (gradient,) = torch.autograd.grad(value, leaf)
        if not torch.isfinite(gradient).all():
            return HUGE, np.zeros_like(x)
        return float(value.detach()), gradient.numpy()

    def at(self, parameters: Parameters) -> float:
        """The value at parameters of the family, ``inf`` where it is not finite."""
        value = float(self._objective(self.chart.density(self._place(parameters)).detach(), parameters))
        return value if np.isfinite(value) else float("inf")

    def hessian(self, x: np.ndarray, size: int | None = None) -> np.ndarray:
        r"""Hessian in the first ``size`` entries of x (all by default), good to about 1e-8; nan where not finite.

        Each :math:`\log p(z_i)` is replaced by its second-order expansion at :math:`z_i`, whose Hessian comes from
        central differences of the gradient (one batch of 2 n d points); what is left is a function of x alone, without
        the target, for automatic differentiation.
        """
        size = self.chart.size if size is None else size
        family, point = self.chart.family, torch.from_numpy(np.asarray(x, dtype=np.float64))
        with torch.no_grad():
            there = {name: value.detach() for name, value in self.chart.parameters(point).items()}
            z = self._place(there)
        values, slopes = self.chart.density.value_and_grad(z)
        columns = family.apply(there["scale"], _STEP * torch.eye(family.dim, dtype=torch.float64))
        _, ahead = self.chart.density.value_and_grad(z[:, None] + columns)
        _, behind = self.chart.density.value_and_grad(z[:, None] - columns)
        bent = (ahead - behind) @ columns.mT / (2 * _STEP**2)
        bent = (bent + bent.mT) / 2

        def expanded(head: torch.Tensor) -> torch.Tensor:
            parameters = self.chart.parameters(torch.cat([head, point[size:]]))
            moved = self._place(parameters) - z
            u = family.pattern.solve(there["scale"], moved)
            log_p = values + (moved * slopes).sum(-1) + 0.5 * torch.einsum("ni,nij,nj->n", u, bent, u)
            return self._objective(log_p, parameters)

        found = torch.autograd.functional.hessian(expanded, point[:size], vectorize=True)
        return found.numpy()

    def _place(self, parameters: Parameters) -> torch.Tensor:
        return parameters["loc"] + self.chart.family.apply(parameters["scale"], self.noise)

    def _objective(self, log_p: torch.Tensor, parameters: Parameters) -> torch.Tensor:
        return self.divergence.objective(log_p - self.log_base + self.chart.family.log_det(parameters["scale"]))
