"""Special functions that torch and SciPy lack: Bessel functions of any order as differentiable, batched torch code.

>>> import torch
>>> kappa = torch.tensor(1e8, dtype=torch.float64, requires_grad=True)
>>> torch.autograd.grad(log_bessel_i(4999, kappa), kappa)[0].item()
0.99999999624...
"""

from ._gamma import digamma_difference as digamma_difference
from ._gamma import log_gamma_ratio as log_gamma_ratio
from ._public import bessel_ratio as bessel_ratio
from ._public import bessel_ratio_complement as bessel_ratio_complement
from ._public import bessel_ratio_slope as bessel_ratio_slope
from ._public import inverse_bessel_ratio as inverse_bessel_ratio
from ._public import log_bessel_i as log_bessel_i
from ._public import log_hyp0f1 as log_hyp0f1
from ._public import log_sphere_area as log_sphere_area
from ._public import log_vmf_normalizer as log_vmf_normalizer

__all__ = [
    "bessel_ratio",
    "bessel_ratio_complement",
    "bessel_ratio_slope",
    "digamma_difference",
    "inverse_bessel_ratio",
    "log_bessel_i",
    "log_gamma_ratio",
    "log_hyp0f1",
    "log_sphere_area",
    "log_vmf_normalizer",
]
