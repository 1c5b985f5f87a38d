"""Is a function one deterministic, differentiable log density? Tried at a few points, when a `LogDensity` is built."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

from ._refusals import Refusal
from ._state import random_state

Function = Callable[[torch.Tensor], torch.Tensor]

_CANDIDATES = 40
_FEW = 6  # points among which a bad one is looked for one by one, not by halves
BAD_POINT = (torch.linalg.LinAlgError, ArithmeticError)
"""What fails at one point of a density that is fine elsewhere: a matrix that is not positive definite, a division."""


def vmapped(function: Callable[[torch.Tensor], Any], z: torch.Tensor) -> Any:
    """``function`` at each row of ``z[n, d]`` in one call, without torch's remarks that it could be faster."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")
        return torch.func.vmap(function)(z)


def batch(function: Callable[[torch.Tensor], Any], z: torch.Tensor, vectorized: bool) -> Any:
    """``function`` at each row of ``z[n, d]``, in one call or in a loop; a `BAD_POINT` alone is nan."""
    if not vectorized:
        return torch.cat([_point(function, row) for row in z])
    try:
        return vmapped(function, z)
    except BAD_POINT:
        if len(z) <= _FEW:
            return torch.cat([_point(function, row) for row in z])
        half = len(z) // 2
        return torch.cat([batch(function, z[:half], True), batch(function, z[half:], True)])


def _point(function: Callable[[torch.Tensor], Any], row: torch.Tensor) -> torch.Tensor:
    try:
        value: torch.Tensor = function(row)[None]
        return value
    except BAD_POINT:
        return row.sum(-1, keepdim=True) * torch.nan  # attached to the graph


def starting_points(function: Function, starts: tuple[torch.Tensor, ...], what: str) -> tuple[torch.Tensor, ...]:
    """The first points (of ``starts``, then random ones nearer and nearer to zero) where the log density is finite.

    Where it is minus infinity at all of them (a law that lives far out), those; the gradient can't be checked then.
    """
    dim, generator = len(starts[0]), torch.Generator().manual_seed(0)
    good: list[torch.Tensor] = []
    zero: list[torch.Tensor] = []
    seen: list[float] = []
    error: Exception | None = None
    for attempt in range(_CANDIDATES):
        if attempt < len(starts):
            z = starts[attempt]
        elif good:
            break
        else:
            unit = torch.rand(dim, dtype=torch.float64, generator=generator)
            z = (4 * unit - 2) * 0.9 ** (attempt - len(starts))
        try:
            value = _scalar(function(z), dim, what)
        except Refusal:
            raise
        except (*BAD_POINT, ValueError) as failure:
            error = failure
            continue
        except Exception as failure:
            raise Refusal(
                f"expected a {what} whose log density can be computed, got {type(failure).__name__}: {failure}, "
                f"because it raised that at a random point; try running it by itself, for one point z[{dim}]"
            ) from failure
        seen.append(float(value))
        if torch.isfinite(value):
            good.append(z)
        elif torch.isneginf(value):
            zero.append(z)
    if not good and not seen:
        raise Refusal(
            f"expected a {what} whose log density can be computed, got {type(error).__name__}: {error}, because it "
            f"raised that at each of {_CANDIDATES} random points; try running it by itself, for one point z[{dim}]"
        ) from error
    if not good and not zero:
        raise NotFinite(sorted({f"{v}" for v in seen}))
    return tuple(good or zero[:3])


class NotFinite(Exception):
    """The log density is nan or plus infinity at every starting point; ``args[0]`` lists the values."""


def _scalar(value: object, dim: int, what: str) -> torch.Tensor:
    if isinstance(value, torch.Tensor) and value.shape == ():
        return value.detach()
    got = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
    raise Refusal(
        f"expected one number for one point z[{dim}], got {got}, because a log density is a scalar; try summing the "
        f"{what}'s terms"
    )


def refuse_randomness(function: Function, points: torch.Tensor) -> torch.Tensor:
    """Values at ``points``; refuses a function that draws random numbers or differs between two calls."""
    before = random_state()
    values = torch.stack([function(z).detach() for z in points])
    if random_state() != before:
        raise Refusal(
            "expected the same log density at the same point, got one that uses up random numbers, because it draws "
            "some besides its latent sites (dropout, simulated data, random initial parameters, a sample outside "
            "pyro.sample); try fixing them as data, or drawing them before"
        )
    again = torch.stack([function(z).detach() for z in points])
    if not torch.equal(values, again):
        raise Refusal(
            f"expected the same log density at the same point, got {values.tolist()} and then {again.tolist()}, "
            "because the model depends on something besides its latent sites; try fixing it as data"
        )
    return values


def why_not_vectorized(function: Function, points: torch.Tensor, values: torch.Tensor) -> str:
    """Empty where ``torch.func.vmap`` batches the function; else the reason it does not."""
    try:
        batched = vmapped(function, points)
    except Refusal:
        raise
    except BAD_POINT:
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]}"
    agree = torch.allclose(batched, values, rtol=1e-9, atol=1e-9, equal_nan=True)
    return "" if agree else f"vectorised values {batched.tolist()} differ from {values.tolist()}"


def refuse_wrong_gradient(
    value: Function, value_and_grad: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]], points: torch.Tensor
) -> None:
    """Directional derivatives by autograd against central differences; a kink may spoil one point, not all."""
    tried, wrong, told = 0, 0, ""
    for index, z in enumerate(points):
        here, gradient = value_and_grad(z)
        if not torch.isfinite(here):
            continue
        direction = torch.cos(torch.arange(len(z), dtype=torch.float64) * (index + 1.3) + index) + 0.1
        step = 1e-5 * (1 + z.abs().max())
        coarse, fine = (
            (value(z + h * direction) - value(z - h * direction)) / (2 * h) for h in (step, step / 2)
        )  # their difference measures the error of either
        if not torch.isfinite(coarse + fine):
            continue
        tried += 1
        slope = gradient @ direction
        rounding = 1e3 * torch.finfo(torch.float64).eps * (1 + here.abs()) / step
        slack = 1e-5 * (gradient.abs() @ direction.abs()) + 4 * (coarse - fine).abs() + rounding
        if not (fine - slope).abs() <= slack:
            wrong, told = wrong + 1, f"{float(slope):.6g} where differences of the value give {float(fine):.6g}"
    if wrong and wrong >= min(2, tried):
        raise Refusal(
            f"expected the gradient of the log density, got a directional derivative of {told}, because something cuts "
            "or spoils the gradient (detach, .item(), .numpy(), no_grad, a custom backward, nan under a mask); try "
            "torch operations throughout"
        )


def idle_coordinates(gradients: torch.Tensor) -> list[int]:
    """Coordinates along which the density does not change at any of the points ``gradients[n, d]`` belong to."""
    return (gradients == 0).all(0).nonzero().flatten().tolist()
