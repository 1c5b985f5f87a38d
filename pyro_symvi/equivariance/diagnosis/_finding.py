"""A finding: one failure mode in one layer, with the numbers it rests on and the repairs it calls for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Repair:
    """Something to try.

    Attributes:
        module: of :mod:`pyro_symvi.equivariance`, or "" where it is none.
        call: how to write it.
        why: what it does to this failure mode.
    """

    module: str
    call: str
    why: str

    def __str__(self) -> str:
        return f"{self.call}: {self.why}" if self.call else self.why


@dataclass(frozen=True)
class Finding:
    """One failure mode, seen.

    Attributes:
        mode: its name.
        layer: where.
        words: one sentence with the numbers.
        numbers: the evidence, by name.
        repairs: what it calls for, the least change first. Whether one helps is known after training with it.
        mends: False where nothing is wrong with the model.
    """

    mode: str
    layer: str
    words: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    repairs: tuple[Repair, ...] = ()
    mends: bool = True

    def __str__(self) -> str:
        lines = [f"{self.mode} (layer {self.layer})", f"  {self.words}"]
        lines += [f"  try {repair}" for repair in self.repairs]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "mode": self.mode,
            "layer": self.layer,
            "words": self.words,
            "numbers": dict(self.numbers),
            "repairs": [{"module": r.module, "call": r.call, "why": r.why} for r in self.repairs],
            "mends": self.mends,
        }
