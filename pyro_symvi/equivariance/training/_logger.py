"""A callback for any training loop: spectra of the layers and errors of the outputs as the model learns."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ...groups import Action, Group, Quadrature
from .._capture import OUTPUT
from .._inputs import Inputs
from .._rules import MonteCarlo
from ..errors import EquivarianceError, equivariance_error
from ..spectra import spectrum
from ._history import Record, SpectrumHistory
from ._rest import at_rest


class SpectrumLogger:
    """Looks at a model while it is trained: ``logger(model, epoch, loss=...)`` in any loop, at any place of it.

    The model is put in evaluation mode and back, every module in its own; random generators, gradients, buffers and
    hooks are left as they were, so that a run with a logger ends where it would have ended without. Cost of one look:
    two passes over the rule, so a few samples (8 to 32) of held-out data suffice:
    fractions are ratios of sums over samples.

    Reading it: fractions of sectors outside the target's that fall in the last layers only are late clean-up; a
    relative error that falls and rises again is symmetry lost in training; errors below the noise floor (about 1e-6
    relative in float32) are rounding.

    Args:
        x, group, cutoff, layers, rho_in, mask, batch: as in :func:`~pyro_symvi.equivariance.spectrum`.
        rho_out: the action on the output, or a dict of actions for a model that returns a dict; None to leave the
            error out. For an invariant output give ``InvariantAction(group)``.
        every: the least time between two records made by calling the logger; the first call makes one.
        degree, rule: of spectra and errors, at least 2 ``cutoff``; without either, each has its own default.
        path: a file that is written after every record; where it is there already, the logger goes on from it.

    Raises:
        TypeError: for an output action of another group.
        ValueError: unless ``every`` is positive, and for a history with other irreps.
    """

    def __init__(
        self,
        x: Any,
        group: Group,
        cutoff: int | None = None,
        *,
        layers: Sequence[str] | str | None = None,
        rho_in: Any = None,
        rho_out: Action | Mapping[str, Action] | None = None,
        every: float = 1,
        degree: int | None = None,
        rule: Quadrature | MonteCarlo | None = None,
        mask: Tensor | None = None,
        batch: int = 256,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.inputs = Inputs.of(x, group, rho_in)
        if not every > 0:
            raise ValueError(f"expected every > 0, got {every!r}, because it is a time; try every=1 for each epoch")
        if isinstance(rho_out, Mapping):
            actions = dict(rho_out)
        else:
            actions = {} if rho_out is None else {OUTPUT: rho_out}
        for name, action in actions.items():
            if not isinstance(action, Action) or action.group != group:
                raise TypeError(
                    f"expected an action of {group!r} for {name!r} in rho_out, got {action!r}; "
                    "try InvariantAction(group) or NaturalAction(group)"
                )
        self._single = not isinstance(rho_out, Mapping)
        self._x, self._group, self._cutoff, self._rho_in, self._actions = x, group, cutoff, rho_in, actions
        self._layers, self._every, self._mask, self._batch = layers, float(every), mask, batch
        self._degree, self._rule = degree, rule
        labels = tuple(irrep.label for irrep in group.irreps(cutoff))
        self._path = None if path is None else Path(path)
        self.history = SpectrumHistory(labels)
        if self._path is not None and self._path.exists():
            self.history = SpectrumHistory.from_json(self._path)
            if self.history.labels != labels:
                raise ValueError(
                    f"expected irreps {list(labels)} in {str(path)!r}, got {list(self.history.labels)}, because the "
                    "records of one history are compared; try another path"
                )
        self._spent = self.history[-1].seconds if len(self.history) else 0.0
        self._resumed: float | None = None

    def __call__(self, model: Any, step: float, **numbers: Any) -> Record | None:
        """A record where ``every`` has passed since the last one, else None."""
        if self._resumed is None:
            self._resumed = time.perf_counter()
        if len(self.history) and step < self.history[-1].time + self._every - 1e-9:
            return None
        return self.log(model, epoch=step, **numbers)

    def log(self, model: Any, *, epoch: float, **numbers: Any) -> Record:
        """A record now; ``numbers`` (losses and the like) are kept with it.

        Raises:
            ValueError: as :func:`~pyro_symvi.equivariance.spectrum` does, or for a time before the last record's.
        """
        now = time.perf_counter()
        self._spent += 0.0 if self._resumed is None else now - self._resumed
        with at_rest(model):
            found = spectrum(
                model, self._x, self._group, self._cutoff, rho_in=self._rho_in, layers=self._layers,
                degree=self._degree, rule=self._rule, mask=self._mask, batch=self._batch,
            )  # fmt: skip
            errors = self._errors(model)
        record = Record(
            float(epoch),
            self._spent,
            {name: tuple(layer.fractions.tolist()) for name, layer in found.layers.items()},
            {name: tuple(layer.energies.sum(2).mean(1).tolist()) for name, layer in found.layers.items()},
            {name: float(layer.residual) for name, layer in found.layers.items()},
            {name: float(error.A) for name, error in errors.items()},
            {name: float(error.relative) for name, error in errors.items()},
            {name: _plain(number) for name, number in numbers.items()},
            {name: float(error.relative_to_spread) for name, error in errors.items()},
        )
        self.history.append(record)
        if self._path is not None:
            self.history.to_json(self._path)
        self._resumed = time.perf_counter()
        return record

    def to_json(self, path: str | os.PathLike[str]) -> Path:
        """See :meth:`SpectrumHistory.to_json`."""
        return self.history.to_json(path)

    def _errors(self, model: Any) -> dict[str, EquivarianceError]:
        if not self._actions:
            return {}
        rho_out = self._actions[OUTPUT] if self._single else self._actions
        found = equivariance_error(
            model, self._x, self._group, self._rho_in, rho_out,
            degree=self._degree, rule=self._rule, mask=self._mask, batch=self._batch, measure_floor=False,
        )  # fmt: skip
        return {OUTPUT: found} if self._single else {name: found[f"{OUTPUT}[{name!r}]"] for name in self._actions}


def _plain(number: Any) -> float:
    return float(number.detach() if isinstance(number, Tensor) else number)
