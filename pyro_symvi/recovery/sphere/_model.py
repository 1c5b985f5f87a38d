"""A Pyro model with one latent direction, read as a function of that direction."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from pyro import poutine
from pyro.distributions import TorchDistribution, constraints
from pyro.poutine.messenger import Messenger

from ...density._model import Call, without_initialisation
from ...density._precision import WatchPrecision, double_precision, promote
from ...density._refusals import Refusal, refuse_missing_data, refuse_subsample
from ...density._sites import device_of
from ...density._state import own_parameter_store, seeded
from ...distributions import VonMisesFisher

Function = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class SphereReading:
    """What was learnt of a function on the sphere, or of a model.

    Attributes:
        name: The site.
        dim: n, for the unit vectors of R^n.
        log_prob: Log density at ``x[n]``.
        plain: The same up to a constant, its von Mises-Fisher terms written as kappa mu.x: what algebra reads.
        what: ``"model"`` or ``"function"``.
        notes: What a reader of results should know.
        call: The model with its data; None for a plain function.
    """

    name: str
    dim: int
    log_prob: Function
    plain: Function
    what: str = "model"
    notes: tuple[str, ...] = ()
    call: Call | None = None


class _At(Messenger):
    """Gives the one latent site its value; refuses others."""

    def __init__(self, name: str, x: torch.Tensor) -> None:
        super().__init__()
        self.name, self.x = name, x

    def _pyro_sample(self, message: Any) -> None:
        if message["is_observed"] or message["done"] or type(message["fn"]).__name__ == "_Subsample":
            return
        if message["name"] != self.name:
            raise Refusal(_others([message["name"]]))
        message["value"], message["done"] = self.x.to(device_of(message["fn"])), True


class _Find(Messenger):
    """Notes the latent sites, and gives one on a sphere a random value."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Any] = {}

    def _pyro_sample(self, message: Any) -> None:
        if type(message["fn"]).__name__ == "_Subsample":
            refuse_subsample(message)
        elif message["is_observed"]:
            if not message["infer"].get("_deterministic", False):
                refuse_missing_data(message)
        elif not message["done"]:
            self.found[message["name"]] = message["fn"]
            if on_sphere(message["fn"]):
                value = torch.randn(message["fn"].shape()).to(device_of(message["fn"]))
                message["value"], message["done"] = value / value.norm(dim=-1, keepdim=True), True


def on_sphere(law: Any) -> bool:
    """Whether a law lives on the sphere."""
    support = law.support
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    return support is constraints.sphere


class _Linear(VonMisesFisher):
    """A von Mises-Fisher law by its natural parameter, for the checker of graphs.

    In place of the normaliser stands a function of kappa without a rule in the checker. So a kappa that depends on the
    unknown is refused, and one that does not gives a constant, which a log density up to a constant may lack.
    """

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        """Kappa mu.x, and the stand-in."""
        stand_in = torch.special.bessel_j1(self.concentration)
        return (self.concentration[..., None] * self.direction * value).sum(-1) - stand_in


def _plain(law: Any) -> Any:
    if type(law) is VonMisesFisher:
        return _Linear(law.direction, law.concentration, validate_args=False)
    if type(law) is torch.distributions.Independent or type(law).__name__ == "Independent":
        base = _plain(law.base_dist)
        if base is not law.base_dist and isinstance(base, TorchDistribution):
            return base.to_event(law.reinterpreted_batch_ndims)
    return law


def read_sphere_model(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SphereReading:
    """Run the model once and describe it.

    Raises:
        TypeError: Not callable.
        ValueError: Other latent sites than one direction, plates around it, subsampling, missing data.
    """
    if not callable(model):
        raise TypeError(
            f"expected a Pyro model (a callable), got {type(model).__name__}, because it is to be run; try a function "
            "with pyro.sample statements"
        )
    model = without_initialisation(model)
    trace, found, promoted, low = _first_run(model, args, kwargs)
    args, kwargs = promote(args), promote(kwargs)
    name, dim = _only_direction(found)
    parameters = [n for n, node in trace.nodes.items() if node["type"] == "param"]

    def traced(x: torch.Tensor) -> Any:
        tracer = poutine.trace()
        with own_parameter_store() if parameters else nullcontext(), poutine.block(), tracer, _At(name, x):
            model(*args, **kwargs)
        if name not in tracer.trace.nodes:
            raise Refusal(f"expected the site '{name}' at every run, got a run without it; try sampling it always")
        return tracer.trace

    def log_prob(x: torch.Tensor) -> torch.Tensor:
        with double_precision(promoted):
            value: torch.Tensor = traced(x).log_prob_sum()
            return value.to(x.device)

    def plain(x: torch.Tensor) -> torch.Tensor:
        with double_precision(promoted):
            trace = traced(x)
            for node in trace.nodes.values():
                if node["type"] == "sample":
                    node["fn"] = _plain(node["fn"])
            value: torch.Tensor = trace.log_prob_sum()
            return value.to(x.device)

    notes = [f"the model's parameters {parameters} are held at their present values"] if parameters else []
    if low and not promoted:
        notes.append("parts of the model run in float32 only: its rounding errors are those of float32")
    return SphereReading(name, dim, log_prob, plain, notes=tuple(notes), call=Call(model, args, kwargs, promoted))


def _first_run(model: Any, args: Any, kwargs: Any) -> tuple[Any, dict[str, Any], bool, bool]:
    """Trace, latent sites, whether float32 tensors are cast, whether some were met.

    Unit vectors that were rounded to float32 are no unit vectors to float64: where Pyro's validation says so, it is
    asked again in the precision that the user's data have.
    """
    cause: Exception | None = None
    kept: tuple[Any, dict[str, Any], bool, bool] | None = None
    for promoted in (False, True):
        try:
            trace, found, low = _run(model, promote(args), promote(kwargs), double_precision(promoted, validate=True))
        except Refusal:
            raise
        except Exception as error:
            cause = error
            continue
        kept = trace, found, promoted, low
        if not low:
            break
    if kept is None:
        try:
            _run(model, args, kwargs, nullcontext())
            trace, found, low = _run(model, promote(args), promote(kwargs), double_precision(True))
            return trace, found, True, low
        except Refusal:
            raise
        except Exception as error:
            first = (str(cause).strip().splitlines() or [""])[0]
            raise Refusal(
                f"expected a model that runs, got {type(cause).__name__}: {first}, because it raised that at a random "
                "direction; try running model(*args) by itself"
            ) from error
    return kept


def _run(model: Any, args: Any, kwargs: Any, precision: Any) -> tuple[Any, dict[str, Any], bool]:
    find, tracer, watch = _Find(), poutine.trace(), WatchPrecision()
    with seeded(0), torch.no_grad(), own_parameter_store(), precision, watch:
        with poutine.block(), tracer, find:
            model(*args, **kwargs)
        tracer.trace.compute_log_prob()
    return tracer.trace, find.found, watch.low


def _only_direction(found: dict[str, Any]) -> tuple[str, int]:
    spheres = [name for name, law in found.items() if on_sphere(law)]
    others = [name for name in found if name not in spheres]
    if others:
        raise Refusal(_others(others))
    if len(spheres) != 1:
        raise Refusal(
            f"expected one latent site on a sphere, got {spheres}, because the density is one of a single direction; "
            "try conditioning on the others (pyro.condition)"
        )
    shape = found[spheres[0]].shape()
    if len(shape) != 1:
        raise Refusal(
            f"expected site '{spheres[0]}' to be one unit vector, got shape {tuple(shape)}, because the density is one "
            "of a single direction; try a site outside plates"
        )
    return spheres[0], int(shape[0])


def _others(names: list[str]) -> str:
    return (
        f"expected no latent site but one direction, got {names} as well, because what is certified is a density on "
        "the sphere alone; try giving them their values (pyro.condition)"
    )
