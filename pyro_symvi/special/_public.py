r"""Bessel functions of any real order and the normalisers of laws on the sphere :math:`S^{d-1}\subset\mathbb R^d`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._checks import checked_argument, checked_dim, checked_order
from ._functions import LogHyp0F1, Ratio, RatioSlope


def log_bessel_i(order: float | Tensor, x: Tensor) -> Tensor:
    r""":math:`\log I_v(x)`, the modified Bessel function of the first kind (DLMF 10.25.2).

    Args:
        order: v >= 0, a number or a tensor that broadcasts against ``x``; not differentiated.
        x: ``[*batch]``, x >= 0 (nan below), float32 or float64; computed in float64 and returned in its dtype.

    Error in float64: below 1e-12 max(1, |log|) for v to 5,000 and x to 1e8. -inf at x = 0 unless v = 0.

    >>> log_bessel_i(0.0, torch.tensor([0.0, 1.0, 1e6]))
    tensor([0.0000e+00, 2.3591e-01, 9.9999e+05])
    """
    v, y = checked_order(order), _argument(x, "x")
    if isinstance(v, Tensor):
        v, y = torch.broadcast_tensors(v.to(y.device), y)
    log = LogHyp0F1.of(y, v, False)
    if isinstance(v, Tensor):
        zero = v == 0
        power = torch.where(zero, 0.0, v * torch.log(torch.where(zero, 1.0, y / 2))) - torch.lgamma(v + 1)
    elif v == 0:
        return log.to(x.dtype)
    else:
        power = v * torch.log(y / 2) - math.lgamma(v + 1)
    return (log + power).to(x.dtype)


def bessel_ratio(dim: int, kappa: Tensor) -> Tensor:
    r""":math:`A_d(\kappa) = I_{d/2}(\kappa) / I_{d/2-1}(\kappa)`, the mean resultant length of a von Mises-Fisher law.

    ``kappa``: ``[*batch]``, concentration >= 0. Increases from 0 to 1; A'(0) = 1/d, A = 1 - (d-1)/(2 kappa) + ... .
    Relative error below 1e-12 in float64; the derivative 1 - A^2 - (d-1) A / kappa does not cancel.
    Mardia and Jupp, Directional Statistics (2000), appendix 1.

    >>> bessel_ratio(3, torch.tensor([0.0, 1.0, 100.0]))  # coth(kappa) - 1/kappa
    tensor([0.0000, 0.3130, 0.9900])
    """
    v = checked_dim(dim) / 2 - 1
    return Ratio.of(_argument(kappa, "kappa"), v, False).to(kappa.dtype)


def bessel_ratio_complement(dim: int, kappa: Tensor) -> Tensor:
    r""":math:`1 - A_d(\kappa)` to full relative accuracy, where A itself has rounded to 1. Shapes as `bessel_ratio`."""
    v = checked_dim(dim) / 2 - 1
    return Ratio.of(_argument(kappa, "kappa"), v, True).to(kappa.dtype)


def bessel_ratio_slope(dim: int, kappa: Tensor) -> Tensor:
    r""":math:`A_d'(\kappa) = 1 - A^2 - (d-1)A/\kappa`, the variance of the cosine; error below 1e-11 relative.

    Shapes as `bessel_ratio`.
    """
    v = checked_dim(dim) / 2 - 1
    return RatioSlope.of(_argument(kappa, "kappa"), v, False).to(kappa.dtype)


class _Inverse(torch.autograd.Function):
    """kappa with A_d(kappa) = r, its derivative 1 / A_d'(kappa)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(r: Tensor, dim: int) -> Tensor:
        inside = (r >= 0) & (r < 1)
        target = torch.where(inside, r, 0.0)
        kappa = target * (dim - target**2) / ((1 - target) * (1 + target))  # Banerjee et al. (2005), equation 4.4
        order = dim / 2 - 1
        for _ in range(6):
            ratio, gap = Ratio.of(kappa, order, False), Ratio.of(kappa, order, True)
            excess = torch.where(target < 0.5, ratio - target, (1 - target) - gap)
            # Newton in A / (1 - A), which is nearly linear in kappa at both ends
            slope = Ratio.derivative(kappa, order, False)
            kappa = (kappa - excess * gap / ((1 - target) * slope)).clamp(min=0)
        kappa = torch.where(r == 1, math.inf, kappa)
        return torch.where(inside | (r == 1), kappa, math.nan)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        ctx.order = inputs[1] / 2 - 1
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        return gradient / Ratio.derivative(ctx.saved_tensors[0], ctx.order, False), None

    @staticmethod
    def jvp(ctx, tangent: Tensor, _: None) -> Tensor:  # type: ignore[no-untyped-def]
        return tangent / Ratio.derivative(ctx.saved_tensors[0], ctx.order, False)


def inverse_bessel_ratio(dim: int, r: Tensor) -> Tensor:
    r"""The :math:`\kappa` with :math:`A_d(\kappa) = r`: the maximum-likelihood concentration from a resultant length.

    ``r``: ``[*batch]`` in [0, 1]; inf at 1, nan outside. Six Newton steps from Banerjee et al., JMLR 6 (2005), equation
    4.4. Relative error of a few units of rounding in r, magnified by the condition number 1 / (1 - r).

    >>> inverse_bessel_ratio(3, bessel_ratio(3, torch.tensor([0.5, 20.0])))
    tensor([ 0.5000, 20.0000])
    """
    return _Inverse.apply(_argument(r, "r"), checked_dim(dim)).to(r.dtype)


def log_hyp0f1(dim: int, kappa: Tensor, scaled: bool = False) -> Tensor:
    r""":math:`\log {}_0F_1(d/2;\kappa^2/4) = \log E\,e^{\kappa\mu\cdot x}`, x uniform on the sphere.

    ``kappa``: ``[*batch]``. 0 at kappa = 0, with derivative A_d(kappa). ``scaled=True`` subtracts kappa, so that large
    concentrations do not cancel: log density at the mode, against the uniform law, is minus the scaled value.
    """
    v = checked_dim(dim) / 2 - 1
    return LogHyp0F1.of(_argument(kappa, "kappa"), v, scaled).to(kappa.dtype)


def log_sphere_area(dim: int) -> float:
    r"""Log of the area :math:`2\pi^{d/2}/\Gamma(d/2)` of :math:`S^{d-1}`; the circle has dim 2 and log(2 pi)."""
    d = checked_dim(dim)
    return math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)


def log_vmf_normalizer(dim: int, kappa: Tensor) -> Tensor:
    r"""Log of :math:`\int e^{\kappa\mu\cdot x}dx = (2\pi)^{d/2} I_{d/2-1}(\kappa)/\kappa^{d/2-1}` over the sphere.

    ``kappa``: ``[*batch]``; at 0 the log area. The von Mises-Fisher log density is kappa mu.x minus this.
    """
    return log_hyp0f1(dim, kappa) + log_sphere_area(dim)


def _argument(x: Tensor, name: str) -> Tensor:
    return checked_argument(x, name).double()
