"""What is certified: a target and the location and scatter that a guide gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pyro.infer.autoguide import (
    AutoDiagonalNormal,
    AutoLowRankMultivariateNormal,
    AutoMultivariateNormal,
    AutoNormal,
)

from ..density import LogDensity
from ..density._model import without_initialisation
from ..divergences import Divergence
from ..families import LocationScale
from ..guides import AutoLocationScale
from ..infer import Fit

_GAUSSIAN = (AutoNormal, AutoDiagonalNormal, AutoMultivariateNormal, AutoLowRankMultivariateNormal)


@dataclass(frozen=True)
class Subject:
    """A target with a fitted law.

    Attributes:
        density: The flat target.
        loc: Fitted location ``[d]``, float64.
        root: ``[d, d]`` with ``root root^T`` the fitted scatter.
        has_mean: Whether the location is the fitted law's mean.
        name: The guide, in words.
        family: The family, if it is one of ours.
        parameters: Its parameters.
        divergence: What was minimised, if known.
    """

    density: LogDensity
    loc: torch.Tensor
    root: torch.Tensor
    has_mean: bool
    name: str
    family: LocationScale | None = None
    parameters: Mapping[str, torch.Tensor] | None = None
    divergence: Divergence | None = None

    @property
    def correlation(self) -> torch.Tensor:
        """Fitted correlation ``[d, d]``."""
        rows = self.root / self.root.square().sum(-1, keepdim=True).sqrt()
        return rows @ rows.mT


def read_subject(
    given: Any, args: tuple[Any, ...], kwargs: dict[str, Any], parameters: Mapping[str, torch.Tensor] | None
) -> Subject:
    """The subject of a `Fit`, a guide (with the model's arguments), or a family (with a `LogDensity`, ``parameters=``).

    Raises:
        TypeError: Not one of these, or a guide without one location and scatter (flows, mixtures, AutoDelta).
        ValueError: Missing or wrong-sized parameters, values that are not finite, a guide never called.
    """
    if isinstance(given, Fit):
        subject = _of_family(given.density, given.family, given.parameters, given.divergence)
    elif isinstance(given, LocationScale):
        if len(args) != 1 or not isinstance(args[0], LogDensity) or parameters is None:
            raise TypeError(
                "expected certify(family, density, parameters={'loc': ..., 'scale': ...}), got other arguments, "
                "because a family alone has neither a target nor parameters; try certify(fit)"
            )
        subject = _of_family(args[0], given, parameters, None)
    elif isinstance(given, AutoLocationScale):
        given.set_up(*args, **kwargs)
        density = LogDensity.from_model(given._user_model[0], *args, **kwargs)
        detached = {name: value.detach().double() for name, value in given.parameters_.items()}
        subject = _of_family(density, given.family, detached, None)
    elif isinstance(given, _GAUSSIAN):
        subject = _of_pyro_guide(given, args, kwargs)
    else:
        raise TypeError(
            f"expected a Fit, a guide or a family, got {type(given).__name__}, because a certificate speaks of one "
            "location and scatter; try symvi.fit(model, AutoLocationScale(model), ...) or an AutoNormal, "
            "AutoDiagonalNormal, AutoMultivariateNormal or AutoLowRankMultivariateNormal guide"
        )
    if not bool(torch.isfinite(subject.loc).all() and torch.isfinite(subject.root).all()):
        raise ValueError(
            "expected finite fitted parameters, got nan or infinite ones, because the fit did not succeed; try "
            "fit.status and its remedy"
        )
    return subject


def _of_family(
    density: LogDensity, family: LocationScale, parameters: Mapping[str, torch.Tensor], divergence: Divergence | None
) -> Subject:
    loc = torch.as_tensor(parameters["loc"]).detach().double()
    scale = torch.as_tensor(parameters["scale"]).detach().double()
    if loc.shape != (density.dim,) or family.dim != density.dim:
        raise ValueError(
            f"expected a location of the target's {density.dim} coordinates, got shape {tuple(loc.shape)} in a family "
            f"of dimension {family.dim}, because guide and target share one flat space"
        )
    family = family.at({name: torch.as_tensor(value) for name, value in parameters.items()})
    name = f"{family.law.name} location-scale, {family.pattern.name} scale"
    held = {"loc": loc, "scale": scale}
    return Subject(density, loc, family.matrix(scale), family.has_mean, name, family, held, divergence)


def _of_pyro_guide(guide: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Subject:
    if guide.prototype_trace is None:
        raise ValueError(
            "expected a fitted guide, got one that was never called, because an autoguide has no parameters before its "
            "first call; try fitting it first"
        )
    density = LogDensity.from_model(without_initialisation(guide.model), *args, **kwargs)
    if density.dependent_supports:
        raise ValueError(
            f"expected sites of fixed support, got supports that depend on other sites, because {type(guide).__name__} "
            "keeps those of its first run; try AutoLocationScale, which follows them"
        )
    with torch.no_grad():
        if isinstance(guide, AutoNormal):
            pieces = [guide._get_loc_and_scale(name) for name in density.names]
            loc = torch.cat([p[0].detach().reshape(-1) for p in pieces])
            root = torch.diag(torch.cat([p[1].detach().reshape(-1) for p in pieces]))
        else:
            posterior = guide.get_posterior(*args, **kwargs)
            if isinstance(guide, AutoDiagonalNormal):
                loc, root = posterior.base_dist.loc, torch.diag(posterior.base_dist.scale.double())
            else:
                loc, root = posterior.loc, torch.linalg.cholesky(posterior.covariance_matrix.double())
    return Subject(density, loc.detach().double(), root.double(), True, type(guide).__name__)
