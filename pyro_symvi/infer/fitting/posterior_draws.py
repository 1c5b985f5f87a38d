"""Forward KL from draws of the posterior: maximum likelihood of the family."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from pyro.ops.stats import effective_sample_size, split_gelman_rubin
from torch.distributions import biject_to

from ...density import LogDensity
from ...density._sites import Site
from ...families import LocationScale, Parameters
from .chart import ACCEPTED, Outcome
from .result import FitStatus
from .standard_errors import influence_functions
from .weighted import maximize_likelihood

Draws = Mapping[str, Any] | torch.Tensor
MIXED = 1.01
"""Split R-hat above which chains have not mixed (Vehtari, Gelman, Simpson, Carpenter & Buerkner, 2021)."""
_FEWEST = 50


def read_draws(density: LogDensity, draws: Draws) -> torch.Tensor:
    """Posterior draws in unconstrained space, ``[chains, n, d]``.

    Args:
        density: Whose sites they are of.
        draws: ``{site: [chains, n, *site shape] or [n, *site shape]}`` on the user's scale, as ``MCMC.get_samples``
            gives (``group_by_chain`` or not), or unconstrained values ``[chains, n, d]`` or ``[n, d]``.

    Raises:
        TypeError: Neither a mapping nor a tensor of numbers.
        ValueError: Missing sites, shapes that do not fit, values that are nan or outside a support.
    """
    if isinstance(draws, Mapping):
        z = _from_sites(density, draws)
    elif isinstance(draws, torch.Tensor) and draws.is_floating_point():
        if draws.ndim not in (2, 3) or draws.shape[-1] != density.dim:
            raise ValueError(
                f"expected draws of shape [n, {density.dim}] or [chains, n, {density.dim}], got {tuple(draws.shape)}, "
                f"because the sites {list(density.names)} have {density.dim} unconstrained coordinates; try a dict "
                "{site: draws}, as MCMC.get_samples() returns"
            )
        z = draws.detach().double()
    else:
        raise TypeError(
            f"expected draws as a dict {{site: tensor}} or a floating-point tensor, got {type(draws).__name__}, "
            "because they are values of the latent sites; try draws=mcmc.get_samples()"
        )
    z = z if z.ndim == 3 else z[None]
    bad = ~torch.isfinite(z).all(-1)
    if bool(bad.any()):
        raise ValueError(
            f"expected finite draws, got {int(bad.sum())} of {bad.numel()} with nan or infinite values, because they "
            "have no likelihood; try looking at the sampler's divergences"
        )
    return z


def _from_sites(density: LogDensity, draws: Mapping[str, Any]) -> torch.Tensor:
    missing = [name for name in density.names if name not in draws]
    if missing:
        raise ValueError(
            f"expected draws of the sites {list(density.names)}, got none of {missing}, because each has a place in "
            "the flat vector; try the samples of all latent sites, on the scale of the model"
        )
    values = {site.name: _site_values(site, draws[site.name]) for site in density.sites}
    leading = {name: tuple(v.shape[: v.ndim - len(_site(density, name).shape)]) for name, v in values.items()}
    if len(set(leading.values())) > 1:
        raise ValueError(
            f"expected as many draws of each site, got {leading}, because row i of all of them is one draw; try the "
            "samples of one run"
        )
    batch = next(iter(leading.values()))
    flat = {name: v.reshape(-1, *_site(density, name).shape) for name, v in values.items()}
    if density.dependent_supports:
        rows = [{name: v[i] for name, v in flat.items()} for i in range(len(next(iter(flat.values()))))]
        return torch.stack([density.pack(row) for row in rows]).reshape(*batch, density.dim)
    supports = density._reading.supports_at(torch.zeros(density.dim, dtype=torch.float64))
    z = torch.cat([_unconstrained(name, v, supports[name]).cpu() for name, v in flat.items()], -1)
    return z.reshape(*batch, density.dim)


def _site(density: LogDensity, name: str) -> Site:
    return density.sites[density.names.index(name)]


def _site_values(site: Site, given: Any) -> torch.Tensor:
    value = torch.as_tensor(given, device=site.device).detach().double()
    extra = value.ndim - len(site.shape)
    if extra not in (1, 2) or value.shape[extra:] != site.shape:
        shape = "".join(f", {n}" for n in site.shape)
        raise ValueError(
            f"expected draws of '{site.name}' of shape [n{shape}] or [chains, n{shape}], got {tuple(value.shape)}, "
            "because that is its shape in the model; try mcmc.get_samples()"
        )
    return value


def _unconstrained(name: str, value: torch.Tensor, support: Any) -> torch.Tensor:
    """Unconstrained coordinates ``[n, k]`` of values ``[n, *shape]``, each checked."""
    nan = torch.isnan(value).reshape(len(value), -1).any(-1)
    transform = biject_to(support)
    z = transform.inv(torch.where(torch.isnan(value), value.nan_to_num(0.0), value)).detach()
    back = transform(z).double()
    off = (back - value).abs() > 1e-5 * (1 + value.abs())
    outside = off.reshape(len(value), -1).any(-1) | ~torch.isfinite(z.reshape(len(z), -1)).all(-1)
    for bad, what in ((nan, "nan"), (outside, "a value outside it or on its boundary")):
        if bool(bad.any()):
            first = int(bad.nonzero()[0, 0])
            raise ValueError(
                f"expected draws of '{name}' inside its support {support}, got {what} in {int(bad.sum())} of "
                f"{len(value)} draws (the first is number {first}), because only inner values have unconstrained "
                "coordinates; try the samples on the scale of the model, in float64"
            )
    return z.reshape(len(z), -1)


def fit_to_draws(density: LogDensity, family: LocationScale, draws: torch.Tensor, stacklevel: int = 3) -> Outcome:
    r"""The family's maximum-likelihood parameters: :math:`\arg\min_\theta -\frac1n\sum_i\log q_\theta(z_i)`.

    The forward KL up to a constant, with the posterior in place of the sample average. The error of the parameters is
    :math:`\operatorname{Var}(\psi)/\mathrm{ESS}(\psi)`, with :math:`\psi_i` the influence of draw i and ESS its
    effective sample size over the chains (Geyer's initial monotone sequence, `pyro.ops.stats`).

    Args:
        density: The target, for names of coordinates.
        family: The family.
        draws: ``[chains, n, d]``.
        stacklevel: Of the warning.

    Raises:
        ValueError: Too few draws for the scale, or a coordinate that never moves.

    Warns:
        UserWarning: A coordinate's split R-hat exceeds 1.01.
    """
    chains, length, dim = draws.shape
    z = draws.reshape(-1, dim)
    _check_enough(density, family, z)
    weights = torch.full((len(z),), 1 / len(z), dtype=torch.float64)
    mean = z.mean(0)
    covariance = (z - mean).mT @ (z - mean) / len(z)
    root, info = torch.linalg.cholesky_ex(covariance)
    if int(info) != 0:
        root = torch.diag(covariance.diagonal().sqrt())
    start = {**family.initial(1.0, mean), "loc": mean, "scale": family.pattern.from_root(root)}
    parameters, _ = maximize_likelihood(family, z, weights, start)
    mixing = _mixing(draws)
    if mixing is not None and bool((mixing > MIXED).any()):
        worst = int(mixing.argmax())
        warnings.warn(
            f"the chains have not mixed: split R-hat {float(mixing[worst]):.3f} of {density.coordinates[worst]} (1.01 "
            "or less is usual), so that neither the fit nor its standard error can be trusted; run them longer",
            UserWarning,
            stacklevel=stacklevel,
        )
    influences, spread = influence_functions(family, parameters, z)
    gradient = float(influences.mean(0).norm())
    effective = _effective(influences.reshape(chains, length, -1))
    least = float(effective[:dim].min())
    status = FitStatus.CONVERGED if gradient < ACCEPTED else FitStatus.STALLED
    if least < max(_FEWEST, 2 * (dim if family.pattern.mixes else 1)):
        status = FitStatus.FEW_EFFECTIVE_PARTICLES
    told = "" if mixing is None else f"; split R-hat at most {float(mixing.max()):.3f}"
    return Outcome(
        parameters,
        status,
        [float(-family.log_prob(z, parameters).mean())],
        gradient,
        least,
        f"{least:.0f} effective of {len(z)} draws in {chains} chains{told}",
        errors=partial(_draw_errors, influences, effective, spread),
    )


def _check_enough(density: LogDensity, family: LocationScale, z: torch.Tensor) -> None:
    dim = family.dim
    needed = dim + 1 if family.pattern.mixes else 2
    distinct = len(torch.unique(z, dim=0)) if len(z) <= 4 * needed else len(z)
    if distinct < needed:
        raise ValueError(
            f"expected at least {needed} different draws for a {family.pattern.name} scale of {dim} coordinates, got "
            f"{distinct}, because the likelihood is unbounded with fewer; try more draws, or scale='diagonal'"
        )
    still = ((z - z[0]) == 0).all(0)
    if bool(still.any()):
        name = density.coordinates[int(still.nonzero()[0])]
        raise ValueError(
            f"expected draws that move in every coordinate, got a constant {name}, because its scale would be "
            "zero; try checking that the sampler updates that site"
        )


def _mixing(draws: torch.Tensor) -> torch.Tensor | None:
    """Split R-hat of each coordinate, ``[d]``; None for fewer than four draws a chain."""
    return split_gelman_rubin(draws).reshape(-1) if draws.shape[1] >= 4 else None


def _effective(series: torch.Tensor) -> torch.Tensor:
    """Effective sample size ``[k]`` of ``series [chains, n, k]``, never more than the number of draws."""
    chains, length, size = series.shape
    if length < 4:
        return torch.full((size,), float(chains * length), dtype=torch.float64)
    found = effective_sample_size(series).reshape(-1)
    return torch.where(torch.isfinite(found), found, 1.0).clamp(1.0, float(chains * length))


def _draw_errors(influences: torch.Tensor, effective: torch.Tensor, spread: Any) -> Parameters:
    centred = influences - influences.mean(0)
    unit = effective.rsqrt()[:, None] * effective.rsqrt()
    return dict(spread(unit * (centred.mT @ centred) / len(centred)))
