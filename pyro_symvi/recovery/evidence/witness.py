"""The point that refutes a symmetry, in numbers that anybody can evaluate again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from ...density import LogDensity
from ...groups import AffineAction, EllipticalRotation, PointReflection
from .residuals import ResidualTest, residual_at

_ACTIONS: dict[str, type[AffineAction]] = {"PointReflection": PointReflection, "EllipticalRotation": EllipticalRotation}


def witness_record(test: ResidualTest) -> dict[str, Any] | None:
    """Point, group element, centre, shape (None for reflections) and residual of a refutation, as lists of numbers.

    None where nothing was refuted. Numbers are written in full: JSON gives the same doubles back.
    """
    if test.witness is None or test.witness_element is None:
        return None
    shape = getattr(test.action, "shape", None)
    return {
        "action": type(test.action).__name__,
        "coordinates": [int(j) for j in test.action.coordinates or ()],
        "center": torch.as_tensor(test.action.center).double().tolist(),
        "shape": None if shape is None else torch.as_tensor(shape).double().tolist(),
        "element": test.witness_element.double().tolist(),
        "point": test.witness.tolist(),
        "residual": test.witness_residual,
    }


def recompute_witness(density: LogDensity, record: Any) -> float:
    r"""The residual :math:`\log p(gz) + \log|\det g| - \log p(z)` at the witness of a refutation, evaluated again.

    With the density that was certified it is the residual reported, bit for bit; with the same model built anew, up to
    rounding. Infinite residuals (a support that is not symmetric) are reported as 10^300.

    Args:
        density: The target.
        record: What `witness_record` gave; or an `Entry` of a certificate, or its ``to_dict()``.

    Raises:
        TypeError: None of these.
        ValueError: There is no witness in it, of a dimension that is not the target's.
    """
    found = _read(record)
    point = torch.tensor(found["point"], dtype=torch.float64)
    if point.shape != (density.dim,):
        raise ValueError(
            f"expected a witness of {density.dim} coordinates, got {len(point)}, because it is a point of the target's "
            "space; try the density that was certified"
        )
    action = _ACTIONS[found["action"]](coordinates=found["coordinates"])
    shape = None if found.get("shape") is None else torch.tensor(found["shape"], dtype=torch.float64)
    center = torch.tensor(found["center"], dtype=torch.float64)
    bound = action.bind(density.dim, center=center, shape=shape)
    return residual_at(density, bound, torch.tensor(found["element"], dtype=torch.float64), point)


def _read(record: Any) -> dict[str, Any]:
    if not isinstance(record, Mapping):
        if not hasattr(record, "to_dict"):
            raise TypeError(
                f"expected a witness record, an Entry or its to_dict(), got {type(record).__name__}, because a point "
                'and a map are needed; try certificate["mean"].entries[0]'
            )
        record = record.to_dict()
    if "point" in record:
        return dict(record)
    if not record.get("violation") or not record.get("witness"):
        raise ValueError(
            f"expected an entry with a witness, got one that is {record.get('verdict', 'without a verdict')}, because "
            "only a refuted symmetry has one; try an entry whose verdict is REFUTED"
        )
    return {**record["violation"], "point": record["witness"]}


def is_hole(residual: float) -> bool:
    """Whether the residual says that the density is zero on one side only."""
    return abs(residual) >= 1e299 and math.isfinite(residual)
