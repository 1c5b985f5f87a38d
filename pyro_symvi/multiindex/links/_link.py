"""A link function: an activation with its quadrature, standardised."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ._evaluate import Function, checked, require_entrywise, resolved
from ._hermite import hermite_functions
from ._rule import REACH, Panels, adaptive_panels, breaks, uniform_panels

Parity = Literal["even", "odd", "none"]
_SAME = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class Link:
    r"""An activation f with a quadrature rule of the normal law that fits it, and its standardised form

    .. math:: \sigma(z) = (f(z) - E f)/\sqrt{\operatorname{Var} f}, \qquad z \sim N(0, 1).

    Make one with `of`. All expectations are over z ~ N(0, 1), float64 on the CPU; calling the link evaluates sigma on
    tensors of any precision and device, with gradients.

    Attributes:
        name: What it is called in reports.
        mean, scale: E f and the standard deviation of f (0 and 1 where not standardised).
        nodes, weights: ``[m]``, Gauss-Legendre panels on [-14, 14] that close in on kinks and jumps; the weights hold
            the normal density and sum to one.
        values: sigma at the nodes, ``[m]``.
        breaks: Jumps of sigma and of its slope (kinks) in [-8, 8], right to about 1e-7, and of its curvature, to 1e-3.
        parity: "even", "odd" or "none", of sigma to 1e-12 of its size: an affine image of an odd function counts as
            odd, since the mean is taken off.
        error: Estimated quadrature error of E f^2 / Var f, from cutting each panel in two.

    Example:
        >>> link = Link.of("relu")
        >>> round(link.mean, 6), link.parity, link.breaks
        (0.398942, 'none', (0.0,))
    """

    name: str
    mean: float
    scale: float
    nodes: Tensor
    weights: Tensor
    values: Tensor
    breaks: tuple[float, ...]
    parity: Parity
    error: float
    panels: Panels = field(repr=False)
    raw: Function = field(repr=False)

    @staticmethod
    def of(
        activation: str | Callable[[Tensor], Tensor] | Link,
        *,
        name: str | None = None,
        standardise: bool = True,
        panels: int | None = None,
    ) -> Link:
        """The link of an activation.

        Args:
            activation: A name (`ACTIVATIONS`, ``he1`` to ``he20``), a function of a tensor, entry by entry, or a module
                (it is copied, in evaluation mode). A link is given back as it is.
            name: For reports; else its own.
            standardise: Mean 0 and variance 1 under N(0, 1), as all thresholds assume.
            panels: This number of equal panels in place of adaptive ones: a check on these.

        Raises:
            TypeError: for what is no activation.
            ValueError: an unknown name; values that are not finite, not one for each entry, or that depend on other
                entries or on chance; a constant; a variance that is not finite (the integrand has not died out at 14
                standard deviations).
        """
        if isinstance(activation, Link):
            return activation
        function, called = resolved(activation, name)
        safe = checked(function, called)
        require_entrywise(safe, called)
        chosen = adaptive_panels(safe) if panels is None else uniform_panels(panels)
        nodes, weights = chosen.rule()
        raw = safe(nodes)
        _require_variance(called, nodes, weights, raw)
        first, second = float(weights @ raw), float(weights @ raw.square())
        centred = raw - first
        variance = float(weights @ centred.square())
        if variance <= 1e-24 * max(second, 1e-300):
            raise ValueError(
                f"expected an activation that varies, got {called}, which is {first:.6g} almost everywhere, because a "
                "constant carries no signal; try another"
            )
        fine_nodes, fine_weights = chosen.halved().rule()
        fine = float(fine_weights @ (safe(fine_nodes) - first).square())
        mean, scale = (first, math.sqrt(variance)) if standardise else (0.0, 1.0)
        values = (raw - mean) / scale
        return Link(
            name=called,
            mean=mean,
            scale=scale,
            nodes=nodes,
            weights=weights,
            values=values,
            breaks=breaks(safe, chosen),
            parity=_parity(safe, first),
            error=abs(fine - variance) / variance,
            panels=chosen,
            raw=function,
        )

    def __call__(self, z: Tensor) -> Tensor:
        """Sigma at z, in its precision and on its device, differentiable."""
        return (self.raw(z) - self.mean) / self.scale

    def expect(self, values: Tensor) -> Tensor:
        """E of a function that has these values at the nodes, ``[..., m] -> [...]``."""
        return values @ self.weights

    def refined(self) -> Link:
        """The same link on panels cut in two: what differs from it is the quadrature error."""
        panels = self.panels.halved()
        nodes, weights = panels.rule()
        values = (checked(self.raw, self.name)(nodes) - self.mean) / self.scale
        return Link(
            self.name, self.mean, self.scale, nodes, weights, values, self.breaks, self.parity, self.error, panels,
            self.raw,
        )  # fmt: skip

    def hermite(self, count: int) -> Tensor:
        """Coefficients mu_k = E[sigma h_k] on the normalised Hermite polynomials, k = 0 to count - 1: ``[count]``."""
        return hermite_functions(self.nodes, count) @ (self.weights * self.values)

    def __repr__(self) -> str:
        return f"Link({self.name!r}, parity={self.parity!r}, breaks={[round(b, 6) for b in self.breaks]})"


def _require_variance(name: str, nodes: Tensor, weights: Tensor, raw: Tensor) -> None:
    """E f^2 has to be settled well inside the panels."""
    parts = weights * raw.square()
    outside = float(parts[nodes.abs() > REACH - 1].sum())
    if outside > 1e-9 * float(parts.sum()):
        raise ValueError(
            f"expected a finite E f(z)^2 for z ~ N(0, 1), got {name}, whose integrand has not died out at "
            f"{REACH - 1:.0f} standard deviations, because it grows too fast; try a bounded version of it"
        )


def _parity(function: Function, mean: float) -> Parity:
    z = torch.linspace(0.003, 6.0, 1201, dtype=torch.float64)
    ahead, behind = function(z) - mean, function(-z) - mean
    size = float(torch.cat([ahead, behind]).abs().max())
    if float((ahead - behind).abs().max()) <= _SAME * size:
        return "even"
    return "odd" if float((ahead + behind).abs().max()) <= _SAME * max(size, abs(mean)) else "none"
