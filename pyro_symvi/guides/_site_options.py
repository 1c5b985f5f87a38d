"""Which family a site gets: by its support, or by what the user asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..distributions.bases import Base
from ..families import LearnedDf, LocationScale, Scale
from ..families._axial import AxialFamily
from ..families.location_scale import resolve_base, resolve_scale
from ..families.power_spherical import PowerSphericalFamily
from ..families.von_mises_fisher import VonMisesFisherFamily

SPHERICAL: dict[str, type[AxialFamily]] = {
    "von_mises_fisher": VonMisesFisherFamily,
    "power_spherical": PowerSphericalFamily,
}
"""The families of sites on a sphere, by name."""

_SETTINGS = ("base", "scale", "df")
_ON_SPHERE = f"one of {', '.join(map(repr, SPHERICAL))}"
_ELSEWHERE = 'location-scale settings such as {"base": "student_t", "df": 5.0, "scale": "full"}'


@dataclass(frozen=True)
class SiteOptions:
    """What a guide was asked for: defaults for both kinds of sites, and exceptions by name.

    Raises:
        TypeError: ``families`` is no mapping, or an entry of it is of a wrong kind.
        ValueError: An unknown base, scale, family or setting, a bad ``df``.
    """

    base: str | Base = "normal"
    scale: str | Scale = "diagonal"
    df: float | LearnedDf | None = None
    sphere: str = "von_mises_fisher"
    families: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        resolve_base(self.base, resolve_scale(self.scale), self.df)
        _known_spherical(self.sphere, "family")
        if not isinstance(self.families, Mapping):
            raise TypeError(
                f"expected families as a mapping from site names, got {self.families!r}, because each site has its "
                'own; try {"mu": "power_spherical"}'
            )
        for name, wanted in self.families.items():
            if isinstance(wanted, str):
                _known_spherical(wanted, f"families[{name!r}]")
            elif isinstance(wanted, Mapping):
                self._check_settings(name, wanted)
            elif not isinstance(wanted, AxialFamily | LocationScale):
                raise TypeError(
                    f"expected families[{name!r}] as {_ON_SPHERE}, {_ELSEWHERE}, or a family of pyro_symvi.families, "
                    f"got {wanted!r}, because no other law of a site is known; try VonMisesFisherFamily(3)"
                )

    def _check_settings(self, name: str, wanted: Mapping[str, Any]) -> None:
        unknown = [key for key in wanted if key not in _SETTINGS]
        if unknown:
            raise ValueError(
                f"expected settings among {list(_SETTINGS)} in families[{name!r}], got {unknown}, because a "
                f"location-scale law has no others; try {_ELSEWHERE}"
            )
        settings = self._settings(wanted)
        resolve_base(settings["base"], resolve_scale(settings["scale"]), settings["df"])

    def _settings(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The user's settings for a site, completed by the guide's; its ``df`` goes with its base only."""
        df = self.df if wanted.get("base", self.base) == self.base else None
        return {"base": self.base, "scale": self.scale, "df": df, **wanted}

    def refuse_unknown_names(self, names: Iterable[str]) -> None:
        """Exceptions for sites that the model does not have.

        Raises:
            ValueError: There is one.
        """
        known = list(names)
        unknown = [name for name in self.families if name not in known]
        if unknown:
            raise ValueError(
                f"expected families for latent sites of the model, which are {known}, got {unknown}, because there are "
                "no such sites; try one of these names"
            )

    def on_sphere(self, name: str, dim: int) -> AxialFamily:
        """The family of a site on the sphere of R^dim."""
        wanted = self.families.get(name, self.sphere)
        if isinstance(wanted, str):
            return SPHERICAL[wanted](dim)
        if isinstance(wanted, AxialFamily) and wanted.dim == dim:
            return wanted
        raise ValueError(
            f"expected {_ON_SPHERE} for site '{name}', which lies on the sphere of R^{dim}, got {wanted!r}, because no "
            f'law on flat space, or on another sphere, fits; try families={{"{name}": "von_mises_fisher"}}'
        )

    def elsewhere(self, name: str, dim: int, support: Any) -> LocationScale:
        """The family of a site with ``dim`` unconstrained coordinates."""
        wanted = self.families.get(name, {})
        if isinstance(wanted, Mapping):
            return LocationScale(dim, **self._settings(wanted))
        if isinstance(wanted, LocationScale) and wanted.dim == dim:
            return wanted
        raise ValueError(
            f"expected {_ELSEWHERE} for site '{name}', whose support {support} maps to R^{dim}, got {wanted!r}, "
            f'because only a law on R^{dim} fits; try families={{"{name}": {{"scale": "full"}}}}'
        )


def _known_spherical(name: object, where: str) -> None:
    if not isinstance(name, str) or name not in SPHERICAL:
        raise ValueError(
            f"expected {where} to be {_ON_SPHERE} (for a site on a sphere), or {_ELSEWHERE}, got {name!r}, because no "
            'other family has a name; try "von_mises_fisher"'
        )
