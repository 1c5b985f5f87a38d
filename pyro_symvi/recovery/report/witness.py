"""The witness of a refutation, in a form that can be computed again."""

from __future__ import annotations

import torch

from ..evidence.residuals import ResidualTest
from .entry import Witness


def violation_of(test: ResidualTest) -> Witness | None:
    """The map and the residual behind a refuted reflection; None for groups whose element was not kept."""
    if test.witness is None or test.action.group.order != 2:
        return None
    coordinates = tuple(int(j) for j in test.action.coordinates or ())
    center = getattr(test.action, "center", None)
    at = () if center is None else tuple(torch.as_tensor(center).double().tolist())
    element = (-1.0,) if test.witness_element is None else tuple(test.witness_element.double().tolist())
    return Witness(type(test.action).__name__, coordinates, at, element, float(test.witness_residual))
