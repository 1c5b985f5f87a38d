"""Numbers ready for JSON."""

from __future__ import annotations

import math
from typing import Any


def plain(value: Any) -> Any:
    """The same for JSON: infinite numbers as the text "infinity", nan as null, tuples as lists.

    >>> plain({"exponent": float("inf"), "rows": (1, 2.5)})
    {'exponent': 'infinity', 'rows': [1, 2.5]}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("infinity" if value > 0 else "-infinity")
    return value
