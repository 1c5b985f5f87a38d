"""The container that the installed ArviZ reads, from groups of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

KINDS = ("inference_data", "datatree")
EXTRA = "pip install 'pyro-symvi[arviz]'"

Groups = Mapping[str, Mapping[str, np.ndarray]]


def arviz_line() -> int | None:
    """Major version of the installed ``arviz``: 0 or 1; None without one. Nothing is imported."""
    try:
        return int(version("arviz").split(".")[0])
    except PackageNotFoundError:
        return None


def chosen_kind(kind: str | None) -> str:
    """``kind``, or by default what the functions of the installed ArviZ read.

    Raises:
        ValueError: No such kind, or one that the installed ArviZ has not.
    """
    if kind is None:
        return KINDS[0] if arviz_line() == 0 else KINDS[1]
    if kind not in KINDS:
        raise ValueError(
            f"expected kind as one of {KINDS} or None, got {kind!r}, because ArviZ 0.x reads InferenceData and ArviZ "
            "1.x xarray.DataTree; try kind=None, which looks at what is installed"
        )
    if kind == KINDS[0] and (arviz_line() or 0) > 0:
        raise ValueError(
            f"expected kind='datatree', got {kind!r}, because ArviZ {version('arviz')} has no InferenceData; try "
            "kind=None"
        )
    return kind


def needed(name: str) -> Any:
    """An optional module.

    Raises:
        ImportError: It is not installed; the message names the extra that brings it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"expected the package '{name}', got none ({error}), because draws are handed to ArviZ; try {EXTRA}"
        ) from error


def container(
    groups: Groups,
    *,
    dims: Mapping[str, list[str]],
    coords: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Any] | None = None,
    variable_attrs: Mapping[str, Mapping[str, Any]] | None = None,
    kind: str | None = None,
) -> Any:
    """An ``arviz.InferenceData`` or an ``xarray.DataTree``.

    Args:
        groups: ``{group: {variable: [chain, draw, ...]}}``, without chain and draw in the groups of data.
        dims: Names of the dimensions after chain and draw.
        coords: Labels, ``{dimension: values}``.
        attrs: Of the whole: text and numbers.
        variable_attrs: Of variables of the posterior.
        kind: See `chosen_kind`.

    Raises:
        ImportError: ArviZ is missing; the message names the extra.
    """
    kind = chosen_kind(kind)
    base = needed("arviz_base")
    tree = base.from_dict(
        {name: dict(group) for name, group in groups.items()},
        dims=dict(dims),
        coords=dict(coords or {}),
        attrs={"/": dict(attrs or {})},
    )
    for name, marks in (variable_attrs or {}).items():
        tree["posterior"][name].attrs.update(marks)
    if kind == KINDS[1]:
        return tree
    found = needed("arviz").InferenceData.from_datatree(tree)
    for name, marks in (variable_attrs or {}).items():
        found["posterior"][name].attrs.update(marks)
    return found
