"""Contexts: random states and Pyro's parameter store put back as they were, and what a trace records."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyro
import torch
from pyro.util import get_rng_state, set_rng_state


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Fixed torch (CPU), numpy and python seeds inside, the caller's states restored after."""
    state = get_rng_state()
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every GPU as well
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        set_rng_state(state)


def random_state() -> tuple[object, ...]:
    """The states of the global torch, numpy and python generators, comparable with ``==``."""
    name, keys, *rest = np.random.get_state()
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), name, np.asarray(keys).tobytes(), *rest


def gpu_of(tensor: torch.Tensor) -> list[torch.device]:
    """The GPU on which a tensor lies, for ``torch.random.fork_rng(devices=...)``: its generator makes draws there."""
    return [tensor.device] if tensor.device.type == "cuda" else []


@contextmanager
def own_parameter_store() -> Iterator[None]:
    """Pyro's parameter store as it is now; parameters that are made inside are gone after."""
    store = pyro.get_param_store()
    with store.scope(store.get_state()):
        yield


@contextmanager
def one_fake_mode() -> Iterator[None]:
    """One mode for the shapes and dtypes that ``make_fx`` records of a trace with real tensors.

    torch would make a new one for each operation, with a stack trace: a third of the time. The values traced are those
    of real tensors all the same.
    """
    from torch._guards import TracingContext, tracing
    from torch._subclasses.fake_tensor import FakeTensorMode

    with tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
        yield
