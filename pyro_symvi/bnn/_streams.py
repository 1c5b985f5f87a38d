"""Random numbers keyed by what they are for, so that they do not depend on who draws them."""

from __future__ import annotations

import numpy as np
import torch


def stream(*key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded by a tuple of non-negative ints, such as (seed, chain, block, purpose).

    Different keys give independent streams (numpy's SeedSequence mixes them); the same key gives the same numbers,
    whatever worker asks and in whatever order.
    """
    if not key or any(isinstance(k, bool) or not isinstance(k, int) or k < 0 for k in key):
        raise ValueError(f"expected non-negative ints as key, got {key}")
    state = np.random.SeedSequence(list(key)).generate_state(2, np.uint32)
    return torch.Generator(device).manual_seed((int(state[0]) << 31) ^ int(state[1]))
