"""A Pyro model as a function of one flat unconstrained vector."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.infer.autoguide.initialization import InitMessenger
from pyro.poutine.messenger import Messenger
from torch.distributions import biject_to

from ._explore import explore, is_subsample
from ._precision import double_precision, promote
from ._refusals import Refusal
from ._sites import Site
from ._state import own_parameter_store, seeded

__all__ = ["Flat", "Reading", "read_model", "seeded", "without_initialisation"]

Values = dict[str, torch.Tensor]


def without_initialisation(model: Callable[..., Any]) -> Callable[..., Any]:
    """The user's model inside the wrapper by which autoguides set initial values (it would draw at every run)."""
    wrapped = getattr(model, "func", None)
    inner: tuple[Any, ...] = getattr(wrapped, "args", ())
    if len(inner) >= 2 and isinstance(inner[0], InitMessenger):
        return without_initialisation(inner[1])
    return model


class Flat(Messenger):
    """Gives each latent site the value its slice of ``z[d]`` maps to, and adds up the log-Jacobians.

    The map is taken from the support met *in this run*, so that a support that depends on other sites is followed.
    """

    def __init__(self, z: torch.Tensor, sites: Mapping[str, Site], others: Collection[str] = ()) -> None:
        super().__init__()
        self.z, self.sites, self.others = z, sites, others
        self.values: Values = {}
        self.supports: dict[str, Any] = {}
        self.log_jacobian: torch.Tensor = z.new_zeros(())

    def _pyro_param(self, message: Any) -> None:
        """A parameter that is in no store yet has its initial value: vmap can't follow its being stored."""
        arguments, store = message["args"], pyro.get_param_store()
        if len(arguments) < 2 or arguments[1] is None or arguments[0] in store:
            return
        initial = arguments[1]() if callable(arguments[1]) else arguments[1]
        message["value"], message["done"] = initial, True

    def _pyro_post_param(self, message: Any) -> None:
        message["value"] = message["value"].detach()

    def _pyro_sample(self, message: Any) -> None:
        site = self.sites.get(message["name"])
        if message["is_observed"] or is_subsample(message):
            return
        if site is None:
            if message["done"] or message["name"] in self.others:
                return
            raise Refusal(_differs(self.sites, [message["name"]]))
        shape = torch.Size(message["fn"].shape())
        if shape != site.shape:
            raise Refusal(
                f"expected site '{site.name}' of shape {tuple(site.shape)} at every run, got {tuple(shape)}, because a "
                "flat vector has one fixed layout; try sampling the largest shape always and masking what is not used"
            )
        value, log_jacobian = constrain(self.z, site, message["fn"].support)
        self.log_jacobian = self.log_jacobian + log_jacobian
        self.values[site.name], self.supports[site.name] = value, message["fn"].support
        message["value"], message["done"] = value, True


def constrain(z: torch.Tensor, site: Site, support: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Value of a site on the user's scale at ``z[d]``, where the model wants it; and where z lies, the logarithm of the
    Jacobian's determinant."""
    transform = biject_to(support)
    unconstrained = z[site.slice].reshape(site.unconstrained_shape).to(site.device)
    value = transform(unconstrained)
    return value, transform.log_abs_det_jacobian(unconstrained, value).sum().to(z.device)


class Call(NamedTuple):
    """How to run a model: its arguments in float64, and whether float32 tensors that it meets are cast."""

    model: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    promoted: bool


@dataclass(frozen=True)
class Reading:
    """What was learnt of a model (or of a plain function): its sites and how to run it."""

    sites: tuple[Site, ...]
    log_prob: Callable[[torch.Tensor], torch.Tensor]
    """Log density at ``z[d]``, log-Jacobians included."""
    supports_at: Callable[[torch.Tensor], dict[str, Any]]
    """Support of each site in a run at ``z[d]``."""
    values: Callable[[torch.Tensor], tuple[Values, torch.Tensor]]
    """Values on the user's scale and their log-Jacobian at ``z[d]``."""
    starts: tuple[torch.Tensor, ...]
    what: str = "model"
    elements: int = 1
    dependent_supports: bool = False
    notes: tuple[str, ...] = ()
    nan_sites: Callable[[torch.Tensor], list[str]] = lambda z: []
    parts: Callable[[torch.Tensor], tuple[torch.Tensor, Values]] | None = None
    """Log prior with log-Jacobians, and the log probability of each observed site and factor: they sum to log_prob."""
    trace_at: Callable[[torch.Tensor], Any] | None = None
    """Trace of a run at ``z[d]``."""
    parameters: tuple[str, ...] = ()
    """Parameters of Pyro's store that the model reads at each run."""
    call: Call | None = None
    """The model itself with all its data; None for a plain function, or where one process holds a part of the data."""


def read_model(model: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Reading:
    """Run the model a few times and describe it; raises ValueError with the reason where it can't be a flat density."""
    if not callable(model):
        raise TypeError(
            f"expected a Pyro model (a callable), got {type(model).__name__}, because it is to be run; try a function "
            "with pyro.sample statements"
        )
    model, args, kwargs = without_initialisation(model), promote(args), promote(kwargs)
    exploration = explore(model, args, kwargs)
    first, promoted, moving = exploration.first, exploration.promoted, exploration.moving_supports()

    sites, position = [], 0
    for name, shape, unconstrained_shape, kind, device in first.found:
        size = unconstrained_shape.numel()
        sites.append(Site(name, slice(position, position + size), shape, unconstrained_shape, kind, device))
        position += size
    by_name = {site.name: site for site in sites}
    latents = _latents(first.trace)
    guarded = sorted(moving - by_name.keys())
    parameters = [name for name, node in first.trace.nodes.items() if node["type"] == "param"]

    def traced(z: torch.Tensor) -> tuple[Flat, Any]:
        flat, tracer = Flat(z, by_name, latents), poutine.trace()
        with double_precision(promoted), own_parameter_store() if parameters else nullcontext():
            with poutine.block(), tracer, flat:
                model(*args, **kwargs)
        differs = _latents(tracer.trace) ^ latents
        if differs or flat.values.keys() != by_name.keys():
            raise Refusal(_differs(by_name, differs or by_name.keys() - flat.values.keys()))
        return flat, tracer.trace

    def log_prob(z: torch.Tensor) -> torch.Tensor:
        flat, trace = traced(z)
        with double_precision(promoted):
            value = trace.log_prob_sum().to(z.device) + flat.log_jacobian
            for name in guarded:
                value = torch.where(_possible(trace.nodes[name]).to(z.device), value, -torch.inf)
        return value

    def parts(z: torch.Tensor) -> tuple[torch.Tensor, Values]:
        flat, trace = traced(z)
        with double_precision(promoted):
            trace.compute_log_prob()
            sums: Values = {
                name: torch.where(_possible(node), node["log_prob_sum"], -torch.inf).to(z.device)
                if name in guarded
                else node["log_prob_sum"].to(z.device)
                for name, node in trace.nodes.items()
                if node["type"] == "sample" and not is_subsample(node)
            }
            prior = sum((sums.pop(name) for name in latents), flat.log_jacobian)
        return prior, {name: value for name, value in sums.items() if not _is_deterministic(trace.nodes[name])}

    def values(z: torch.Tensor) -> tuple[Values, torch.Tensor]:
        if moving & by_name.keys():
            flat = traced(z)[0]
            return {name: value.to(z.device) for name, value in flat.values.items()}, flat.log_jacobian
        with double_precision(promoted):
            pairs = {name: constrain(z, site, supports[name]) for name, site in by_name.items()}
        return {name: value.to(z.device) for name, (value, _) in pairs.items()}, sum(
            (j for _, j in pairs.values()), z.new_zeros(())
        )

    def supports_at(z: torch.Tensor) -> dict[str, Any]:
        return traced(z)[0].supports if moving & by_name.keys() else supports

    def sites_with_nan(z: torch.Tensor) -> list[str]:
        _, trace = traced(z)
        with double_precision(promoted):
            trace.compute_log_prob()
        nodes = trace.nodes.items()
        return [name for name, node in nodes if "log_prob" in node and bool(torch.isnan(node["log_prob"]).any())]

    supports = {name: first.trace.nodes[name]["fn"].support for name in by_name}
    held = [f"the model's parameters {parameters} are held at their present values"] if parameters else []
    return Reading(
        sites=tuple(sites),
        log_prob=log_prob,
        supports_at=supports_at,
        values=values,
        starts=tuple(run.start for run in exploration.runs),
        elements=sum(_size(node) for node in first.trace.nodes.values()),
        dependent_supports=bool(moving & by_name.keys()),
        notes=(*held, *exploration.notes),
        nan_sites=sites_with_nan,
        parts=parts,
        trace_at=lambda z: traced(z)[1],
        parameters=tuple(parameters),
        call=Call(model, args, kwargs, promoted),
    )


def _latents(trace: Any) -> set[str]:
    return {
        name
        for name, node in trace.nodes.items()
        if node["type"] == "sample" and not node["is_observed"] and not is_subsample(node)
    }


def _is_deterministic(node: Mapping[str, Any]) -> bool:
    return bool(node["infer"].get("_deterministic", False))


def _possible(node: Mapping[str, Any]) -> torch.Tensor:
    """Whether all data of a site whose support moves lie in it (torch's formulas may give numbers beyond it)."""
    inside = node["fn"].support.check(node["value"])
    mask = node["mask"]
    return (inside if mask is None else inside | ~torch.as_tensor(mask)).all()


def _differs(sites: Iterable[str], names: Iterable[str]) -> str:
    return (
        f"expected the latent sites {list(sites)} at every run, got a run that differs in {sorted(names)}, because a "
        "flat vector has one fixed layout; try sampling every site always and switching its effect on or off"
    )


def _size(node: Mapping[str, Any]) -> int:
    function: Any = node.get("fn")
    return torch.Size(function.shape()).numel() if hasattr(function, "batch_shape") else 0
