"""Losses computed one pair of images after the other, gradients along with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class LossByPair(torch.autograd.Function):
    """Losses ``[n, B]`` of frames ``[n, B, N, D]`` against frames ``[B, D, M]``, from the loss of one pair.

    The N M logits of a pair are the bulk of the memory. They live only while their pair is worked on: its gradients,
    of the size of the frames, are taken at once and kept. That is what autograd would find, in a cache that holds one
    pair, and with memory of n B (N + M) D in place of n B N M. First derivatives only: second ones are refused.
    """

    @staticmethod
    def forward(ctx: Any, source: Tensor, target: Tensor, loss_of: Callable[[int, Tensor], Tensor]) -> Tensor:
        """``loss_of(b, logits [n, N, M])`` is the loss ``[n]`` of pair b."""
        wanted = any(ctx.needs_input_grad[:2])
        count, batch = source.shape[:2]
        losses = source.new_empty(count, batch)
        slopes = (torch.empty_like(source), target.new_empty(count, *target.shape)) if wanted else None
        for b in range(batch):
            with torch.set_grad_enabled(wanted):
                left = source[:, b].detach().requires_grad_(wanted)
                right = target[b].detach().expand(count, -1, -1).requires_grad_(wanted)  # one copy for each candidate
                found = loss_of(b, left @ right)
                losses[:, b] = found.detach()
                if slopes is not None:
                    slopes[0][:, b], slopes[1][:, b] = torch.autograd.grad(found.sum(), (left, right))
        if slopes is not None:
            ctx.save_for_backward(*slopes)
        return losses

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        """Each candidate's gradients, times what arrives."""
        if torch.is_grad_enabled():  # with create_graph=True: gradients that are kept have no graph
            raise RuntimeError(
                "expected first derivatives of a frame loss, got a call with create_graph=True, because its gradients "
                "are taken in the forward pass; try a loss of your own for second ones"
            )
        left, right = ctx.saved_tensors
        factor = upstream[..., None, None]
        return factor * left, (factor * right).sum(0), None
