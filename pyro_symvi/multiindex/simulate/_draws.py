"""Seeds, sizes and dtypes of simulated data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..._value import positive_int
from ..channels import GaussianChannel

Seeds = int | Sequence[int]
Device = torch.device | str


def generators(seeds: Seeds, generator: torch.Generator | None, device: Device) -> tuple[list[torch.Generator], bool]:
    """One generator on ``device`` for each data set, and whether there is an axis of data sets.

    Raises:
        ValueError: no seed, a seed twice, or a generator on another device.
        TypeError: seeds that are not ints.
    """
    device = torch.device(device)
    if generator is not None:
        if seeds != 0:
            raise ValueError(
                f"expected seeds or generator, got both (seeds={seeds!r}), because either settles the draws; try one"
            )
        if generator.device.type != device.type:
            raise ValueError(
                f"expected a generator on {device}, got one on {generator.device}, because the data are drawn there; "
                f"try torch.Generator({str(device)!r})"
            )
        return [generator], False
    several = not isinstance(seeds, int)
    numbers = list(seeds) if isinstance(seeds, Sequence) else [seeds]
    if not all(isinstance(seed, int) and not isinstance(seed, bool) for seed in numbers):
        raise TypeError(f"expected seeds to be an int or a sequence of ints, got {seeds!r}; try range(8) or .tolist()")
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"expected different seeds, one or more, got {seeds!r}, because data sets would be copies")
    return [torch.Generator(device).manual_seed(seed) for seed in numbers], several


def private_generator(seed: int, device: Device) -> torch.Generator:
    """A generator whose numbers are not those of ``torch.Generator().manual_seed(seed)``.

    Data of seed 0 begin with the direction w: a start of seed 0 drawn in the same way would be w itself.
    """
    return torch.Generator(torch.device(device)).manual_seed((seed * 6364136223846793005 + 1442695040888963407) % 2**63)


def sample_count(dim: int, ratio: float) -> int:
    """The number n of samples, n / dim nearest to ``ratio``."""
    positive_int(dim, "dim")
    count = round(dim * checked_positive(ratio, "ratio"))
    if count < 1:
        raise ValueError(
            f"expected a ratio n / d of at least {1 / dim:.3g} at d = {dim}, got {ratio}, because that is no "
            "sample; try a larger one"
        )
    return count


def checked_positive(value: float, name: str) -> float:
    """A finite number above zero."""
    if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
        raise ValueError(f"expected {name} to be a finite number above 0, got {value!r}")
    return float(value)


def shapes_shown(data: Any, *names: str) -> str:
    """Name, shapes and dtype, in place of all numbers."""
    fields = ", ".join(f"{name} {list(getattr(data, name).shape)}" for name in names)
    return f"{type(data).__name__}({fields}, {str(data.x.dtype).removeprefix('torch.')}, n/d = {data.ratio:.4g}"


def require_channel(channel: Any) -> None:
    """A `GaussianChannel`, not the activation alone."""
    if not isinstance(channel, GaussianChannel):
        raise TypeError(
            f"expected a GaussianChannel, got {channel!r}, because the noise counts as well; try "
            "GaussianChannel(activation, snr)"
        )


def checked_dtype(dtype: torch.dtype) -> torch.dtype:
    """One of the two dtypes of simulations."""
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"expected dtype to be torch.float32 or torch.float64, got {dtype}")
    return dtype


def unit_rows(count: int, dim: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """``count`` orthonormal rows ``[count, dim]``, uniform over all such frames (QR of a Gaussian matrix)."""
    frame = torch.randn(dim, count, generator=generator, dtype=dtype, device=generator.device)
    q, r = torch.linalg.qr(frame)
    signs = torch.where(r.diagonal() < 0, -1.0, 1.0).to(dtype)  # makes the law uniform
    return (q * signs).T.contiguous()
