"""Where sites lie in the flat vector, without the model: what a saved certificate needs to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...density import LogDensity


@dataclass(frozen=True)
class Layout:
    """Sites and coordinates of a flat vector ``z[d]``.

    Attributes:
        slices: ``{site: slice}``.
        coordinates: Names of the coordinates.
        shapes: ``{site: shape of its value}``.
    """

    slices: Mapping[str, slice]
    coordinates: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, density: LogDensity) -> Layout:
        """The layout of a density."""
        shapes = {site.name: tuple(site.shape) for site in density.sites}
        return cls(dict(density.slices), tuple(density.coordinates), shapes)

    @property
    def dim(self) -> int:
        """Length of the flat vector."""
        return len(self.coordinates)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sites."""
        return tuple(self.slices)

    def index(self, coordinate: str | int) -> int:
        """The place of a coordinate given by its name or its number.

        Raises:
            KeyError: No such coordinate; the message lists them.
        """
        if isinstance(coordinate, int) and not isinstance(coordinate, bool) and 0 <= coordinate < self.dim:
            return coordinate
        if coordinate in self.coordinates:
            return self.coordinates.index(str(coordinate))
        raise KeyError(f"expected one of the coordinates {list(self.coordinates)}, got {coordinate!r}")

    def to_dict(self) -> list[dict[str, Any]]:
        """One record a site."""
        return [
            {"name": n, "start": s.start, "stop": s.stop, "shape": list(self.shapes[n])} for n, s in self.slices.items()
        ]

    @classmethod
    def from_dict(cls, sites: Sequence[Mapping[str, Any]], coordinates: Sequence[str]) -> Layout:
        """The inverse of `to_dict`."""
        slices = {str(s["name"]): slice(int(s["start"]), int(s["stop"])) for s in sites}
        shapes = {str(s["name"]): tuple(int(n) for n in s["shape"]) for s in sites}
        return cls(slices, tuple(coordinates), shapes)
