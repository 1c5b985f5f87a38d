"""One run of the model, from which a guide learns its sites, their supports, plates and initial values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pyro import poutine
from pyro.distributions import constraints
from pyro.infer.autoguide.initialization import InitMessenger
from pyro.ops.tensor_utils import periodic_repeat
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from ..density._precision import retried_in_double
from ._site_law import bijection
from .location_scale import init_to_median_or_origin


@dataclass(frozen=True)
class Prototype:
    """One latent site as met in a run.

    Attributes:
        name: Its name.
        prior: Its distribution, plates at the size of the run.
        value: Its initial value, on the user's scale.
        plates: ``(dim, size, full size)`` of each plate around it, dim negative.
    """

    name: str
    prior: Any
    value: Tensor
    plates: tuple[tuple[int, int, int], ...]

    @property
    def on_sphere(self) -> bool:
        """Whether the support is a sphere (or a row of them)."""
        return is_sphere(self.prior.support)

    @property
    def batch_shape(self) -> torch.Size:
        """Batch shape with plates in full."""
        shape = list(self.prior.batch_shape)
        for dim, _, full_size in self.plates:
            if -dim <= len(shape):
                shape[dim] = full_size
        return torch.Size(shape)

    def in_full(self, value: Tensor, event_dim: int) -> Tensor:
        """A value of this run, repeated to fill the plates; detached, contiguous."""
        for dim, size, full_size in self.plates:
            if size != full_size and value.ndim >= event_dim - dim:
                value = periodic_repeat(value, full_size, dim - event_dim)
        return value.detach().clone().contiguous()


def is_sphere(support: Any) -> bool:
    """Whether a support is a sphere, perhaps behind ``to_event``."""
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    return support is constraints.sphere


def init_to_centre(site: Any) -> Tensor:
    """Prior median; on a sphere the prior's mean direction, or a uniform draw where it has none (the uniform law)."""
    function = site["fn"]
    if not is_sphere(function.support):
        return init_to_median_or_origin(site)
    try:
        mean = function.mean.detach()
    except NotImplementedError:
        mean = torch.zeros(function.shape())
    norm = torch.linalg.vector_norm(mean, dim=-1, keepdim=True)
    drawn = torch.randn_like(mean)
    return torch.where(norm > 1e-6, mean, drawn / torch.linalg.vector_norm(drawn, dim=-1, keepdim=True))


def read_sites(
    model: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], init_loc_fn: Callable[..., Any]
) -> tuple[dict[str, Prototype], frozenset[str]]:
    """The latent sites of a run with initial values, in order, and the names of the observed ones.

    Outer plates (of particles) are not seen.

    Raises:
        ValueError: A site without a guide: discrete, or with a support that has no bijection; an initial value that is
            not inside its support; no latent site at all.
    """

    def run() -> Any:
        with torch.no_grad(), poutine.block():
            return poutine.trace(InitMessenger(lambda site: _initial(site, init_loc_fn))(model)).get_trace(
                *args, **kwargs
            )

    trace = retried_in_double(run)
    found, observed = {}, set()
    for name, node in trace.nodes.items():
        if node["type"] != "sample" or site_is_subsample(node):
            continue
        if node["is_observed"]:
            observed.add(name)
            continue
        plates = tuple((f.dim, f.size, _full_size(f)) for f in node["cond_indep_stack"] if f.vectorized)
        found[name] = Prototype(name, node["fn"], node["value"].detach(), plates)
    if not found:
        raise ValueError(
            "expected a model with latent sites, got none, because a guide draws the sites that are not observed; try "
            "pyro.sample without obs="
        )
    return found, frozenset(observed)


def _full_size(frame: Any) -> int:
    full = frame.full_size
    return int(full) if full is not None and int(full) > 0 else int(frame.size)


def _initial(site: Any, init_loc_fn: Callable[..., Any]) -> Tensor:
    """A checked initial value for one site."""
    refuse(site)
    function = site["fn"]
    value: Tensor = init_loc_fn(site)
    if is_sphere(function.support):
        norm = torch.linalg.vector_norm(value, dim=-1, keepdim=True)
        if not bool((norm.isfinite() & (norm > 0)).all()):
            raise ValueError(
                f"expected a direction as the initial value of site '{site['name']}', got {value.tolist()}, because it "
                "lies on a sphere; try init_loc_fn=init_to_value(values={...}) with unit vectors"
            )
        return value / norm
    unconstrained = bijection(function.support, function.event_dim).inv(value)
    if not bool(unconstrained.isfinite().all()):
        raise ValueError(
            f"expected the initial value of site '{site['name']}' inside its support {function.support}, got "
            f"{value.tolist()}, because it starts the guide's location; try another init_loc_fn"
        )
    return value


def refuse(site: Any) -> None:
    """A latent site that no family here fits.

    Raises:
        ValueError: Discrete, or without a bijection that has a Jacobian.
    """
    name, support = site["name"], site["fn"].support
    if support.is_discrete:
        raise ValueError(
            f"expected continuous latent sites, got the discrete site '{name}' (support {support}), because no "
            "location-scale or spherical law lives there; try summing it out of the model (a mixture distribution), "
            f"conditioning on it, or poutine.block(model, hide=['{name}']) with pyro.infer.TraceEnum_ELBO"
        )
    if is_sphere(support):
        return
    try:
        fits = bijection(support, site["fn"].event_dim).bijective
    except NotImplementedError:
        fits = False
    if not fits:
        raise ValueError(
            f"expected supports on a sphere or with a bijection from R^d, got site '{name}' with support {support}, "
            "because torch's biject_to has none with a Jacobian for it; try a reparametrised site (LKJCholesky and "
            "positive scales for a covariance matrix)"
        )
