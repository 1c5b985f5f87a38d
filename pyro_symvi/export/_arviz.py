"""Draws of a fitted guide, or of any sampler, with named dimensions, as ArviZ reads them."""

from __future__ import annotations

from typing import Any


def to_arviz(source: Any, model: Any = None, *args: Any, **kwargs: Any) -> Any:
    """To be written."""
    raise NotImplementedError
