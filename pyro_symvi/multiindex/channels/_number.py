"""A number that the user gives."""

from __future__ import annotations

import math
from typing import Any


def positive_number(value: Any, what: str, why: str) -> float:
    """A finite number above 0: an int, a float, or what holds one (a tensor of one entry, a NumPy scalar).

    Raises:
        TypeError: Text, None, a truth value, several numbers.
        ValueError: A number that is not positive and finite.
    """
    held = value.item() if hasattr(value, "item") and math.prod(getattr(value, "shape", (0,))) == 1 else value
    if isinstance(held, bool) or not isinstance(held, int | float):
        raise TypeError(f"expected {what} as one number above 0, got {value!r}, because {why}")
    if not 0 < held < math.inf:
        raise ValueError(f"expected {what} above 0, got {value}, because {why}")
    return float(held)
