"""Random numbers keyed by what they are for, so that they do not depend on who draws them."""

from __future__ import annotations

import numpy as np
import torch

#: In the state of torch's CPU generator the 624 words of the Mersenne twister, 8 bytes each, follow 24 bytes.
_WORDS, _OFFSET, _LENGTH = 624, 24, 5056


def stream(*key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded by a tuple of ints from 0 to 2^64 - 1, such as (seed, chain, block, purpose).

    Different keys give independent streams: numpy's SeedSequence mixes length and entries into the whole state of the
    Mersenne twister on CPUs (``manual_seed`` would keep 32 bits, few enough for two of 100,000 streams to be equal),
    into a 63-bit seed on GPUs. The same key gives the same numbers, whatever worker asks and in whatever order.
    """
    if not key or any(isinstance(k, bool) or not isinstance(k, int) or not 0 <= k < 2**64 for k in key):
        raise ValueError(f"expected ints from 0 to 2^64 - 1 as key, got {key}")
    halves = np.array(key, dtype="<u8").view("<u4").tolist()
    sequence = np.random.SeedSequence([len(key), *halves])  # it takes no notice of zeros at the end
    first, second = (int(word) for word in sequence.generate_state(2, np.uint32))
    generator = torch.Generator(device).manual_seed((first << 31) ^ second)
    if generator.device.type == "cpu":
        state = generator.get_state()
        if len(state) == _LENGTH:
            words = sequence.generate_state(_WORDS, np.uint32).astype(np.uint64)
            state[_OFFSET : _OFFSET + 8 * _WORDS] = torch.from_numpy(words.view(np.uint8))
            generator.set_state(state)
    return generator


def on_the_cpu(generator: torch.Generator | None) -> torch.Generator | None:
    """The generator, or, of one of a GPU, a CPU generator seeded by it: numbers are drawn on the CPU and then moved."""
    if generator is None or generator.device.type == "cpu":
        return generator
    return torch.Generator().manual_seed(int(torch.randint(2**62, (1,), generator=generator, device=generator.device)))
