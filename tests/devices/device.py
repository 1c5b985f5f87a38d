"""The device under test: CUDA, or the one that ``SYMVI_TEST_DEVICE`` names (``cpu`` runs the tests without a GPU)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

NAME = os.environ.get("SYMVI_TEST_DEVICE", "cuda")


def required() -> torch.device:
    """The device; called at the head of a test module, it skips the whole module where there is none."""
    if NAME == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device", allow_module_level=True)
    return torch.empty(0, device=NAME).device


def there(value: Any) -> Any:
    """Tensors, modules and containers of them on the device."""
    if isinstance(value, Tensor):
        return value.to(NAME)
    if isinstance(value, torch.nn.Module):
        return value.to(NAME)
    if isinstance(value, Mapping):
        return {name: there(part) for name, part in value.items()}
    return type(value)(there(part) for part in value) if isinstance(value, tuple | list) else value


def same(found: Any, expected: Any, tolerance: float = 1e-9) -> None:
    """``found`` lies on the device, ``expected`` on the CPU, and they agree relative to the largest entry."""
    if isinstance(expected, tuple | list):
        for one, other in zip(found, expected, strict=True):
            same(one, other, tolerance)
        return
    assert found.device.type == torch.device(NAME).type and expected.device.type == "cpu"
    assert found.shape == expected.shape and found.dtype == expected.dtype
    gap = (found.cpu() - expected).abs()
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    assert bool((gap <= tolerance * scale).all()), f"apart by {float(gap.max()):.1e}, with entries up to {scale:.1e}"


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """The same standard normal numbers whatever the device, on the CPU."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def own(seed: int = 0) -> torch.Generator:
    """A generator of the device."""
    return torch.Generator(NAME).manual_seed(seed)
