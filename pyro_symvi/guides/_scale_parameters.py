"""A scale pattern's parameter as the named, constrained parameters of a guide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pyro.distributions import constraints
from torch import Tensor

from ..families.scales import Diagonal, Fixed, Full, Isotropic, LowRank, Scale, Tied, Triangular

_POSITIVE, _UNIT_LOWER = constraints.softplus_positive, constraints.unit_lower_cholesky


def split(pattern: Scale, scale: Tensor) -> dict[str, tuple[Tensor, Any]]:
    r"""Name, value and constraint of each parameter that makes up ``scale`` (a family's parameter).

    ``scale`` positive: isotropic and diagonal, and the factor in front in the others; ``scale_tril [d, d]`` with unit
    diagonal: full; ``scale_lower [m]``, the entries below the diagonal: block diagonal; ``cov_factor [d, r]``: low
    rank; ``scale_log [k]``: tied. A fixed scale has none.
    """
    if isinstance(pattern, Isotropic | Diagonal):
        return {"scale": (scale, _POSITIVE)}
    if isinstance(pattern, Triangular):
        diagonal = scale.diagonal(dim1=-2, dim2=-1)
        unit = scale / diagonal[..., None]
        if isinstance(pattern, Full):
            return {"scale": (diagonal, _POSITIVE), "scale_tril": (unit, _UNIT_LOWER)}
        rows, columns = pattern.entries(scale.shape[-1]).to(scale.device)
        return {"scale": (diagonal, _POSITIVE), "scale_lower": (unit[..., rows, columns], constraints.real)}
    if isinstance(pattern, LowRank):
        return {"scale": (scale[..., 0], _POSITIVE), "cov_factor": (scale[..., 1:], constraints.real)}
    if isinstance(pattern, Tied):
        return {"scale_log": (scale, constraints.real)}
    if isinstance(pattern, Fixed):
        return {}
    raise TypeError(
        f"expected a scale pattern of this package, got {pattern!r}, because a guide has to know its parameters; try "
        "one of pyro_symvi.families.scales"
    )


def join(pattern: Scale, parts: Mapping[str, Tensor], loc: Tensor) -> Tensor:
    """The family's parameter from the guide's; the inverse of `split`."""
    if isinstance(pattern, Fixed):
        return pattern.initial(loc.shape[-1], 1.0, loc)
    if isinstance(pattern, Tied):
        return parts["scale_log"]
    scale = parts["scale"]
    if isinstance(pattern, Full):
        return scale[..., None] * parts["scale_tril"]
    if isinstance(pattern, Triangular):
        rows, columns = pattern.entries(scale.shape[-1]).to(scale.device)
        eye = torch.eye(scale.shape[-1], dtype=scale.dtype, device=scale.device)
        lower = parts["scale_lower"]
        unit = eye.expand(*lower.shape[:-1], *eye.shape).clone()
        unit[..., rows, columns] = lower
        return scale[..., None] * unit
    if isinstance(pattern, LowRank):
        return torch.cat([scale[..., None], parts["cov_factor"]], -1)
    return scale
