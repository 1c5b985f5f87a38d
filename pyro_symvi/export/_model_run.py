"""A Pyro model run at given draws of its latent sites: log densities, pointwise likelihoods, replicated data."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ..density._explore import is_subsample
from ..density._model import Call, Flat
from ..density._precision import WatchPrecision, double_precision
from ..density._refusals import Refusal
from ..density._sites import device_of
from ..density._state import own_parameter_store, seeded
from ._hidden import refuse_hidden
from ._nodes import full_value, is_data, log_jacobian, log_prob_of, mask_of, missing, other_shape
from ._subsampling import RowPlate, full_size, refuse_local, row_plate
from ._vectorized import at_each

_ELEMENTS = 2**20
"""Batches are cut so that one intermediate of all sites holds at most about this many numbers."""


class At(Messenger):
    """Gives each latent site its value and each subsampled plate its rows; draws the data anew if asked to."""

    _pyro_param = Flat._pyro_param
    _pyro_post_param = Flat._pyro_post_param

    def __init__(self, values: Mapping[str, Tensor], rows: Mapping[str, Tensor], replicate: bool = False) -> None:
        super().__init__()
        self.values, self.rows, self.replicate = values, rows, replicate

    def _pyro_sample(self, message: Any) -> None:
        name = message["name"]
        if is_subsample(message):
            if name in self.rows:
                message["value"], message["done"] = self.rows[name], True
        elif message["is_observed"]:
            if self.replicate and is_data(message):
                message["value"] = message["fn"].sample()
        elif not message["done"]:
            if name not in self.values:
                raise Refusal(missing(name, message["fn"]))
            refuse_local(name, message["cond_indep_stack"])
            value = self.values[name].to(device_of(message["fn"]))
            message["value"], message["done"] = value, True


@dataclass(frozen=True)
class RunSite:
    """A site as met in a run, plates in full.

    Attributes:
        name: Its name.
        batch: Batch shape of its log probability.
        event: Event shape.
        plates: ``{negative batch dimension: plate name}``.
        in_rows: Whether it lies in the subsampled plate.
    """

    name: str
    batch: tuple[int, ...]
    event: tuple[int, ...]
    plates: Mapping[int, str]
    in_rows: bool = False


@dataclass(frozen=True)
class Evaluation:
    """What a model says at ``n`` draws.

    Attributes:
        joint: log p(x, data), in the coordinates of the model's sites, ``[n]``.
        log_jacobian: log|det dx/dz| to unconstrained coordinates, ``[n]``; zero for discrete sites and on spheres.
        pointwise: ``{observed site: [n, *batch]}``, without ``poutine.scale`` and subsampling factors.
        counted: ``{observed site: [*batch]}``: which entries count somewhere; None where all do.
        deterministic: ``{site: [n, *shape]}``.
    """

    joint: Tensor
    log_jacobian: Tensor
    pointwise: dict[str, Tensor]
    counted: dict[str, Tensor | None]
    deterministic: dict[str, Tensor]


@dataclass
class ModelRun:
    """A model, its arguments, and what one run of it at given values has shown.

    Attributes:
        call: The model and its arguments.
        latent: Its latent sites.
        observed: Its sites with data.
        deterministic: Names of its deterministic sites.
        data: ``{observed site: [*batch, *event]}``.
    """

    call: Call
    latent: dict[str, RunSite] = field(default_factory=dict)
    observed: dict[str, RunSite] = field(default_factory=dict)
    deterministic: dict[str, RunSite] = field(default_factory=dict)
    data: dict[str, Tensor] = field(default_factory=dict)
    _plate: RowPlate | None = None
    _elements: int = 1

    @classmethod
    def read(cls, call: Call, first: Mapping[str, Tensor]) -> ModelRun:
        """Run the model once at ``{latent site: value}`` and describe it.

        Raises:
            ValueError: A latent site without a value, a value of another shape, minibatches that can't be undone.
        """
        call, trace = _first_run(call, first)
        run = cls(call)
        run._plate = row_plate(trace)
        rows = run._blocks()[0]
        refuse_hidden(lambda: run.trace(first, rows).log_prob_sum())
        for name, node in trace.nodes.items():
            if node["type"] != "sample" or is_subsample(node):
                continue
            site = run._site(name, node)
            if not node["is_observed"]:
                if node["value"].shape != torch.Size(node["fn"].shape()):
                    raise Refusal(other_shape(name, tuple(node["fn"].shape()), tuple(node["value"].shape)))
                run.latent[name] = site
            elif node["infer"].get("_deterministic", False):
                run.deterministic[name] = site
            elif is_data(node):
                run.observed[name] = site
            run._elements += max(1, node["log_prob"].numel() * max(1, torch.Size(site.event).numel()))
        with seeded(0), torch.no_grad():
            parts = [run._data_of(run.trace(first, rows)) for rows in run._blocks()]
        run.data = {name: run._joined(run.observed[name], [p[name] for p in parts], True) for name in run.observed}
        return run

    def _site(self, name: str, node: Mapping[str, Any]) -> RunSite:
        plates = {f.dim: f.name for f in node["cond_indep_stack"] if f.vectorized and f.dim is not None}
        plate = self._plate
        inside = plate is not None and plate.name in plates.values()
        batch = list(log_prob_of(node).shape)
        if plate is not None and inside:
            batch[plate.dim] = plate.size
        for frame in node["cond_indep_stack"]:
            if frame.vectorized and full_size(frame) != frame.size and (plate is None or frame.name != plate.name):
                raise Refusal(
                    f"expected all rows of plate '{frame.name}', got {frame.size} of {full_size(frame)} given as "
                    "subsample=, because log likelihoods are wanted of each row; try the model with all its data"
                )
        event = tuple(node["fn"].event_shape)
        return RunSite(name, tuple(batch), event, plates, inside)

    # -- one run -----------------------------------------------------------------------------------------------

    def trace(self, values: Mapping[str, Tensor], rows: Mapping[str, Tensor], replicate: bool = False) -> Any:
        """Trace of a run with log probabilities."""
        return _trace(self.call, values, rows, replicate)

    def _blocks(self) -> list[dict[str, Tensor]]:
        return [{}] if self._plate is None else [{self._plate.name: rows} for rows in self._plate.blocks()]

    def _data_of(self, trace: Any) -> dict[str, Tensor]:
        return {name: full_value(trace.nodes[name]) for name in self.observed}

    def _joined(self, site: RunSite, parts: list[Tensor], with_event: bool) -> Tensor:
        """Blocks of rows put together (sites outside the plate are the same in all)."""
        if self._plate is None or not site.in_rows:
            return parts[0]
        axis = self._plate.dim - (len(site.event) if with_event else 0)
        whole = torch.cat(parts, axis)
        return whole.narrow(axis, 0, self._plate.size)

    # -- at many draws -----------------------------------------------------------------------------------------

    def evaluate(self, values: Mapping[str, Tensor]) -> Evaluation:
        """The model's log densities at ``{site: [n, *shape]}``."""
        count = len(next(iter(values.values())))
        chunk = max(1, min(4096, _ELEMENTS // self._elements))
        blocks = [at_each(self._row(rows), values, count, seed=0, chunk=chunk) for rows in self._blocks()]
        joint = blocks[0]["outside"]
        if self._plate is not None:
            per_row = torch.cat([block["rows"] for block in blocks], -1)[:, : self._plate.size]
            joint = joint + per_row.sum(-1) * self._plate.share
        pointwise: dict[str, Tensor] = {}
        counted: dict[str, Tensor | None] = {}
        for name, site in self.observed.items():
            found = self._joined(site, [block[f"pointwise {name}"] for block in blocks], False)
            counted[name] = None
            if f"mask {name}" in blocks[0]:
                mask = self._joined(site, [block[f"mask {name}"] for block in blocks], False)
                found, counted[name] = torch.where(mask, found, 0.0), mask.any(0)
            pointwise[name] = found
        deterministic = {
            name: self._joined(site, [block[f"value {name}"] for block in blocks], True)
            for name, site in self.deterministic.items()
        }
        return Evaluation(joint, blocks[0]["jacobian"], pointwise, counted, deterministic)

    def _row(self, rows: Mapping[str, Tensor]) -> Any:
        def at(values: Mapping[str, Tensor], zero: Tensor) -> dict[str, Tensor]:
            trace = self.trace(values, rows)
            with double_precision(self.call.promoted):
                return self._read(trace, zero.double())

        return at

    def _read(self, trace: Any, zero: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {"outside": zero, "jacobian": zero}
        plate = self._plate
        for name, node in trace.nodes.items():
            if node["type"] != "sample" or is_subsample(node):
                continue
            if plate is not None and any(f.name == plate.name for f in node["cond_indep_stack"]):
                per_row = node["log_prob"].movedim(plate.dim, -1).reshape(-1, plate.taken).sum(0).cpu()
                found["rows"] = found.get("rows", zero) + per_row
            else:
                found["outside"] = found["outside"] + node["log_prob_sum"].cpu()
            if name in self.latent:
                found["jacobian"] = found["jacobian"] + log_jacobian(node).cpu()
            elif name in self.observed:
                found[f"pointwise {name}"] = log_prob_of(node).cpu() + zero
                mask = mask_of(node)
                if mask is not None:
                    found[f"mask {name}"] = mask.cpu() & (zero == 0)
            elif name in self.deterministic:
                found[f"value {name}"] = node["value"].cpu() + zero.to(node["value"].dtype)
        return found

    def replicate(self, values: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
        """New data for each draw, ``{observed site: [n, *batch, *event]}``; earlier sites' new data feed later ones."""
        count = len(next(iter(values.values())))
        chunk = max(1, min(4096, _ELEMENTS // self._elements))
        parts = []
        for number, rows in enumerate(self._blocks()):

            def at(row: Mapping[str, Tensor], zero: Tensor, rows: Mapping[str, Tensor] = rows) -> dict[str, Tensor]:
                trace = self.trace(row, rows, replicate=True)
                found = {name: full_value(trace.nodes[name]).cpu() for name in self.observed}
                return {name: value + zero.to(value.dtype) for name, value in found.items()}

            parts.append(at_each(at, values, count, seed=seed + number, chunk=chunk))
        return {name: self._joined(site, [p[name] for p in parts], True) for name, site in self.observed.items()}


def _trace(call: Call, values: Mapping[str, Tensor], rows: Mapping[str, Tensor], replicate: bool = False) -> Any:
    at, tracer = At(values, rows, replicate), poutine.trace()
    with double_precision(call.promoted), own_parameter_store():
        with poutine.block(), tracer, at:
            call.model(*call.args, **call.kwargs)
        tracer.trace.compute_log_prob()
    return tracer.trace


def _first_run(call: Call, first: Mapping[str, Tensor]) -> tuple[Call, Any]:
    """A trace at one draw; float32 tensors of the model are cast where some are met."""
    kept: tuple[Call, Any] | None = None
    failure: Exception | None = None
    for promoted in (True,) if call.promoted else (False, True):
        watch = nullcontext() if promoted else WatchPrecision()
        try:
            with seeded(0), torch.no_grad(), watch:
                trace = _trace(call._replace(promoted=promoted), first, {})
        except Refusal:
            raise
        except Exception as error:
            failure = failure or error
            continue
        kept = call._replace(promoted=promoted), trace
        if not getattr(watch, "low", False):
            break
    if kept is None:
        raise Refusal(
            f"expected a model that runs at the draws, got {type(failure).__name__}: {failure}, because log densities "
            "are computed by running it; try the arguments that it was fitted with: to_arviz(source, model, *args)"
        ) from failure
    return kept
