"""Processes that compute one thing together: a sum over ranks, where a failure on one is told to all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as distributed

Result = TypeVar("Result")
_MARK_BITS = 16


class Ranks:
    """A ``torch.distributed`` process group, every call of which is made by all its ranks.

    Args:
        group: A process group; None for the default one.

    Attributes:
        size: Number of ranks.
        rank: This process's place among them.
        on_gpu: Whether they speak through nccl, that is, from one GPU each.

    Raises:
        ValueError: No process group has been set up.
    """

    def __init__(self, group: Any = None) -> None:
        if not distributed.is_available() or not distributed.is_initialized():
            raise ValueError(
                "expected a process group, got none, because ranks sum their shares through torch.distributed; try "
                'torch.distributed.init_process_group("gloo") first, and starting the script by torchrun'
            )
        self.group = group
        self.size: int = distributed.get_world_size(group)
        self.rank: int = distributed.get_rank(group)
        if self.rank < 0:
            raise ValueError(
                "expected a process group this process is in, got one it is not in, because each of its ranks holds a "
                "shard; try making this call on the group's ranks only"
            )
        self.on_gpu = "nccl" in str(distributed.get_backend(group))
        self._device = torch.device("cuda", torch.cuda.current_device()) if self.on_gpu else torch.device("cpu")

    def gather(self, value: Any) -> list[Any]:
        """``value`` of every rank, in their order."""
        found: list[Any] = [None] * self.size
        with self._explained():
            distributed.all_gather_object(found, value, group=self.group)
        return found

    def together(self, run: Callable[[], Result], what: str) -> Result:
        """``run()``, if it succeeds on all ranks; else its exception on those it fails on, and on the others a
        RuntimeError: expected ``what``, got that exception on that rank."""
        try:
            result = run()
        except Exception as failure:
            self.gather(_told(failure))
            raise
        self._raise(self.gather(None), what, None)
        return result

    def first(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor of the group's first rank, of the same shape and dtype on each."""
        sent = tensor.detach().to(self._device, copy=True).contiguous()
        source = 0 if self.group is None else distributed.get_global_rank(self.group, 0)
        with self._explained():
            distributed.broadcast(sent, src=source, group=self.group)
        return sent.to(tensor.device)

    def total(self, share: torch.Tensor, failure: Exception | None = None, mark: int = 0) -> torch.Tensor:
        """The sum of every rank's ``share`` in float64, in one all-reduce.

        Args:
            share: Of the same shape on each rank; its values are ignored where there is a failure.
            failure: What went wrong in computing it.
            mark: `fingerprint` of what the share was computed at, to be the same on each rank.

        Raises:
            RuntimeError: On all ranks: one has failed (its message is told), or they were not at the same point; on
                the ones left: another rank is gone, or did not answer within the process group's timeout.
        """
        flat = share.detach().reshape(-1).to(self._device, torch.float64)
        flat = torch.zeros_like(flat) if failure is not None else flat
        packed = torch.cat([flat, flat.new_tensor([failure is not None, mark, mark**2])])
        with self._explained():
            distributed.all_reduce(packed, group=self.group)
        failed, first, second = packed[-3:].tolist()
        if failed:
            told = self.gather(None if failure is None else _told(failure))
            self._raise(told, "a share that can be computed on every rank", failure)
        if self.size * second != first**2:
            raise RuntimeError(
                "expected the same point on every rank, got different ones, because each rank must run the same program"
                " on its own shard (seeds, starting points, options, the kind of processor); try passing what decides "
                "the course of the program from one rank to the others"
            )
        return packed[:-3].reshape(share.shape).to(share.device)

    def _raise(self, told: list[str | None], what: str, cause: Exception | None) -> None:
        failures = [f"on rank {rank} {message}" for rank, message in enumerate(told) if message is not None]
        if failures:
            raise RuntimeError(
                f"expected {what}, got {'; '.join(failures)}; because a sum over ranks needs each of them, all stop"
            ) from cause

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise RuntimeError(
                f"expected all {self.size} ranks to answer, got on rank {self.rank}: {line}; because another rank has "
                "died, hangs, or left the common course; try its own messages, and the timeout= of init_process_group "
                "if it is merely slow"
            ) from error


def _told(failure: Exception) -> str:
    """Kind and message of an exception; the kind by its public name."""
    kind = next(c.__name__ for c in type(failure).__mro__ if not c.__module__.startswith(__package__))
    return f"{kind}: {failure}"


def fingerprint(z: torch.Tensor) -> int:
    """A number below 2^16 made of all bits of a float64 tensor: equal tensors have equal ones."""
    bits = z.detach().contiguous().view(torch.int64).reshape(-1)
    mixed = (bits ^ (bits >> 32)) * (2 * torch.arange(len(bits), device=bits.device) + 0x9E3779B97F4A7)
    return int((mixed ^ (mixed >> 29)).sum() >> 20) & (2**_MARK_BITS - 1)
