"""Does a model-guide pair mean the same under a particle plate as without one?"""

from contextlib import AbstractContextManager
from typing import Any

import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor

from pyro_symvi.infer._traces import (
    FixedValues,
    Program,
    delta_of,
    particle_log_prob,
    run_pair,
    sample_sites,
    scored,
)

_REMEDY = (
    "try vectorize_particles=False, or index from the right (x[..., i] instead of x[i], sum(-1) instead of sum()) and "
    "declare batch dimensions by plates or to_event"
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
    """Runs the pair on the values of one particle, without a plate, and compares log densities site by site.

    A model that indexes from the left may run under the plate and mix up particles without a word. Two extra runs,
    made once; the state of torch's random generator is put back.

    Raises:
        ValueError: a site's log density differs (and the pair agrees with itself when run twice).
    """
    with _private_random_state(), torch.no_grad(), poutine.block():
        try:
            plain = _single_run(model, guide, args, kwargs, traces[1], indices, num_particles, particle_dim)
            again = _single_run(model, guide, args, kwargs, traces[1], indices, num_particles, particle_dim)
        except Exception:
            return  # runs only under the plate: nothing to compare with
        for trace, single, single_again in zip(traces, plain, again, strict=True):
            for name, site in sample_sites(trace):
                here = _last_log_prob(site, num_particles, particle_dim)
                there, there_again = _log_prob_of(single, name), _log_prob_of(single_again, name)
                scale = 1.0 + _last_magnitude(site, num_particles, particle_dim)
                tolerance = 30.0 * scale * torch.finfo(here.dtype).eps ** 0.5
                if there is not None and there_again is not None and _apart(there, there_again, tolerance):
                    continue  # the program is itself random, beyond its sample sites
                if there is None or _apart(here, there, tolerance):
                    alone = "no such site" if there is None else f"{float(there):.6g}"
                    raise ValueError(
                        f"expected site '{name}' to have one log density with and without a particle plate, got "
                        f"{float(here):.6g} under the plate and {alone} for the same values alone, because vectorised "
                        f"particles add a dimension on the left of every batch shape; {_REMEDY}"
                    )


def _single_run(
    model: Program,
    guide: Program,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    guide_trace: Trace,
    indices: dict[str, Tensor],
    num_particles: int,
    particle_dim: int,
) -> tuple[Trace, Trace]:
    shapes = {name: site["value"].shape for name, site in sample_sites(run_pair(model, guide, args, kwargs)[1])}
    values = dict(indices)
    for name, site in sample_sites(guide_trace):
        if not site["is_observed"] and delta_of(site) is None:
            dim = particle_dim - site["fn"].event_dim
            value = site["value"].detach()
            if value.dim() >= -dim and value.shape[dim] == num_particles:
                value = value.select(dim, num_particles - 1)
            values[name] = value.reshape(shapes[name])
    with FixedValues(values):
        return scored(*run_pair(model, guide, args, kwargs), float("inf"))


def _last_log_prob(site: dict[str, Any], num_particles: int, particle_dim: int) -> Tensor:
    return particle_log_prob(site["log_prob"].detach(), num_particles, particle_dim)[-1]


def _last_magnitude(site: dict[str, Any], num_particles: int, particle_dim: int) -> Tensor:
    magnitude = particle_log_prob(site["log_prob"].detach().abs(), num_particles, particle_dim)[-1]
    return torch.where(torch.isfinite(magnitude), magnitude, torch.zeros_like(magnitude))


def _private_random_state() -> AbstractContextManager[None]:
    return torch.random.fork_rng(devices=range(torch.cuda.device_count()))


def _log_prob_of(trace: Trace, name: str) -> Tensor | None:
    return trace.nodes[name]["log_prob"].sum() if name in trace.nodes else None


def _apart(a: Tensor, b: Tensor, tolerance: Tensor) -> bool:
    if bool(a.isnan()) or bool(b.isnan()):
        return bool(a.isnan()) != bool(b.isnan())
    return bool(a != b) and not bool((a - b).abs() <= tolerance)
