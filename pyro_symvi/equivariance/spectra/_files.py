"""Spectra as JSON, and back."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Hashable
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ... import groups
from ...groups import Group
from ._result import LayerSpectrum, Replicates
from ._spectra import Spectrum

FORMAT = "pyro_symvi.equivariance.spectrum"


def as_dict(spectrum: Spectrum) -> dict[str, Any]:
    """Numbers, strings, lists and dicts."""
    layers = []
    for layer in spectrum.layers.values():
        found: dict[str, Any] = {"name": layer.name, "energies": layer.energies.tolist(), "total": layer.total.tolist()}
        if layer.replicates is not None:
            found["replicates"] = {
                "energies": layer.replicates.energies.tolist(),
                "total": layer.replicates.total.tolist(),
            }
        layers.append(found)
    return {
        "format": FORMAT,
        "group": group_as_dict(spectrum.group),
        "labels": [_listed(label) for label in spectrum.labels],
        "dimensions": list(spectrum.dimensions),
        "degree": "inf" if math.isinf(spectrum.degree) else spectrum.degree,
        "evaluations": spectrum.evaluations,
        "changes": spectrum.changes,
        "seed": spectrum.seed,
        "left_out": spectrum.left_out,
        "layers": layers,
    }


def from_dict(values: dict[str, Any]) -> Spectrum:
    """The spectrum of :func:`as_dict`."""
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(
            f"expected a dict with format {FORMAT!r}, as Spectrum.to_dict gives, got {type(values).__name__}"
        )
    labels = tuple(_label(label) for label in values["labels"])
    layers = {}
    for found in values["layers"]:
        left_out = found.get("replicates")
        replicates = None
        if left_out is not None:
            replicates = Replicates(_tensor(left_out["energies"]), _tensor(left_out["total"]))
        energies, total = _tensor(found["energies"]), _tensor(found["total"])
        if energies.ndim != 3 or len(energies) != len(labels) or energies.shape[1:] != total.shape:
            raise ValueError(
                f"expected energies [{len(labels)}, B, channels] and total [B, channels] of layer {found['name']!r}, "
                f"got {list(energies.shape)} and {list(total.shape)}"
            )
        layers[found["name"]] = LayerSpectrum(found["name"], labels, energies, total, replicates)
    group, degree = group_from_dict(values["group"]), float(values["degree"])
    dimensions = tuple(values["dimensions"])
    changes, seed, skipped = values["changes"], values["seed"], values.get("left_out")
    return Spectrum(layers, group, labels, dimensions, degree, values["evaluations"], changes, seed, skipped)


def write(spectrum: Spectrum, path: str | os.PathLike[str]) -> Path:
    """Write a file, whole or not at all; folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(json.dumps(as_dict(spectrum), allow_nan=False) + "\n", encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def read(path: str | os.PathLike[str]) -> Spectrum:
    """Read what :func:`write` wrote."""
    return from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


def group_as_dict(value: Any) -> Any:
    """A group by the name of its class and its fields; numbers, strings, tensors and sequences inside."""
    if isinstance(value, Group):
        inside = {f.name: group_as_dict(getattr(value, f.name)) for f in fields(value)}  # type: ignore[arg-type]
        return {"class": type(value).__name__, "fields": inside}
    if isinstance(value, Tensor):
        return {"tensor": value.tolist(), "dtype": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, tuple | list):
        return [group_as_dict(entry) for entry in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"expected a group of numbers, strings, tensors and groups, got {value!r} inside; try to_dict without"
    )


def group_from_dict(value: Any) -> Any:
    """The group of :func:`group_as_dict`; only the classes of ``pyro_symvi.groups`` are looked up."""
    if isinstance(value, dict) and "class" in value:
        kind = getattr(groups, value["class"], None) if value["class"] in groups.__all__ else None
        if not isinstance(kind, type) or not issubclass(kind, Group):
            raise ValueError(f"expected the name of a group of pyro_symvi.groups, got {value['class']!r}")
        return kind(**{name: group_from_dict(entry) for name, entry in value["fields"].items()})
    if isinstance(value, dict):
        return torch.tensor(value["tensor"], dtype=getattr(torch, value["dtype"]))
    if isinstance(value, list):
        return tuple(group_from_dict(entry) for entry in value)
    return value


def _tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _listed(label: Hashable) -> Any:
    return [_listed(entry) for entry in label] if isinstance(label, tuple) else label


def _label(value: Any) -> Hashable:
    return tuple(_label(entry) for entry in value) if isinstance(value, list) else value
