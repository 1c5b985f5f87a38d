"""Reading normalisation: what fixed or learned scales between a unit and its activation leave of its symmetry."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from . import _operations as ops
from ._following import Following
from ._signals import Claims, Signal


class Normalisation(Following):
    """Batch normalisation in eval mode, layer normalisation, frozen biases."""

    def _batch_norm(self, n: fx.Node, signal: Signal, module: Any, name: str) -> Signal | None:
        if module.training or module.running_mean is None:
            return self._opaque(n, [signal], f"BatchNorm at {name!r} uses statistics of the batch; call eval()")
        if signal.labels is None:
            return signal
        labels = ops.channel_labels(signal.labels)
        sources = list(signal.claims)
        whole = None if labels is None or len(sources) != 1 else self._columns(self.candidates[sources[0]], labels)
        if whole is None or whole.shape != (len(module.running_mean), 1):
            return self._opaque(
                n, [signal], f"BatchNorm at {name!r} on other than the channels of one layer is not read"
            )
        place = whole[:, 0]
        slope = 1 / torch.sqrt(module.running_var + module.eps)
        shift = -module.running_mean * slope
        if not module.affine:
            return self._fixed_affine(signal, slope[place], shift[place], f"the statistics at {name!r}")
        gamma, beta = self._index(module.weight), self._index(module.bias)
        if gamma is None and beta is None:
            slope, shift = slope * module.weight, shift * module.weight + module.bias
            return self._fixed_affine(signal, slope[place], shift[place], f"the frozen scales at {name!r}")
        candidate = self.candidates[sources[0]]
        if gamma is None or beta is None or self._shared(module.weight) or self._shared(module.bias):
            return self._opaque(n, [signal], f"BatchNorm at {name!r} has scales that are frozen in part or shared")
        pair = torch.stack([gamma[place], beta[place]], -1)
        if _uniform(slope) and _uniform(shift):
            candidate.carried = [*candidate.carried, pair]
            candidate.scalable = False
            return signal.then(*ops.PLAIN)
        if candidate.consumers:
            return self._opaque(n, [signal], f"its units are used both before and after BatchNorm at {name!r}")
        candidate.name, candidate.incoming, candidate.carried = name, [pair], []
        candidate.permutable, candidate.scalable = False, True
        return Signal(signal.labels, {sources[0]: Claims(linear=False)})

    def _layer_norm(self, n: fx.Node, signal: Signal, module: Any, name: str) -> Signal | None:
        if signal.labels is None:
            return signal
        labels = ops.feature_labels(signal.labels)
        if labels is None or len(module.normalized_shape) != 1:
            return self._opaque(n, [signal], f"LayerNorm at {name!r} on other than the units of a layer is not read")
        for number in signal.claims:
            candidate = self.candidates[number]
            columns = self._columns(candidate, labels)
            if columns is None:
                candidate.spoil(f"its units are not used alike by LayerNorm at {name!r}")
                continue
            candidate.scalable = False
            for p in (module.weight, module.bias):
                if p is None or columns.numel() == 0:
                    continue
                index = self._index(p)
                if self._shared(p) or (index is None and not _uniform(p)):
                    candidate.spoil(f"LayerNorm at {name!r} has scales that are shared, or frozen at different values")
                elif index is not None:
                    candidate.carried = [*candidate.carried, index[columns]]
        return signal.then(*ops.PLAIN, "layer norm")

    def _fixed_affine(self, signal: Signal, slope: Tensor, shift: Tensor, what: str) -> Signal:
        """After z_j -> slope_j z_j + shift_j with fixed numbers."""
        (number,) = signal.claims
        even, centred = _uniform(slope) and _uniform(shift), not bool((shift != 0).any())
        if not even:
            self.candidates[number].permutable = False
        if not (even or centred):
            self.candidates[number].spoil(f"{what} differ between its units", harmless=True)
        kind = (1.0, True, even) if centred else ops.PLAIN
        return signal.then(*kind)


def _uniform(values: Tensor) -> bool:
    return bool((values == values.flatten()[0]).all())
