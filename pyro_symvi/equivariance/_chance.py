"""Random numbers of a sweep's own: what a model draws does not move the generators of the user."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

#: Calls after which the slower generators are left alone where the model has not drawn from them.
TRIAL = 2


@dataclass
class Stream:
    """One global generator, and a stream of one's own that takes its place for a while."""

    read: Callable[[], Any]
    write: Callable[[Any], None]
    equal: Callable[[Any, Any], bool]
    fast: bool
    own: Any = None
    theirs: Any = None
    drawn: bool = False


class Chance:
    """A stream that goes on from call to call, begun where the user's global generators stand.

    Inside :meth:`own` the global generators of torch (CPU, and the GPU that holds the inputs), numpy and Python are
    this stream; afterwards they are as they were. So a model that draws gives fresh numbers in every call, which is
    how chance is noticed, while whoever looks at it finds the generators untouched. Those of numpy and Python, slow to
    read, are looked after in the first two calls, and afterwards where the model drew from them in these.
    """

    def __init__(self, device: torch.device) -> None:
        self.calls = 0
        self.streams = [Stream(torch.get_rng_state, torch.set_rng_state, torch.equal, True)]
        if device.type == "cuda":
            self.streams.append(
                Stream(
                    lambda: torch.cuda.get_rng_state(device),
                    lambda state: torch.cuda.set_rng_state(state, device),
                    torch.equal,
                    True,
                )
            )
        self.streams.append(Stream(np.random.get_state, np.random.set_state, _same_numpy, False))
        self.streams.append(Stream(random.getstate, random.setstate, lambda a, b: bool(a == b), False))

    @property
    def drawn(self) -> bool:
        """Whether the model has drawn random numbers."""
        return any(stream.drawn for stream in self.streams)

    @contextmanager
    def own(self) -> Iterator[None]:
        """Run the model inside."""
        streams = [s for s in self.streams if s.fast or s.drawn or self.calls < TRIAL]
        self.calls += 1
        for s in streams:
            s.theirs = s.read()
            if s.own is not None and not s.equal(s.own, s.theirs):
                s.write(s.own)
            s.own = s.theirs if s.own is None else s.own
        try:
            yield
        finally:
            for s in streams:
                before, s.own = s.own, s.read()
                s.drawn = s.drawn or not s.equal(before, s.own)
                if not s.equal(s.own, s.theirs):
                    s.write(s.theirs)


def _same_numpy(a: Any, b: Any) -> bool:
    return bool(a[2:] == b[2:] and np.array_equal(a[1], b[1]))
