"""Spectra and errors at several times of a training, as tensors and as a file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FORMAT = "pyro_symvi.equivariance history 1"


@dataclass(frozen=True)
class Record:
    """One look at a model.

    Attributes:
        time: epoch or step.
        seconds: since the logger's first call, by the clock, the logger's own work left out.
        fractions: by layer, the fraction of energy of each irrep.
        energies: by layer, B_beta summed over sites and channels, mean over samples.
        residuals: by layer, the fraction that no irrep listed explains.
        A, relative: equivariance error by output; empty where no ``rho_out`` was given.
        numbers: what the training loop handed over (losses, learning rate, ...).
        relative_to_spread: A by the spread of the outputs over samples: offsets do not count. nan for one sample;
            empty in files of versions that did not keep it.
    """

    time: float
    seconds: float
    fractions: Mapping[str, tuple[float, ...]]
    energies: Mapping[str, tuple[float, ...]]
    residuals: Mapping[str, float]
    A: Mapping[str, float] = field(default_factory=dict)
    relative: Mapping[str, float] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    relative_to_spread: Mapping[str, float] = field(default_factory=dict)


class SpectrumHistory:
    """Records of one model in order of time; all of them have the same layers, irreps and outputs.

    Args:
        labels: of the irreps, trivial first.
        records: what there is already.
    """

    def __init__(self, labels: tuple[Hashable, ...], records: tuple[Record, ...] = ()) -> None:
        self.labels = tuple(labels)
        self._records: list[Record] = []
        for record in records:
            self.append(record)

    def append(self, record: Record) -> None:
        """Add a record.

        Raises:
            ValueError: where layers, irreps or outputs differ from those there are, or time goes backwards.
        """
        sizes = {len(fractions) for fractions in record.fractions.values()}
        if sizes - {len(self.labels)}:
            raise ValueError(f"expected {len(self.labels)} fractions for each layer, got {sorted(sizes)}")
        if self._records:
            last = self._records[-1]
            if tuple(record.fractions) != self.layers or tuple(record.relative) != self.outputs:
                raise ValueError(
                    f"expected layers {list(self.layers)} and outputs {list(self.outputs)} as before, got "
                    f"{list(record.fractions)} and {list(record.relative)}, because a history is of one model; "
                    "try a new SpectrumLogger"
                )
            if record.time <= last.time:
                raise ValueError(
                    f"expected a time after {last.time:g}, got {record.time:g}, because records are in order; "
                    "try history.until(time) to go back to an earlier state"
                )
        self._records.append(record)

    def until(self, time: float) -> SpectrumHistory:
        """The records up to ``time``, for a training that goes on from an earlier state."""
        return SpectrumHistory(self.labels, tuple(r for r in self._records if r.time <= time))

    def __repr__(self) -> str:
        if not self._records:
            return f"<history of no records over {len(self.labels)} irreps>"
        first, last = self._records[0], self._records[-1]
        relative = "".join(
            f"; {name}: relative error {first.relative[name]:.3g} to {last.relative[name]:.3g}" for name in self.outputs
        )
        return (
            f"<history of {len(self)} records at {first.time:g} to {last.time:g}, {len(self.layers)} layers over "
            f"{len(self.labels)} irreps{relative}>"
        )

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def __getitem__(self, index: int) -> Record:
        return self._records[index]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, the output last."""
        return tuple(self._records[0].fractions) if self._records else ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs with a declared action."""
        return tuple(self._records[0].relative) if self._records else ()

    @property
    def epochs(self) -> Tensor:
        """Times, ``[times]``."""
        return self._tensor([record.time for record in self])

    @property
    def seconds(self) -> Tensor:
        """Clock time of training up to each record, ``[times]``."""
        return self._tensor([record.seconds for record in self])

    @property
    def fractions(self) -> Tensor:
        """``[times, layers, irreps]``."""
        return self._tensor([list(record.fractions.values()) for record in self], len(self.labels))

    @property
    def energies(self) -> Tensor:
        """B_beta, mean over samples, ``[times, layers, irreps]``."""
        return self._tensor([list(record.energies.values()) for record in self], len(self.labels))

    @property
    def residuals(self) -> Tensor:
        """``[times, layers]``."""
        return self._tensor([list(record.residuals.values()) for record in self])

    @property
    def A(self) -> Tensor:
        """Equivariance errors in the units of the outputs, ``[times, outputs]``."""
        return self._tensor([list(record.A.values()) for record in self])

    @property
    def relative(self) -> Tensor:
        """The same by the root mean square of the output, from 0 to 1, ``[times, outputs]``."""
        return self._tensor([list(record.relative.values()) for record in self])

    @property
    def relative_to_spread(self) -> Tensor:
        """The same by the spread of the output over samples, ``[times, outputs]``; nan where it was not kept."""
        return self._tensor([[r.relative_to_spread.get(name, math.nan) for name in self.outputs] for r in self])

    @property
    def errors(self) -> Tensor:
        """The largest relative error over outputs, ``[times]``."""
        if not self.outputs:
            raise ValueError("expected errors, got none, because the logger was given no rho_out; try rho_out=...")
        return self.relative.amax(1)

    def number(self, name: str) -> Tensor:
        """One of the loop's numbers, nan where it was not given, ``[times]``."""
        known = sorted({key for record in self for key in record.numbers})
        if name not in known:
            raise KeyError(f"expected a number among {known}, got {name!r}")
        return self._tensor([record.numbers.get(name, math.nan) for record in self])

    def to_json(self, path: str | os.PathLike[str]) -> Path:
        """Write all records, whole or not at all. nan and inf are written as null and read as nan."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        content = {"format": FORMAT, "labels": self.labels, "records": [vars(record) for record in self]}
        try:
            partial.write_text(json.dumps(_written(content), allow_nan=False), encoding="utf-8")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return path

    @staticmethod
    def from_json(path: str | os.PathLike[str]) -> SpectrumHistory:
        """What :meth:`to_json` wrote.

        Raises:
            ValueError: for a file that is something else.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(f"expected a history as JSON in {str(path)!r}, got {error}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"expected a file of format {FORMAT!r}, got something else in {str(path)!r}")
        labels = tuple(_label(label) for label in content["labels"])
        return SpectrumHistory(labels, tuple(_record(record) for record in content["records"]))

    @staticmethod
    def _tensor(rows: Any, width: int = 0) -> Tensor:
        return torch.tensor(rows, dtype=torch.float64) if rows else torch.zeros(0, 0, width, dtype=torch.float64)


def _record(content: dict[str, Any]) -> Record:
    found: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            found[name] = {key: tuple(map(_read, v)) if isinstance(v, list) else _read(v) for key, v in value.items()}
        else:
            found[name] = _read(value)
    return Record(**found)


def _written(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _written(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_written(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _label(value: Any) -> Any:
    return tuple(_label(v) for v in value) if isinstance(value, list) else value
