"""Exact products of large integer matrices: split into limbs that floating-point products of sums do not round."""

from __future__ import annotations

from typing import Any

import numpy as np

_BITS = 20
_ROWS = 4096
"""Sums of so many products of two limbs stay below 2^53."""

IntegerMatrix = Any
"""A numpy array of Python ints, ``dtype=object``."""


def limbs(matrix: IntegerMatrix) -> Any:
    """Signed digits ``[l, n, k]`` in float64 of a matrix of ints ``[n, k]``: ``sum_s 2^(20 s) digits[s]``."""
    size = max((abs(x).bit_length() for x in matrix.flat), default=0)
    signs, sizes = np.where(matrix < 0, -1.0, 1.0), np.abs(matrix)
    mask = (1 << _BITS) - 1
    digits = [((sizes >> (_BITS * s)) & mask).astype(np.float64) for s in range(max(1, -(-size // _BITS)))]
    return np.stack(digits) * signs


def product(a: IntegerMatrix, b: IntegerMatrix) -> IntegerMatrix:
    r"""``a^T b`` for ``a[n, k]`` and ``b[n, m]`` of Python ints of any length, exactly.

    Each is split into limbs of 20 bits. A product of two limb matrices over at most 4096 rows consists of integers
    below :math:`2^{52}`, which float64 sums exactly in any order.
    """
    total = np.zeros((a.shape[1], b.shape[1]), dtype=object)
    for start in range(0, len(a), _ROWS):
        left, right = limbs(a[start : start + _ROWS]), limbs(b[start : start + _ROWS])
        for place in range(len(left) + len(right) - 1):
            pairs = [(s, place - s) for s in range(len(left)) if 0 <= place - s < len(right)]
            part = sum(((left[s].T @ right[t]).astype(np.int64).astype(object) for s, t in pairs), start=0)
            total = total + part * (1 << (_BITS * place))
    return total
