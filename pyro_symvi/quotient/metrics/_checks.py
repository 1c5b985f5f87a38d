"""What every metric asks of its arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def points(x: Tensor, name: str, *, least: int = 1, dims: tuple[int, ...] | None = None) -> Tensor:
    """Clouds ``[*batch, N, d]``, floating and finite, with at least ``least`` points, in one of the dimensions."""
    if not isinstance(x, Tensor):
        raise TypeError(f"expected {name} to be a tensor, got {type(x).__name__}; try torch.as_tensor")
    if not x.is_floating_point():
        raise TypeError(f"expected {name} of a floating dtype, got {x.dtype}; try {name}.double()")
    if x.ndim < 2 or x.shape[-1] < 1 or (dims is not None and x.shape[-1] not in dims):
        space = "d" if dims is None else " or ".join(map(str, dims))
        raise ValueError(f"expected {name} of shape [*batch, N, {space}], got {list(x.shape)}")
    if x.shape[-2] < least:
        raise ValueError(f"expected at least {least} point(s) in {name}, got {x.shape[-2]} (shape {list(x.shape)})")
    bad = ~torch.isfinite(x).flatten(-2).all(-1)
    if bool(bad.any()):
        where = "" if bad.ndim == 0 else f": {[*map(tuple, bad.nonzero()[:5].tolist())]}"
        raise ValueError(
            f"expected finite coordinates, got nan or inf in {int(bad.sum())} cloud(s) of {name}{where}; "
            "try to drop those and to report how many they were"
        )
    return x


def mask_of(mask: Tensor | None, x: Tensor) -> Tensor:
    """A mask ``[..., N]`` that broadcasts against the clouds x, all True where None is given."""
    if mask is None:
        return torch.ones(x.shape[-2], dtype=torch.bool, device=x.device)
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        raise TypeError(f"expected mask to be a tensor of dtype torch.bool, got {mask!r}; try mask.bool()")
    try:
        fits = mask.ndim >= 1 and mask.shape[-1] == x.shape[-2]
        fits = fits and torch.broadcast_shapes(mask.shape, x.shape[:-1]) == x.shape[:-1]
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(f"expected a mask that broadcasts to {list(x.shape[:-1])}, got {list(mask.shape)}")
    if not bool(mask.any(-1).all()):
        raise ValueError("expected at least one point in each cloud, got an empty mask; try to drop those clouds")
    return mask


def rows(index: Tensor | Sequence[Sequence[int]], width: int, x: Tensor, mask: Tensor | None, name: str) -> Tensor:
    """Point numbers ``[K, width]``, distinct within a row, each of a point that is there in every cloud."""
    index = torch.as_tensor(index, device=x.device)
    if index.numel() == 0:
        return torch.zeros(0, width, dtype=torch.int64, device=x.device)
    if index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
        raise TypeError(f"expected {name} of an integer dtype, got {index.dtype}; try {name}.long()")
    index = index.long()
    if index.ndim != 2 or index.shape[-1] != width:
        raise ValueError(f"expected {name} of shape [K, {width}], got {list(index.shape)}")
    count = x.shape[-2]
    if int(index.min()) < 0 or int(index.max()) >= count:
        raise ValueError(
            f"expected {name} of point numbers in 0..{count - 1}, because clouds have {count} points, "
            f"got {int(index.min())}..{int(index.max())}"
        )
    ordered = index.sort(-1).values
    if bool((ordered[:, 1:] == ordered[:, :-1]).any()):
        raise ValueError(f"expected distinct points in each row of {name}, got one twice")
    if mask is not None:
        there = mask_of(mask, x)[..., index].all(-1)
        if not bool(there.all()):
            missing = there.reshape(-1, len(index)).all(0).logical_not().nonzero()[:5, 0].tolist()
            raise ValueError(
                f"expected {name} of points that are there, got masked points in row(s) {missing}; "
                "try one molecule at a time"
            )
    return index


def sample(values: Tensor | Sequence[float] | np.ndarray, name: str, *, least: int = 1) -> np.ndarray:
    """Draws ``[n, ...]`` as float64, finite: a nan stands for an undefined value, which nobody drops in silence."""
    array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"expected {name} of numbers, got dtype {array.dtype}")
    array = array.astype(np.float64)
    if array.ndim < 1 or len(array) < least or array.size == 0:
        raise ValueError(f"expected {name} of at least {least} draw(s) along the first axis, got {list(array.shape)}")
    undefined = int((~np.isfinite(array)).sum())
    if undefined:
        raise ValueError(
            f"expected finite values, got {undefined} of {array.size} nan or inf in {name}, because a torsion of "
            "collinear atoms has no value; try defined(values), and report the share that it returns"
        )
    return array


def positive(value: float, name: str) -> float:
    """A finite number > 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"expected {name} to be a finite number > 0, got {value!r}")
    return float(value)


def confidence_level(value: float) -> float:
    """A level of confidence in (0, 1)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ValueError(f"expected confidence in (0, 1), got {value!r}; try 0.95")
    return float(value)


def random_state(generator: torch.Generator | None) -> np.random.Generator:
    """A numpy generator that follows from the torch one; a fixed seed where None is given."""
    if generator is None:
        return np.random.default_rng(0)
    return np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
