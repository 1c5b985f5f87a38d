"""Does a model-guide pair mean the same under a particle plate as without one?"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from pyro import poutine
from pyro.poutine import Trace
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor

from pyro_symvi.infer.svi._traces import (
    FixedValues,
    Program,
    delta_of,
    particle_log_prob,
    run_guide_at,
    run_pair,
    sample_sites,
    scored,
)

_REMEDY = (
    "try vectorize_particles=False, or index from the right (x[..., i] instead of x[i], sum(-1) instead of sum()), "
    "declare batch dimensions by plates or to_event, and leave max_plate_nesting to be guessed"
)


def explain_failure(
    model: Program, guide: Program, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
) -> None:
    """Raises ``ValueError`` naming the remedy if the pair runs on its own and failed only under the particle plate."""
    with _private_random_state(), torch.no_grad(), poutine.block():
        try:
            scored(*run_pair(model, guide, args, kwargs), float("inf"))
        except Exception:
            return
    first_line = next(iter(str(error).strip().splitlines()), "")
    raise ValueError(
        f"expected a model and a guide that run under a particle plate, got {type(error).__name__}: {first_line}, "
        f"because vectorised particles add a dimension on the left of every batch shape; {_REMEDY}"
    ) from error


def check_last_particle(
    model: Program,
    guide: Program,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    traces: tuple[Trace, Trace],
    indices: dict[str, Tensor],
    num_particles: int,
    particle_dim: int,
) -> None:
    """Runs the pair on the values of the last particle, without a plate, and compares log densities site by site.

    A model that indexes from the left may run under the plate and mix up particles without a word. The comparison
    allows for rounding: another run, on values a few units in the last place away, shows how much rounding matters at
    each site (and, if the program is itself random, that nothing can be said). A guide whose density cannot be
    evaluated at given values is taken on trust. Made once a pair; torch's random state is put back.

    Args:
        traces: the pair's traces under the plate, scored.
        indices: what its subsampling sites drew.
        num_particles, particle_dim: size and (negative) dimension of the plate.

    Raises:
        ValueError: a site's log density differs, or the model cannot be run on these values.
    """

    def model_at(values: dict[str, Tensor]) -> Trace:
        with FixedValues({**indices, **values}):
            trace = prune_subsample_sites(poutine.trace(model).get_trace(*args, **kwargs))
        trace.compute_log_prob()
        return trace

    def guide_at(values: dict[str, Tensor]) -> Trace:
        drawn = {name: value for name, value in values.items() if delta_of(traces[1].nodes[name]) is None}
        return run_guide_at(guide, {**indices, **drawn}, args, kwargs)

    with _private_random_state(), torch.no_grad(), poutine.block():
        try:
            natural = run_pair(model, guide, args, kwargs)[1]
        except Exception:
            return  # runs only under the plate: nothing to compare with
        try:
            values = _last_values(traces[1], natural, num_particles, particle_dim)
            alone = model_at(values)
        except Exception as error:
            raise ValueError(
                f"expected a pair that runs alike with and without a particle plate, got {type(error).__name__}: "
                f"{error}, because vectorised particles need a fixed structure of sites and shapes; {_REMEDY}"
            ) from error
        nearby = {name: _shrunk(value, traces[0].nodes.get(name)) for name, value in values.items()}
        _compare(traces[0], alone, _attempt(model_at, nearby), num_particles, particle_dim)
        guide_alone = _attempt(guide_at, values)
        if guide_alone is not None:
            _compare(traces[1], guide_alone, _attempt(guide_at, nearby), num_particles, particle_dim)


def _attempt(run: Callable[[dict[str, Tensor]], Trace], values: dict[str, Tensor]) -> Trace | None:
    try:
        return run(values)
    except Exception:
        return None  # a value at the edge of its support, or a density that cannot be evaluated at given values


def _compare(trace: Trace, alone: Trace, nearby: Trace | None, num_particles: int, particle_dim: int) -> None:
    for name, site in sample_sites(trace):
        log_prob = site["log_prob"].detach()
        here = particle_log_prob(log_prob, num_particles, particle_dim)[-1]
        magnitude = particle_log_prob(log_prob.abs(), num_particles, particle_dim)[-1]
        there = _log_prob(alone, name)
        rounding = torch.zeros_like(there) if nearby is None else (there - _log_prob(nearby, name)).abs().nan_to_num()
        tolerance = 1e3 * torch.finfo(here.dtype).eps * (1.0 + magnitude) + 100.0 * rounding
        if bool(here == there) or bool((here - there).abs() <= tolerance) or bool(here.isnan() & there.isnan()):
            continue
        raise ValueError(
            f"expected site '{name}' to have one log density with and without a particle plate, got {float(here):.6g} "
            f"under the plate and {float(there):.6g} for the same values alone, because vectorised particles add a "
            f"dimension on the left of every batch shape; {_REMEDY}"
        )


def _last_values(guide_trace: Trace, natural: Trace, num_particles: int, particle_dim: int) -> dict[str, Tensor]:
    """The last particle's values, in the shapes of a run without plate."""
    values = {}
    for name, site in sample_sites(guide_trace):
        if site["is_observed"]:
            continue
        value, dim = site["value"].detach(), particle_dim - site["fn"].event_dim
        if value.dim() >= -dim and value.shape[dim] == num_particles:
            value = value.select(dim, num_particles - 1)
        values[name] = value.reshape(natural.nodes[name]["value"].shape)
    return values


def _shrunk(value: Tensor, model_site: dict[str, Any] | None) -> Tensor:
    """A few units in the last place towards zero; discrete values as they are."""
    try:
        discrete = model_site is not None and model_site["fn"].support.is_discrete
    except (AttributeError, NotImplementedError):
        return value
    return value if discrete or not value.is_floating_point() else value * (1.0 - 4.0 * torch.finfo(value.dtype).eps)


def _log_prob(trace: Trace, name: str) -> Tensor:
    """A site's total log density; nan, which agrees with nothing, if the trace lacks the site."""
    site = trace.nodes.get(name)
    total: Tensor = torch.tensor(torch.nan) if site is None else site["log_prob"].sum()
    return total


def _private_random_state() -> AbstractContextManager[None]:
    return torch.random.fork_rng(devices=range(torch.cuda.device_count()))
