"""Draws of a fitted guide, or of any sampler, with named dimensions, as ArviZ reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyro
import torch
from torch import Tensor

from .. import __version__
from ..density._importance import RELIABLE, pareto_k
from ..guides._draws import checked_number
from ..recovery import Certificate
from ._container import chosen_kind, container
from ._dimensions import Dimensions, constants, name_sites
from ._marks import certificate_attributes, check_certificate, marks
from ._model_run import Evaluation, ModelRun
from ._source import Drawn, read_source

Groups = dict[str, dict[str, np.ndarray]]
_FEWEST = 50
"""Fewer weights have no tail to fit."""


def to_arviz(
    source: Any,
    model: Any = None,
    *args: Any,
    certificate: Certificate | None = None,
    num_samples: int = 1000,
    posterior_predictive: bool = True,
    log_likelihood: bool = True,
    coords: Mapping[str, Any] | None = None,
    dims: Mapping[str, Any] | None = None,
    kind: str | None = None,
    group_by_chain: bool | None = None,
    generator: torch.Generator | None = None,
    **kwargs: Any,
) -> Any:
    r"""Draws, log densities, new data and the certificate in the groups that ArviZ knows.

    ``posterior``: every latent and deterministic site on the scale of the model, [chain, draw, ...]. Dimensions are
    called like the plates that they belong to, all others SITE_dim_k as ArviZ does.

    ``log_likelihood``: of every observed site, entry by entry: without ``poutine.scale``, without what a minibatch is
    scaled by, without masked entries (a site with a mask is the list SITE_observed of the entries that count).
    ``posterior_predictive``: new data for each draw. ``observed_data``, and ``constant_data``: tensors and numbers
    among the model's arguments.

    ``sample_stats``: ``lp``, the log target in the unconstrained coordinates, log p(x, data) + log|det dx/dz|; and for
    guides ``log_weight``,

    .. math:: \log w = \log p(z, \text{data}) - \log q(z),

    with which Pareto-smoothed importance sampling turns draws of the guide into draws of the posterior. It is the same
    number in every coordinate system. The attribute ``pareto_k`` says whether this works (below 0.7).

    Attributes: what the draws are of, divergence and status of the fit, seed, versions, ``pareto_k``; with a
    certificate its JSON (``certificate``, for ``Certificate.from_json``), its rows in words, and verdicts on each
    variable, ``data.posterior["beta"].attrs["verdict"]``, beside the ``statistic`` that they speak of. A variable whose
    support is not the real line has a ``verdict`` only if its median was certified; that of the mean of its logarithm
    is its ``unconstrained_verdict``.

    Args:
        source: A `Fit`; a `Certificate` of a fit, a guide or draws; any Pyro guide; or a sampler's draws, ``{site:
            [chains, draws, *shape] or [draws, *shape]}`` on the scale of the model, as ``MCMC.get_samples`` gives.
        model: After draws, or a guide that is a plain function: the Pyro model. A guide that knows its model may be
            followed by the arguments alone, as in ``certify``.
        *args: Arguments of the model: all data, also of a model that takes minibatches.
        certificate: Of the source, to be written beside the variables.
        num_samples: Number of draws of a fit or guide.
        posterior_predictive: Whether to draw new data.
        log_likelihood: Whether to keep the log likelihoods, a number for each draw and datum.
        coords: Labels, ``{dimension: values}``.
        dims: Names of dimensions, ``{variable: names after chain and draw}``, in place of the default ones.
        kind: ``"inference_data"`` or ``"datatree"``. By default what the installed ArviZ reads:
            ``arviz.InferenceData`` for ArviZ 0.x, ``xarray.DataTree`` for 1.x (and without ``arviz``).
        group_by_chain: Whether draws have a first dimension of chains; by default the model's shapes say so.
        generator: Random state; a fixed one by default, so that results repeat.
        **kwargs: Keyword arguments of the model.

    Returns:
        An ``arviz.InferenceData`` or an ``xarray.DataTree``.

    Raises:
        ImportError: ArviZ is not installed.
        TypeError: A source, model or certificate of the wrong kind.
        ValueError: A latent site without draws (discrete ones that a guide leaves out), draws of other shapes, latent
            sites in a minibatch, a certificate of something else, a guide that is a point.
    """
    chosen_kind(kind)
    first, second, note = seeds(generator)
    drawn = read_source(source, model, args, kwargs, checked_number(num_samples), first, group_by_chain)
    if certificate is None and isinstance(source, Certificate):
        certificate = source
    if certificate is not None:
        check_certificate(certificate, drawn)
    evaluation = drawn.evaluation()
    dimensions = name_sites(drawn.run, drawn.values, dims)
    labels = dict(coords or {})
    groups = _groups(drawn, evaluation)
    notes: list[str] = [] if drawn.density is None else list(drawn.density.notes)
    if drawn.run is not None and evaluation is not None and drawn.run.observed:
        drawn_data = _replicated(drawn, drawn.run, second, notes) if posterior_predictive else None
        _add_data(groups, drawn.run, evaluation, drawn_data, log_likelihood, drawn.shape, dimensions, labels, notes)
    if drawn.run is None and drawn.density is not None:
        notes.append("no log likelihoods and no new data: the density is a plain function, or has a part of the data")
    if drawn.run is not None:
        found = constants(drawn.run.call, drawn.run.data, dimensions)
        if found:
            groups["constant_data"] = found
    return container(
        groups,
        dims=dimensions.by_variable,
        coords=labels,
        attrs=_attributes(drawn, groups, certificate, note, notes),
        variable_attrs=None if certificate is None else marks(certificate),
        kind=kind,
    )


def seeds(generator: torch.Generator | None) -> tuple[int, int, str]:
    """Seeds of the draws and of the new data, and where they come from."""
    source = torch.Generator().manual_seed(0) if generator is None else generator
    first, second = torch.randint(2**31, (2,), generator=source, device=source.device).tolist()
    note = "0 (the default)" if generator is None else f"{generator.initial_seed()} (that the generator began with)"
    return int(first), int(second), note


def in_chains(value: Tensor, shape: tuple[int, int]) -> np.ndarray:
    """``[n, ...]`` as ``[chains, draws, ...]``."""
    return value.reshape(*shape, *value.shape[1:]).detach().cpu().numpy()


def _groups(drawn: Drawn, evaluation: Evaluation | None) -> Groups:
    """The posterior and what is known of each draw."""
    posterior = {name: in_chains(value, drawn.shape) for name, value in drawn.values.items()}
    stats: dict[str, Tensor] = {}
    if evaluation is not None:
        posterior |= {name: in_chains(value, drawn.shape) for name, value in evaluation.deterministic.items()}
    if drawn.lp is not None:
        stats["lp"] = drawn.lp
        if drawn.log_q is not None:
            stats["log_weight"] = drawn.lp - drawn.log_q
    elif evaluation is not None:
        stats["lp"] = evaluation.joint + evaluation.log_jacobian
        if drawn.log_q is not None:
            stats["log_weight"] = evaluation.joint - drawn.log_q
    groups: Groups = {"posterior": posterior}
    if stats:
        groups["sample_stats"] = {name: in_chains(value, drawn.shape) for name, value in stats.items()}
    return groups


def _replicated(drawn: Drawn, run: ModelRun, seed: int, notes: list[str]) -> dict[str, Tensor] | None:
    try:
        return run.replicate(drawn.values, seed)
    except NotImplementedError as error:
        notes.append(f"no new data were drawn, because a law of the data can't be drawn from ({error})")
        return None


def _add_data(
    groups: Groups,
    run: ModelRun,
    evaluation: Evaluation,
    drawn: dict[str, Tensor] | None,
    log_likelihood: bool,
    shape: tuple[int, int],
    dimensions: Dimensions,
    labels: dict[str, Any],
    notes: list[str],
) -> None:
    """Log likelihood, new data and data of every observed site, masked entries left out of all three."""
    density: dict[str, np.ndarray] = {}
    new: dict[str, np.ndarray] = {}
    seen: dict[str, np.ndarray] = {}
    for name, site in run.observed.items():
        pointwise, data = evaluation.pointwise[name], run.data[name]
        replicated = None if drawn is None else drawn[name]
        counted = evaluation.counted[name]
        if counted is not None and not bool(counted.all()):
            if not bool(counted.any()):
                notes.append(f"all data of '{name}' are masked: it is left out")
                continue
            keep = counted.expand(site.batch).reshape(-1)
            count = len(site.batch)
            pointwise = pointwise.expand(len(pointwise), *site.batch).flatten(1, count)[:, keep] if count else pointwise
            data = data.flatten(0, count - 1)[keep] if count else data
            replicated = None if replicated is None else replicated.flatten(1, count)[:, keep] if count else replicated
            own = f"{name}_observed"
            dimensions.by_variable[name] = [own, *dimensions.by_variable[name][count:]]
            labels.setdefault(own, keep.nonzero()[:, 0].numpy())
        density[name] = in_chains(pointwise, shape)
        seen[name] = data.detach().cpu().numpy()
        if replicated is not None:
            new[name] = in_chains(replicated, shape)
    if log_likelihood and density:
        groups["log_likelihood"] = density
    if new:
        groups["posterior_predictive"] = new
    if seen:
        groups["observed_data"] = seen


def _attributes(
    drawn: Drawn, groups: Groups, certificate: Certificate | None, seed: str, notes: list[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "source": drawn.name,
        **drawn.attrs,
        "inference_library": "pyro_symvi",
        "inference_library_version": __version__,
        "torch_version": str(torch.__version__),
        "pyro_version": str(pyro.__version__),
        "seed": seed,
    }
    weight = groups.get("sample_stats", {}).get("log_weight")
    if weight is not None and weight.size >= _FEWEST:
        k = pareto_k(torch.as_tensor(weight.reshape(-1)))
        found["pareto_k"] = k
        if not k < RELIABLE:
            notes.append(
                f"Pareto k-hat of the weights is {k:.2f}, not below {RELIABLE}: importance sampling from this guide "
                "does not reach the posterior"
            )
    if certificate is not None:
        found |= certificate_attributes(certificate)
    if notes:
        found["notes"] = "\n".join(notes)
    return found
