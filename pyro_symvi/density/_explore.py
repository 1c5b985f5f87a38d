"""First runs of a Pyro model: at which random values it runs, in which precision, and what it meets there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger

from ._precision import WatchPrecision, double_precision
from ._refusals import Refusal, refuse_missing_data, refuse_other_structure, refuse_subsample, transform_of
from ._sites import device_of, transform_kind
from ._state import own_parameter_store, seeded

_ATTEMPTS = 12
"""Runs of a new model, at different random values, before its error is believed."""
Found = tuple[str, torch.Size, torch.Size, str, torch.device]
"""Name, shape, unconstrained shape, kind of transform and device of a latent site."""
_NOT_ABOUT_VALUES = (TypeError, LookupError, NameError, AttributeError, ImportError)


def is_subsample(message: Any) -> bool:
    """Whether a message is that of a plate choosing its indices."""
    return type(message["fn"]).__name__ == "_Subsample"


class _Explore(Messenger):
    """Draws each unconstrained value from Uniform(-radius, radius) and notes what is met."""

    def __init__(self, radius: float) -> None:
        super().__init__()
        self.radius = radius
        self.found: list[Found] = []
        self.supports: dict[str, str] = {}
        self.start: list[torch.Tensor] = []

    def _pyro_sample(self, message: Any) -> None:
        function = message["fn"]
        if is_subsample(message):
            refuse_subsample(message)
            return
        if message["is_observed"]:
            if not message["infer"].get("_deterministic", False):
                refuse_missing_data(message)
                self.supports[message["name"]] = _support_text(function)
            return
        if message["done"]:
            return
        transform = transform_of(message)
        shape = torch.Size(function.shape())
        unconstrained = torch.empty(transform.inverse_shape(shape)).uniform_(-self.radius, self.radius)
        device = device_of(function)
        self.found.append((message["name"], shape, unconstrained.shape, transform_kind(transform), device))
        self.supports[message["name"]] = _support_text(function)
        self.start.append(unconstrained.reshape(-1))
        message["value"], message["done"] = transform(unconstrained.to(device)), True


def _support_text(function: Any) -> str:
    try:
        return repr(function.support)
    except NotImplementedError:
        return ""


@dataclass
class _Run:
    """One run that worked."""

    found: list[Found]
    supports: dict[str, str]
    start: torch.Tensor
    trace: Any
    low: bool
    outside: dict[str, str]
    """Observed sites whose data Pyro calls invalid there, with its words."""


@dataclass
class Exploration:
    """What the runs of a model have shown."""

    runs: list[_Run]
    promoted: bool
    notes: list[str] = field(default_factory=list)

    @property
    def first(self) -> _Run:
        """The first run that worked."""
        return self.runs[0]

    def moving_supports(self) -> set[str]:
        """Sites whose support was not the same in all runs."""
        return {n for n in self.first.supports if len({run.supports.get(n) for run in self.runs}) > 1}


class _ModelError(Exception):
    """The user's model raised; the cause is attached."""


def explore(model: Callable[..., Any], args: Any, kwargs: Any) -> Exploration:
    """Run a model at three sets of latent values; raises `Refusal` where it can't be a flat density."""
    first, promoted, attempt = _first_run(model, args, kwargs)
    exploration = Exploration([first], promoted)
    if not first.found:
        raise Refusal(
            "expected a model with latent sites, got none, because there is nothing to infer; try checking that the "
            "data are passed as observations (obs=) and the unknowns are not"
        )
    if first.low and not promoted:
        exploration.notes.append("parts of the model run in float32 only: its rounding errors are those of float32")
    for seed in (attempt + 101, attempt + 202):
        try:
            run = _run(model, args, kwargs, seed, _radius(attempt), promoted)
        except _ModelError:
            continue
        refuse_other_structure(first.found, run.found)
        exploration.runs.append(run)
    _refuse_invalid_data(exploration)
    return exploration


def _radius(attempt: int) -> float:
    return float(2.0 * 0.7**attempt)


def _first_run(model: Callable[..., Any], args: Any, kwargs: Any) -> tuple[_Run, bool, int]:
    """A run that works, at smaller and smaller random values; promoted to float64 where it meets float32."""
    cause: BaseException | None = None
    for attempt in range(_ATTEMPTS):
        fallback: _Run | None = None
        for promoted in (False, True):
            try:
                run = _run(model, args, kwargs, attempt, _radius(attempt), promoted)
            except _ModelError as error:
                cause = error.__cause__
                continue
            if promoted or not run.low:
                return run, promoted, attempt
            fallback = run
        if fallback is not None:
            return fallback, False, attempt
        if isinstance(cause, _NOT_ABOUT_VALUES):
            break
    raise Refusal(
        f"expected a model that runs, got {type(cause).__name__}: {cause}, because the model raised it at each of "
        f"{attempt + 1} sets of latent values; try running model(*args) by itself, and passing its data: "
        "from_model(model, *args, **kwargs)"
    ) from cause


def _run(model: Callable[..., Any], args: Any, kwargs: Any, seed: int, radius: float, promoted: bool) -> _Run:
    try:
        return _one_run(model, args, kwargs, seed, radius, promoted, validate=True)
    except _ModelError as error:
        if not isinstance(error.__cause__, ValueError):
            raise
        invalid = error.__cause__
    run = _one_run(model, args, kwargs, seed, radius, promoted, validate=False)
    with seeded(seed), torch.no_grad(), double_precision(promoted):
        value = run.trace.log_prob_sum()
    if not torch.isfinite(value):
        raise _ModelError from invalid
    raise Refusal(
        f"expected valid distributions at every value of the latent sites, got {_first_line(invalid)}, because a "
        "latent site reaches values that this distribution has no meaning for, and a number would come out all the "
        "same; try a prior whose support excludes them, or pyro.enable_validation(False) where they are meant"
    ) from invalid


def _one_run(
    model: Callable[..., Any], args: Any, kwargs: Any, seed: int, radius: float, promoted: bool, validate: bool
) -> _Run:
    explorer, tracer, watch = _Explore(radius), poutine.trace(), WatchPrecision()
    with seeded(seed), torch.no_grad(), own_parameter_store(), double_precision(promoted, validate):
        failure: BaseException | None = None
        outside: dict[str, str] = {}
        try:
            with watch:
                with poutine.block(), tracer, explorer:
                    model(*args, **kwargs)
                outside = _outside(tracer.trace)
        except Refusal:
            raise
        except Exception as error:
            failure = error
        if failure is not None:
            raise _ModelError from failure
    start = torch.cat([torch.zeros(0), *explorer.start]).double()
    return _Run(explorer.found, explorer.supports, start, tracer.trace, watch.low, outside)


def _outside(trace: Any) -> dict[str, str]:
    """Observed sites whose log probability Pyro refuses to compute."""
    found = {}
    for name, node in trace.nodes.items():
        if node["type"] == "sample" and node["is_observed"] and not is_subsample(node):
            try:
                node["fn"].log_prob(node["value"])
            except ValueError as error:
                found[name] = _first_line(error)
    return found


def _refuse_invalid_data(exploration: Exploration) -> None:
    moving = exploration.moving_supports()
    for name, why in exploration.first.outside.items():
        if name not in moving and all(name in run.outside for run in exploration.runs):
            raise Refusal(
                f"expected data that the distribution of site '{name}' can have, got: {why}; because they are "
                "impossible whatever the latent sites are; try another likelihood or shape, or "
                "pyro.enable_validation(False) where a density beyond its support is meant"
            )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
