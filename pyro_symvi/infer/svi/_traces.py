"""Running a model and a guide, and reading joint log densities from their traces."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.infer.util import is_validation_enabled
from pyro.poutine import Trace
from pyro.poutine.guide import GuideMessenger
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import prune_subsample_sites, site_is_subsample
from pyro.util import check_model_guide_match, check_site_shape
from torch import Tensor

Program = Callable[..., Any]
"""A Pyro program: a model or a guide."""


class FixedValues(Messenger):
    """Sets the value of every unobserved site named in ``values``; no random number is drawn there.

    Unlike ``poutine.replay`` it leaves the site's ``infer`` alone, where effect guides keep the prior.
    """

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.values = values

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        if msg["name"] in self.values and not msg["is_observed"]:
            msg["value"] = self.values[msg["name"]]
            msg["done"] = True


def run_pair(
    model: Program,
    guide: Program,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    around_guide: AbstractContextManager[Any] | None = None,
) -> tuple[Trace, Trace]:
    """Runs the guide, then the model on the guide's values; an effect guide interleaves the two.

    Returns:
        ``(model_trace, guide_trace)``, subsampling sites included for ordinary guides, log densities not yet computed.
    """
    effect_guide = poutine.unwrap(guide)
    with nullcontext() if around_guide is None else around_guide:
        if isinstance(effect_guide, GuideMessenger):
            guide(*args, **kwargs)
            model_trace, guide_trace = effect_guide.get_traces()
            for name, site in effect_guide.trace.nodes.items():
                if site_is_subsample(site):
                    model_trace.add_node(name, **site)
            return model_trace, guide_trace
        guide_trace = poutine.trace(guide).get_trace(*args, **kwargs)
    model_trace = poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(*args, **kwargs)
    return model_trace, guide_trace


def run_guide_at(guide: Program, values: Mapping[str, Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
    """Runs the guide with its sites fixed at ``values``: log q of these values, as a function of the parameters."""
    effect_guide = poutine.unwrap(guide)
    with FixedValues(values):
        if isinstance(effect_guide, GuideMessenger):
            guide(*args, **kwargs)
            _, trace = effect_guide.get_traces()
        else:
            trace = prune_subsample_sites(poutine.trace(guide).get_trace(*args, **kwargs))
    trace.compute_log_prob()
    return trace


def scored(model_trace: Trace, guide_trace: Trace, max_plate_nesting: float) -> tuple[Trace, Trace]:
    """Log densities of every site (``site["log_prob"]``: scale and mask included), validated as Pyro's losses do.

    The guide's ``site["score_parts"]`` are set too: they say which sites are reparameterised.
    """
    if is_validation_enabled():
        check_model_guide_match(model_trace, guide_trace, max_plate_nesting)
    model_trace, guide_trace = prune_subsample_sites(model_trace), prune_subsample_sites(guide_trace)
    model_trace.compute_log_prob()
    guide_trace.compute_score_parts()
    if is_validation_enabled():
        for trace in (model_trace, guide_trace):
            for _, site in sample_sites(trace):
                check_site_shape(site, max_plate_nesting)
    return model_trace, guide_trace


def sample_sites(trace: Trace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and sites of the sample statements, subsampling left out."""
    for name, site in trace.nodes.items():
        if site["type"] == "sample" and not site_is_subsample(site):
            yield name, site


def subsamples(traces: tuple[Trace, Trace]) -> dict[str, Tensor]:
    """Indices drawn by the subsampling sites of a pair of traces, by plate."""
    return {
        name: site["value"]
        for trace in traces
        for name, site in trace.nodes.items()
        if site["type"] == "sample" and site_is_subsample(site)
    }


def latent_values(trace: Trace) -> dict[str, Tensor]:
    """Values of the unobserved sites, as detached, *new* tensors.

    New, because transforms with a cache recognise a tensor by identity and would hand back an inverse that was computed
    for other parameters, or outside the graph.
    """
    return {name: site["value"].detach() for name, site in sample_sites(trace) if not site["is_observed"]}


def delta_of(site: dict[str, Any]) -> dist.Delta | None:
    """The point mass of a site, out of its ``to_event`` and ``mask`` wrappers; None if the site is none."""
    law = site["fn"]
    while not isinstance(law, dist.Delta) and hasattr(law, "base_dist"):
        law = law.base_dist
    return law if isinstance(law, dist.Delta) else None


def particle_log_prob(log_prob: Tensor, num_particles: int, particle_dim: int | None) -> Tensor:
    """Sums a site's log density over all dimensions but the particles.

    Args:
        log_prob: shape ``(*batch)``, where the particle dimension, if there is one, is ``particle_dim``.
        num_particles: K.
        particle_dim: negative; None if the program ran without a particle plate.

    Returns:
        Shape ``(K,)``. A site that does not know of the particles counts in full for each.
    """
    if particle_dim is None or log_prob.dim() < -particle_dim:
        return log_prob.sum().expand(num_particles)
    others = [dim for dim in range(log_prob.dim()) if dim != log_prob.dim() + particle_dim]
    per_particle = log_prob.sum(others) if others else log_prob
    return per_particle if len(per_particle) == num_particles else per_particle.expand(num_particles)


def joint_log_prob(trace: Trace, num_particles: int, particle_dim: int | None) -> Tensor:
    """``log density of the whole trace``, shape ``(K,)``: all sites, over all dimensions but the particles."""
    sites = [site for _, site in sample_sites(trace)]
    if not sites:
        return torch.zeros(num_particles)
    if particle_dim is None:
        sums = [log_prob if log_prob.dim() == 0 else log_prob.sum() for log_prob in (s["log_prob"] for s in sites)]
        return _added(sums).expand(num_particles)
    by_shape: dict[torch.Size, list[Tensor]] = {}  # added up first, summed once: fewer operations, forward and backward
    for site in sites:
        by_shape.setdefault(site["log_prob"].shape, []).append(site["log_prob"])
    return _added([particle_log_prob(_added(terms), num_particles, particle_dim) for terms in by_shape.values()])


def _added(terms: list[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
