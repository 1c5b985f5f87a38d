"""What `fit` refuses before any work is done."""

from __future__ import annotations

from typing import Any, Final

import torch

from ...divergences import Divergence, ForwardKL
from ...families import LocationScale
from ...groups import LinearAction
from ...guides import AutoLocationScale
from .pathwise import METHODS

MINIBATCH: Final = "minibatch"


def check_arguments(
    guide: Any, divergence: Any, symmetry: Any, num_particles: Any, max_steps: Any, tolerance: Any
) -> None:
    """Kinds and ranges of the plain arguments."""
    if not isinstance(guide, (AutoLocationScale, LocationScale)):
        raise TypeError(
            f"expected an AutoLocationScale guide or a LocationScale family, got {type(guide).__name__}, because fit "
            'needs its parametrisation; try AutoLocationScale(model, base="normal", scale="full")'
        )
    if not isinstance(divergence, Divergence):
        raise TypeError(
            f"expected a divergence, got {divergence!r}, because divergences are values, not names; try ReverseKL(), "
            "ForwardKL() or Alpha(0.5) from pyro_symvi.divergences"
        )
    if symmetry is not None and not isinstance(symmetry, LinearAction):
        raise TypeError(
            f"expected symmetry as an action of pyro_symvi.groups, got {symmetry!r}, because base samples are closed "
            "under it; try PointReflection()"
        )
    for name, value in (("num_particles", num_particles), ("max_steps", max_steps)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"expected {name} as an int, got {value!r}, because it is a count")
        if value is not None and value < 1:
            raise ValueError(f"expected {name} >= 1, got {value}, because it is a count")
    if not tolerance > 0:
        raise ValueError(f"expected tolerance > 0, got {tolerance}, because gradients are never exactly zero")


def check_search(starts: Any, method: Any, compile: Any, divergence: Divergence) -> None:
    """What concerns the search for the minimum."""
    if starts is not None and (isinstance(starts, bool) or not isinstance(starts, (int, torch.Tensor))):
        raise TypeError(f"expected starts as None, an int or a tensor [n, d], got {starts!r}; try starts=8")
    if isinstance(starts, int) and starts < 1:
        raise ValueError(f"expected starts >= 1, got {starts}, because it counts runs; try starts=8")
    if not isinstance(method, str) or method not in (*METHODS, MINIBATCH):
        known = [*METHODS, MINIBATCH]
        raise ValueError(f'expected method in {known}, got {method!r}, because no other is known; try "auto"')
    if not isinstance(compile, bool) and compile != "auto":
        raise ValueError(f'expected compile as True, False or "auto", got {compile!r}; try compile="auto"')
    if method in ("lbfgs", "newton") and divergence.alpha > 0:
        raise ValueError(
            f'expected method="auto" for {divergence!r}, got {method!r}, because for alpha > 0 a fixed point of '
            'weighted maximum likelihood is iterated, not an objective minimised; try ReverseKL() or method="auto"'
        )


def check_family(family: LocationScale, divergence: Divergence) -> None:
    """Families that one of the two optimisers cannot serve."""
    if family.learns_df and divergence.alpha <= 0:
        raise ValueError(
            f"expected fixed degrees of freedom for {divergence!r}, got {family.df}, because its base draws would move "
            "with them; try ForwardKL(), a number for df, or SVI with Trace_ELBO"
        )
    if not family.law.full_support and divergence.alpha > 0:
        raise ValueError(
            f"expected a base with full support for {divergence!r}, got {family.law!r}, because its density is zero "
            'where the target is not, so log q has no gradient to follow; try ReverseKL(), or base="normal"'
        )


def checked_starts(starts: int | torch.Tensor | None, dim: int) -> int | torch.Tensor | None:
    """Locations as ``[n, d]``."""
    if not isinstance(starts, torch.Tensor):
        return starts
    if starts.ndim != 2 or starts.shape[1] != dim or len(starts) == 0 or not bool(torch.isfinite(starts).all()):
        raise ValueError(
            f"expected starts as finite locations [n, {dim}], got shape {tuple(starts.shape)}, because each run begins "
            "at one point of the unconstrained space; try density.pack(values)[None]"
        )
    return starts


def check_draws(divergence: Divergence) -> None:
    """Posterior draws have a meaning for one divergence only."""
    if divergence != ForwardKL():
        raise ValueError(
            f"expected draws=None for {divergence!r}, got draws, because only the forward KL is an average over the "
            "posterior alone; others need p and q at each point; try divergence=ForwardKL()"
        )
