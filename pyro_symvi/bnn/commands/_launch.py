"""The command on several processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as distributed


@contextmanager
def process_group() -> Iterator[bool]:
    """The process group that ``torchrun`` asks for, and whether this process is the first; alone, it is."""
    if distributed.is_available() and distributed.is_initialized():
        yield distributed.get_rank() == 0
    elif distributed.is_available() and distributed.is_torchelastic_launched():
        distributed.init_process_group("gloo")
        try:
            yield distributed.get_rank() == 0
        finally:
            distributed.destroy_process_group()
    else:
        yield True
