"""What is certified: a target, with the location and scatter that a guide or draws give it, or by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from pyro.infer.autoguide import (
    AutoDiagonalNormal,
    AutoLowRankMultivariateNormal,
    AutoMultivariateNormal,
    AutoNormal,
)
from pyro.ops.stats import effective_sample_size, split_gelman_rubin

from ..density import LogDensity
from ..density._model import without_initialisation
from ..divergences import Divergence
from ..families import LocationScale
from ..guides import AutoLocationScale
from ..infer import Fit, FitStatus, Optima
from ..infer.fitting.posterior_draws import MIXED, read_draws

_GAUSSIAN = (AutoNormal, AutoDiagonalNormal, AutoMultivariateNormal, AutoLowRankMultivariateNormal)
_FEWEST_DRAWS = 100


@dataclass(frozen=True)
class Subject:
    """A target, with a fitted law or draws or by itself.

    Attributes:
        density: The flat target.
        loc: Fitted location ``[d]``, float64; the mean of draws; nan where nothing was fitted.
        root: ``[d, d]`` with ``root root^T`` the fitted scatter; of draws, their covariance; nan where nothing was.
        has_mean: Whether the location is the fitted law's mean.
        name: The guide, in words.
        family: The family, if it is one of ours.
        parameters: Its parameters.
        divergence: What was minimised, if known.
        kind: ``"guide"``, ``"draws"`` or ``"target"``.
        draws: ``[chains, n, d]``, unconstrained, of the second kind.
        notes: Remarks for the reader (a fit that did not converge).
        status: How the fit ended, if it is one of ours.
        optima: Where its starts ended.
    """

    density: LogDensity
    loc: torch.Tensor
    root: torch.Tensor
    has_mean: bool
    name: str
    family: LocationScale | None = None
    parameters: Mapping[str, torch.Tensor] | None = None
    divergence: Divergence | None = None
    kind: str = "guide"
    draws: torch.Tensor | None = None
    notes: tuple[str, ...] = ()
    status: FitStatus | None = None
    optima: Optima | None = None

    @property
    def title(self) -> str:
        """What a certificate of it is for, in words."""
        return f"a {self.name} guide" if self.kind == "guide" else self.name

    @property
    def correlation(self) -> torch.Tensor:
        """Fitted correlation ``[d, d]``."""
        rows = self.root / self.root.square().sum(-1, keepdim=True).sqrt()
        return rows @ rows.mT

    @property
    def covariance(self) -> torch.Tensor | None:
        """Fitted covariance ``[d, d]``; None where the fitted law has none."""
        scatter = self.root @ self.root.mT
        if self.family is None or self.kind != "guide":
            return scatter
        variance = self.family.law.variance(self.density.dim)
        return variance * scatter if math.isfinite(variance) else None

    def value(self, i: int) -> float:
        """Fitted location of coordinate i; nan where nothing was fitted."""
        return float(self.loc[i])

    def names(self, coordinates: Sequence[int]) -> str:
        """Coordinates in words, whole sites by their names."""
        left, parts = set(coordinates), []
        for site in self.density.sites:
            inside = [i for i in range(self.density.dim)[site.slice] if i in left]
            if len(inside) == site.slice.stop - site.slice.start:
                parts.append(site.name)
            else:
                parts += [self.density.coordinates[i] for i in inside]
        return ", ".join(parts)


def read_subject(
    given: Any, args: tuple[Any, ...], kwargs: dict[str, Any], parameters: Mapping[str, torch.Tensor] | None
) -> Subject:
    """The subject of a `Fit`, a guide (with the model's arguments), a family (with a `LogDensity`, ``parameters=``),
    draws (with a `LogDensity`, or a model and its arguments), or a `LogDensity`.

    Raises:
        TypeError: Not one of these, or a guide without one location and scatter (flows, mixtures, AutoDelta).
        ValueError: Missing or wrong-sized parameters, values that are not finite, a guide never called.
    """
    if isinstance(given, Fit):
        subject = _of_family(given.density, given.family, given.parameters, given.divergence)
        subject = replace(subject, notes=_status_notes(given), status=given.status, optima=given.optima)
    elif isinstance(given, LogDensity):
        return _of_target(given, args, kwargs)
    elif isinstance(given, (torch.Tensor, Mapping)):
        subject = _of_draws(given, args, kwargs)
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
        detached = {name: value.detach().double().cpu() for name, value in given.parameters_.items()}
        subject = _of_family(density, given.family, detached, None)
    elif isinstance(given, _GAUSSIAN):
        subject = _of_pyro_guide(given, args, kwargs)
    else:
        raise TypeError(
            f"expected a Fit, a guide or a family, got {type(given).__name__}, because a certificate speaks of one "
            "location and scatter (or of a target by itself); try symvi.fit(model, AutoLocationScale(model), ...), an "
            "AutoNormal, AutoDiagonalNormal, AutoMultivariateNormal or AutoLowRankMultivariateNormal guide, posterior "
            "draws, or a LogDensity"
        )
    if not bool(torch.isfinite(subject.loc).all() and torch.isfinite(subject.root).all()):
        raise ValueError(
            "expected finite fitted parameters, got nan or infinite ones, because the fit did not succeed; try "
            "fit.status and its remedy"
        )
    return subject


def _status_notes(fit: Fit) -> tuple[str, ...]:
    """What a reader must know of a fit that did not end well."""
    if fit.converged:
        return ()
    details = f" ({fit.details})" if fit.details else ""
    return (
        f"the fit ended {fit.status.name}{details}, so its values may be far from what it would reach; try: "
        f"{fit.status.remedy}",
    )


def _of_target(density: LogDensity, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Subject:
    if args or kwargs:
        raise TypeError(
            "expected no further arguments beside a LogDensity, got some, because its data are inside it; try "
            "certify(density), or certify(family, density, parameters=...)"
        )
    nothing = torch.full((density.dim,), torch.nan, dtype=torch.float64)
    root = torch.full((density.dim, density.dim), torch.nan, dtype=torch.float64)
    return Subject(density, nothing, root, True, "the target by itself", kind="target")


def _of_draws(given: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Subject:
    if not args or not (isinstance(args[0], LogDensity) or callable(args[0])):
        raise TypeError(
            "expected certify(draws, density) or certify(draws, model, *args), got draws alone, because without a "
            "target there is nothing to hold them against; try LogDensity.from_model(model, *args)"
        )
    if isinstance(args[0], LogDensity):
        if len(args) > 1 or kwargs:
            raise TypeError(
                "expected no further arguments beside draws and a LogDensity, got some, because its data are inside "
                "it; try certify(draws, density)"
            )
        density = args[0]
    else:
        density = LogDensity.from_model(args[0], *args[1:], **kwargs)
    z = read_draws(density, given)
    flat = z.reshape(-1, density.dim)
    if len(flat) < _FEWEST_DRAWS:
        raise ValueError(
            f"expected at least {_FEWEST_DRAWS} draws, got {len(flat)}, because means and their errors are computed "
            "from them; try more"
        )
    loc, covariance = flat.mean(0), torch.cov(flat.mT).reshape(density.dim, density.dim)
    unit = covariance.diagonal().sqrt()
    root, info = torch.linalg.cholesky_ex(covariance / torch.outer(unit, unit))
    if int(info) or not bool((unit > 0).all()):
        raise ValueError(
            f"expected draws that vary in every direction, got a singular covariance from {len(flat)} draws, because "
            "gaps are measured in their spread; try more draws, or those of all latent sites"
        )
    effective, mixing = mixing_of(z)
    notes = (
        f"the draws are worth {float(effective.min()):.0f} to {float(effective.max()):.0f} independent ones, so that "
        f"their means have Monte-Carlo errors of up to {1 / math.sqrt(float(effective.min())):.2g} of their standard "
        f"deviations if the chains have mixed ({mixing})",
        "draws never certify: values computed from them are held against what symmetry says of the target",
    )
    name = f"{len(flat)} draws in {len(z)} chain{'s' if len(z) > 1 else ''}"
    return Subject(density, loc, unit[:, None] * root, True, name, kind="draws", draws=z, notes=notes)


def mixing_of(draws: torch.Tensor) -> tuple[torch.Tensor, str]:
    """Effective numbers of draws ``[d]`` of ``draws[chains, n, d]``, autocorrelation counted, and split R-hat in words.

    Vehtari, Gelman, Simpson, Carpenter & Buerkner (2021), as in ``pyro.ops.stats``.
    """
    total = float(draws.shape[0] * draws.shape[1])
    effective = effective_sample_size(draws, chain_dim=0, sample_dim=1).nan_to_num(nan=1.0).clamp(1.0, total)
    r_hat = float(split_gelman_rubin(draws, chain_dim=0, sample_dim=1).max()) if draws.shape[1] >= 4 else math.nan
    return effective, f"split R-hat {r_hat:.3f}" + (", which says they have not" if not r_hat <= MIXED else "")


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
    loc, root = loc.detach().double().cpu(), root.double().cpu()
    subject = Subject(density, loc, root, True, type(guide).__name__)
    if isinstance(guide, AutoLowRankMultivariateNormal):
        return subject
    full = isinstance(guide, AutoMultivariateNormal)
    family = LocationScale(density.dim, scale="full" if full else "diagonal")
    return replace(subject, family=family, parameters={"loc": loc, "scale": root if full else root.diagonal()})
