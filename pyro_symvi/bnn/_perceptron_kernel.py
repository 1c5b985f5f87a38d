"""Perceptrons with many parameter vectors at once: one product a layer, and a backward pass written out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._layout import Layout
from ._activations import Activation
from ._kernels import Kernel, OutputScore
from ._perceptron import Perceptron

#: Bytes of activations and cotangents that a block of chains may take: more leaves the caches, fewer and longer loops
#: of small operations cost more than they save.
BLOCK_BYTES = 8 * 2**20


@dataclass
class _Workspace:
    """What one block needs and the next one can use again.

    Attributes:
        x: the inputs this is for, and their version: memory is reused, contents are not trusted.
        rows: the inputs, one a column, and a row of ones if the first stage has a bias: ``[inputs + 1, n]``.
        hidden: activations of each stage, ``[C, width, n]``; None where they are to be made anew.
        cotangents: the same shapes.
    """

    x: Tensor
    version: int
    rows: Tensor
    hidden: Sequence[Tensor | None]
    cotangents: Sequence[Tensor | None]


class PerceptronKernel(Kernel):
    """A perceptron, units before rows: activations are ``[C, width, n]``, so that products are long in the rows.

    The first layer is one product for all chains, ``[C * width, inputs + 1] x [inputs + 1, n]``, biases included; the
    others are batched. Backward, with D_l = dlog p/dz_l: dW_l = D_l h_{l-1}^T, db_l = D_l 1, and
    D_{l-1} = (W_l^T D_l) phi'(z_{l-1}), written into memory that stays from call to call (one set a thread).
    """

    def __init__(self, perceptron: Perceptron, layout: Layout) -> None:
        self.perceptron, self.layout = perceptron, layout
        self._names = layout.names[: len(layout.names) - layout.extras]
        self._sizes = layout.sizes[: len(self._names)]
        self._kept = threading.local()

    def outputs(self, theta: Tensor, x: Tensor) -> Tensor:
        h = x.flatten(1).T.expand(len(theta), -1, -1)
        for stage in self.perceptron.stages:
            w = theta[:, self.layout.slices[stage.weight]].reshape(-1, stage.outputs, stage.inputs)
            bias = None if stage.bias is None else theta[:, self.layout.slices[stage.bias], None]
            z = torch.bmm(w, h) if bias is None else torch.baddbmm(bias, w, h)
            h = stage.activation.function(z)
        return h.transpose(1, 2)

    def block(self, chains: int, x: Tensor) -> int:
        each = 2 * sum(self.perceptron.widths[1:]) * max(1, len(x)) * x.element_size()
        blocks = -(-chains // max(1, BLOCK_BYTES // each))
        return -(-chains // max(1, blocks))

    def pull_back(self, theta: Tensor, x: Tensor, score: OutputScore) -> tuple[Tensor, Tensor]:
        stages, chains = self.perceptron.stages, len(theta)
        work = self._workspace(chains, x)
        parts = dict(zip(self._names, theta.split(self._sizes, 1), strict=True))
        weights = [parts[stage.weight].view(chains, stage.outputs, stage.inputs) for stage in stages]
        passed: list[tuple[Tensor, Any]] = []  # of each stage: its activations, and what its slope is computed from
        for i, (stage, w, z) in enumerate(zip(stages, weights, work.hidden, strict=True)):
            bias = None if stage.bias is None else parts[stage.bias].unsqueeze(2)
            if i == 0:
                joined = w if bias is None else torch.cat([w, bias], 2)
                flat = None if z is None else z.view(chains * stage.outputs, len(x))
                z = torch.mm(joined.flatten(0, 1), work.rows, out=flat).view(chains, stage.outputs, len(x))
            elif bias is None:
                z = torch.bmm(w, passed[-1][0], out=z)
            elif z is None:  # a compiler makes one pass of bias and activation
                z = torch.bmm(w, passed[-1][0]) + bias
            else:
                z = torch.baddbmm(bias, w, passed[-1][0], out=z)
            passed.append(_activate(stage.activation, z))
        value, cotangent = score(passed[-1][0].mT)
        d, found = cotangent.mT, {}
        for i in range(len(stages) - 1, -1, -1):
            stage = stages[i]
            d = _times_slope(stage.activation, d, *passed[i])
            if i == 0:  # this way round, the short side first: several times faster than its transpose
                both = torch.mm(work.rows, d.flatten(0, 1).T).view(-1, chains, stage.outputs).permute(1, 2, 0)
                found[stage.weight] = both[..., : stage.inputs]
                if stage.bias is not None:
                    found[stage.bias] = both[..., stage.inputs]
                break
            found[stage.weight] = torch.bmm(d, passed[i - 1][0].mT)
            if stage.bias is not None:
                found[stage.bias] = d.sum(-1)
            d = torch.bmm(weights[i].mT, d, out=work.cotangents[i - 1])
        return value, torch.cat([found[name].flatten(1) for name in self._names], 1)

    def _workspace(self, chains: int, x: Tensor) -> _Workspace:
        if torch._C._len_torch_dispatch_stack() > 0:  # a graph is being recorded: it must change nothing but its own
            nothing = [None] * len(self.perceptron.stages)
            return _Workspace(x, x._version, self._rows(x), nothing, nothing)
        kept: dict[int, _Workspace] = self._kept.__dict__.setdefault("by_chains", {})
        work = kept.get(chains)
        if work is None or work.x is not x or work.version != x._version:
            if len(kept) >= 4:
                kept.clear()
            widths, n = self.perceptron.widths, len(x)
            same = next((w for w in kept.values() if w.x is x and w.version == x._version), None)
            rows = self._rows(x) if same is None else same.rows
            hidden = [x.new_empty(chains, width, n) for width in widths[1:]]
            cotangents = [x.new_empty(chains, width, n) for width in widths[1:-1]]
            work = kept[chains] = _Workspace(x, x._version, rows, hidden, cotangents)
        return work

    def _rows(self, x: Tensor) -> Tensor:
        columns = x.flatten(1).T
        biased = self.perceptron.stages[0].bias is not None
        return torch.cat([columns, x.new_ones(1, len(x))]) if biased else columns.contiguous()


def _activate(activation: Activation, z: Tensor) -> tuple[Tensor, Any]:
    """phi(z), and what its slope is computed from besides; z may be overwritten."""
    if activation.linear:
        return z, None
    if activation.in_place is not None:
        return activation.in_place(z), None
    if activation.slope is not None:
        return activation.function(z), z
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        value = activation.function(leaf)
    return value.detach(), (leaf, value)


def _times_slope(activation: Activation, d: Tensor, h: Tensor, kept: Any) -> Tensor:
    """``d * phi'(z)``; d may be overwritten."""
    if activation.linear:
        return d
    if activation.backward is not None and activation.in_place is not None:
        return activation.backward(d, h)
    if activation.slope is not None:
        return d.mul_(activation.slope(kept, h))
    leaf, value = kept
    found: Tensor = torch.autograd.grad(value, leaf, d)[0]
    return found
