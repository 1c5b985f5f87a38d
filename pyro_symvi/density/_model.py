"""Reading a Pyro model: its latent sites, what must be refused, and one run at given unconstrained values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.distributions import constraints
from pyro.infer.autoguide.initialization import InitMessenger
from pyro.poutine.messenger import Messenger
from pyro.util import get_rng_state, set_rng_state
from torch.distributions import biject_to

from ._precision import double_precision
from ._sites import Site, transform_kind

_ATTEMPTS = 12
"""Runs of a new model, at different random values, before its error is believed."""


def without_initialisation(model: Callable[..., Any]) -> Callable[..., Any]:
    """The user's model inside the wrapper by which autoguides set initial values (it would draw at every run)."""
    wrapped = getattr(model, "func", None)
    inner = getattr(wrapped, "args", ())
    if len(inner) >= 2 and isinstance(inner[0], InitMessenger):
        return without_initialisation(inner[1])
    return model


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Fixed torch, numpy and python seeds inside, the caller's states restored after."""
    state = get_rng_state()
    pyro.set_rng_seed(seed)
    try:
        yield
    finally:
        set_rng_state(state)


def _transform_of(message: Mapping[str, Any]) -> Any:
    """The bijection from unconstrained space to a site's support, or the reason why there is none."""
    name, support = message["name"], message["fn"].support
    base = support
    while isinstance(base, constraints.independent):
        base = base.base_constraint
    if support.is_discrete:
        raise ValueError(
            f"expected continuous latent sites, got the discrete site '{name}' (support {support}), because a flat "
            "density has gradients in every coordinate; try summing it out of the model (a mixture distribution or "
            "pyro.infer.TraceEnum_ELBO), or conditioning on it"
        )
    if base is constraints.sphere:
        raise ValueError(
            f"expected sites that map to a flat space, got '{name}' on the sphere, because no bijection from R^d onto a "
            "sphere exists; guides for sphere sites (von Mises-Fisher, AutoSphere) are planned; until then try "
            "pyro.infer.reparam.ProjectedNormalReparam on this site"
        )
    try:
        return biject_to(support)
    except NotImplementedError as error:
        raise ValueError(
            f"expected sites whose support has a bijection from R^d, got '{name}' with support {support}, because torch "
            "registers none (biject_to); try a reparametrised site, or LogDensity.from_callable"
        ) from error


class Flat(Messenger):
    """Gives each latent site the value its slice of ``z`` maps to, and adds up the log-Jacobians.

    The map is taken from the support met *in this run*, so that a support that depends on other sites is followed.
    """

    def __init__(self, z: torch.Tensor, sites: Mapping[str, Site]) -> None:
        super().__init__()
        self.z, self.sites = z, sites
        self.values: dict[str, torch.Tensor] = {}
        self.functions: dict[str, Any] = {}
        self.log_jacobian: torch.Tensor = z.new_zeros(())

    def _pyro_sample(self, message: Any) -> None:
        site = self.sites.get(message["name"])
        if site is None or message["is_observed"]:
            return
        transform = biject_to(message["fn"].support)
        unconstrained = self.z[..., site.slice].reshape(self.z.shape[:-1] + site.unconstrained_shape)
        value = transform(unconstrained)
        self.log_jacobian = self.log_jacobian + transform.log_abs_det_jacobian(unconstrained, value).sum()
        self.values[site.name] = value
        self.functions[site.name] = message["fn"]
        message["value"], message["done"] = value, True


class _Explore(Messenger):
    """First runs of a model: draw each unconstrained value from Uniform(-radius, radius) and note what is met."""

    def __init__(self, radius: float) -> None:
        super().__init__()
        self.radius = radius
        self.found: list[tuple[str, torch.Size, torch.Size, str]] = []
        self.supports: list[str] = []
        self.start: list[torch.Tensor] = []

    def _pyro_sample(self, message: Any) -> None:
        function = message["fn"]
        if type(function).__name__ == "_Subsample":
            if function.subsample_size is not None and function.subsample_size < function.size:
                raise ValueError(
                    f"expected a model that uses all its data, got plate '{message['name']}' with subsample_size "
                    f"{function.subsample_size} of {function.size}, because a minibatch gives another density at each "
                    "run; try the full plate here, and subsampling in pyro.infer.SVI only"
                )
            return
        if message["is_observed"]:
            value = message["value"]
            deterministic = message["infer"].get("_deterministic", False)
            if isinstance(value, torch.Tensor) and value.is_floating_point() and not deterministic:
                bad = int((~torch.isfinite(value)).sum())
                if bad:
                    raise ValueError(
                        f"expected finite data, got {bad} nan or infinite values of {value.numel()} at site "
                        f"'{message['name']}', because its log probability would be nan; try dropping or modelling "
                        "the missing values"
                    )
            return
        if message["done"]:
            return
        transform = _transform_of(message)
        shape = torch.Size(function.shape())
        unconstrained = torch.empty(transform.inverse_shape(shape)).uniform_(-self.radius, self.radius)
        self.found.append((message["name"], shape, unconstrained.shape, transform_kind(transform)))
        self.supports.append(repr(function.support))
        self.start.append(unconstrained.reshape(-1))
        message["value"], message["done"] = transform(unconstrained), True


@dataclass(frozen=True)
class ModelReading:
    """What was learnt of a model: its sites, a way to run it, and points where it is known to run."""

    sites: tuple[Site, ...]
    run: Callable[[torch.Tensor], tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]]
    supports_at: Callable[[torch.Tensor], dict[str, Any]]
    starts: tuple[torch.Tensor, ...]
    elements: int
    promote: bool
    dependent_supports: bool
    notes: tuple[str, ...]


class _ModelError(Exception):
    """The user's model raised; the cause is attached."""


def _explore(model: Callable[..., Any], args: Any, kwargs: Any, seed: int, radius: float, promote: bool) -> Any:
    explorer = _Explore(radius)
    with seeded(seed), torch.no_grad(), double_precision(promote):
        tracer = poutine.trace()
        with tracer, explorer:
            refusal: BaseException | None = None
            try:
                model(*args, **kwargs)
            except ValueError as error:
                if str(error).startswith("expected ") and "because" in str(error):
                    raise
                refusal = error
            except Exception as error:
                refusal = error
            if refusal is not None:
                raise _ModelError from refusal
    return explorer, tracer.trace


def _first_run(model: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Any, Any, bool, int]:
    """A run that works: at smaller and smaller random values, with and without promotion to float64."""
    cause: BaseException | None = None
    for attempt in range(_ATTEMPTS):
        for promote in (False, True):
            try:
                explorer, trace = _explore(model, args, kwargs, attempt, 2.0 * 0.7**attempt, promote)
            except _ModelError as error:
                cause = error.__cause__
                continue
            return explorer, trace, promote, attempt
    raise ValueError(
        f"expected a model that runs, got {type(cause).__name__}: {cause}, because the model raised it at each of "
        f"{_ATTEMPTS} sets of latent values; try running model(*args) by itself, and passing its data: "
        "from_model(model, *args, **kwargs)"
    ) from cause


def _same_structure(first: Any, second: Any) -> None:
    if first.found == second.found:
        return
    names = [tuple(f[0] for f in e.found) for e in (first, second)]
    detail = f"sites {names[0]} and then {names[1]}" if names[0] != names[1] else f"{first.found} and then {second.found}"
    raise ValueError(
        f"expected a model with the same latent sites and shapes at every run, got {detail}, because a flat vector has "
        "one fixed layout; try sampling every site always and switching its effect on or off"
    )


def read_model(model: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelReading:
    """Run the model a few times and describe it; raises ValueError with the reason where it can't be a flat density."""
    if not callable(model):
        raise TypeError(f"expected a Pyro model (a callable), got {type(model).__name__}, because it is to be run")
    model = without_initialisation(model)
    explorer, trace, promote, attempt = _first_run(model, args, kwargs)
    if not explorer.found:
        raise ValueError(
            "expected a model with latent sites, got none, because there is nothing to infer; try checking that the "
            "data are passed as observations (obs=) and the unknowns are not"
        )
    runs = [explorer]
    for seed in (attempt + 101, attempt + 202):
        try:
            runs.append(_explore(model, args, kwargs, seed, 2.0 * 0.7**attempt, promote)[0])
        except _ModelError:
            continue
        _same_structure(explorer, runs[-1])

    sites, position = [], 0
    for name, shape, unconstrained_shape, kind in explorer.found:
        size = unconstrained_shape.numel()
        sites.append(Site(name, slice(position, position + size), shape, unconstrained_shape, kind))
        position += size
    by_name = {site.name: site for site in sites}

    def traced(z: torch.Tensor) -> tuple[Flat, Any]:
        flat = Flat(z, by_name)
        with double_precision(promote):
            tracer = poutine.trace()
            with tracer, flat:
                model(*args, **kwargs)
            if flat.values.keys() != by_name.keys():
                missing = sorted(by_name.keys() ^ flat.values.keys())
                raise ValueError(
                    f"expected the sites {list(by_name)} at every run, got a run that differs in {missing}, because a "
                    "flat vector has one fixed layout; try sampling every site always"
                )
        return flat, tracer.trace

    def run(z: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        flat, joint = traced(z)
        with double_precision(promote):
            return joint.log_prob_sum() + flat.log_jacobian, flat.values, flat.log_jacobian

    parameters = [name for name, node in trace.nodes.items() if node["type"] == "param"]
    notes = (f"the model's parameters {parameters} are held at their present values",) if parameters else ()
    elements = sum(
        torch.Size(tuple(node["fn"].batch_shape) + tuple(node["fn"].event_shape)).numel()
        for node in trace.nodes.values()
        if node["type"] == "sample" and hasattr(node["fn"], "batch_shape")
    )
    return ModelReading(
        sites=tuple(sites),
        run=run,
        supports_at=lambda z: traced(z)[0].functions,
        starts=tuple(torch.cat(r.start).double() for r in runs),
        elements=elements,
        promote=promote,
        dependent_supports=len({tuple(r.supports) for r in runs}) > 1,
        notes=notes,
    )


def nan_sites(reading: ModelReading, model: Callable[..., Any], args: Any, kwargs: Any, z: torch.Tensor) -> list[str]:
    """Names of the sites whose log probability is nan at ``z``."""
    flat = Flat(z, {site.name: site for site in reading.sites})
    with double_precision(reading.promote):
        tracer = poutine.trace()
        with tracer, flat:
            model(*args, **kwargs)
        tracer.trace.compute_log_prob()
    nodes = tracer.trace.nodes.items()
    return [name for name, node in nodes if "log_prob" in node and bool(torch.isnan(node["log_prob"]).any())]
