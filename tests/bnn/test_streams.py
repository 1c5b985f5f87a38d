"""Streams keyed by tuples: the twister of numpy on the same state, and keys that must not meet."""

import itertools

import numpy as np
import pytest
import torch

from pyro_symvi.bnn._streams import stream


def test_numbers_are_those_of_numpys_twister_on_the_whole_state():
    key = (7, 3, 0, 2**40)
    halves = [half for k in key for half in (k % 2**32, k >> 32)]
    twister = np.random.MT19937()
    state = twister.state
    state["state"]["key"] = np.random.SeedSequence([len(key), *halves]).generate_state(624)
    state["state"]["pos"] = 624
    twister.state = state
    drawn = torch.randint(0, 2**32, (700,), generator=stream(*key), dtype=torch.int64)
    assert set(drawn.tolist()) <= set(twister.random_raw(1400).tolist())


def test_keys_that_a_plain_seed_would_mix_up_differ():
    keys = [(1,), (1, 0), (1, 0, 0), (1, 0, 0, 0), (0, 1), (2**32, 0), (0, 2**32), (1 + 2**32,), (1 + 2**40,)]
    found = [torch.rand(8, generator=stream(*key), dtype=torch.float64) for key in keys]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(found, 2))
    for key, numbers in zip(keys, found, strict=True):
        assert torch.equal(torch.rand(8, generator=stream(*key), dtype=torch.float64), numbers)


def test_streams_of_neighbouring_keys_are_uncorrelated_and_uniform():
    u = torch.stack([torch.rand(64, generator=stream(0, c, b, 1)) for c in range(40) for b in range(40)]).double()
    assert abs(float(u.mean()) - 0.5) < 4 * (1 / 12) ** 0.5 / u.numel() ** 0.5
    z = (u - 0.5) * 12**0.5
    neighbours = (z[1:] * z[:-1]).mean(), (z[40:] * z[:-40]).mean()
    assert all(abs(float(r)) < 4 / u.numel() ** 0.5 for r in neighbours)  # 4 standard errors


@pytest.mark.parametrize("key", [(), (-1,), (True, 1), (0.5,), (2**64,)], ids=str)
def test_other_keys_are_refused(key):
    with pytest.raises(ValueError, match="ints from 0"):
        stream(*key)
