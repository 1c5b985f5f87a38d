"""Draws of weights with named dimensions, as ArviZ reads them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._draws import Draws
from .._likelihoods import LOG_SCALE_LIMIT
from .._perceptron import Perceptron
from .._posterior import NetworkPosterior
from .._streams import stream
from ..predictions._rows import check_draws, check_inputs, check_targets, row_blocks

_STATS = {"log_density": "lp", "acceptance": "acceptance_rate"}
"""Names of ArviZ for what draws carry."""
_DIVERGENT = 1000.0
_PURPOSE = 61


def to_arviz(
    posterior: NetworkPosterior,
    draws: Draws,
    *,
    x: Tensor | None = None,
    y: Tensor | None = None,
    predictions: bool = True,
    log_likelihood: bool = True,
    seed: int = 0,
    kind: str | None = None,
) -> Any:
    """Draws, predictions and data in the groups that ArviZ knows.

    ``posterior``: one variable a parameter tensor, named as in the module, dimensions (chain, draw, ...). Those of a
    perceptron are ``input``, ``hidden_1``, ..., ``output``, shared between layers: ``0.weight`` is [chain, draw,
    hidden_1, input], ``2.weight`` [chain, draw, output, hidden_1]. Other networks have ``NAME_out``, ``NAME_in``,
    ``NAME_2`` ... a tensor. The noise stands as ``noise.log_scale`` and as ``noise.scale``. ``log_likelihood``: ``y``
    [chain, draw, row], log p(y_i | x_i, theta), of all targets of a row together. ``posterior_predictive``: ``y``,
    one draw of the targets for each theta. ``sample_stats``: ``lp``, ``energy_error``, ``acceptance_rate``,
    ``diverging`` and what else the draws carry. ``observed_data``: ``y``; ``constant_data``: ``x``. Attributes of the
    root: source, seed, layout, likelihood, prior, versions.

    Two numbers for each draw and row are held in memory: ``draws.thin(10)`` first where that is too much. For
    ``arviz_stats.loo`` leave x and y out, since it speaks of the rows that the posterior was given.

    Args:
        posterior: whose draws these are.
        draws: from any source.
        x: inputs of the rows; those of the posterior unless given.
        y: their targets; needed with x.
        predictions: whether to draw targets.
        log_likelihood: whether to evaluate them.
        seed: of the drawn targets.
        kind: ``"inference_data"`` or ``"datatree"``; by default what the installed ArviZ reads, as in
            `pyro_symvi.to_arviz`: ``arviz.InferenceData`` for ArviZ 0.x, ``xarray.DataTree`` otherwise.

    Raises:
        ImportError: ArviZ is not installed.
        ValueError: x without y, or what does not fit.
    """
    from ...export._container import chosen_kind, container

    chosen_kind(kind)
    check_draws(posterior, draws)
    if (x is None) != (y is None):
        raise ValueError("expected both x and y or neither, got one of them")
    if x is None or y is None:
        x, y = posterior.x, posterior.y
    has_rows = len(x) > 0
    if has_rows:
        x = check_inputs(posterior, x)
        y = check_targets(posterior, x, y)
    dims = _dims(posterior)
    groups: dict[str, dict[str, np.ndarray]] = {"posterior": _parameters(posterior, draws)}
    if has_rows:
        squeezed = y[:, 0] if y.ndim > 1 and y.shape[1] == 1 else y
        dims |= {"y": ["row", "target"][: squeezed.ndim], "x": _input_dims(posterior, x)}
        drawn, density = _rows(posterior, draws, x, y, predictions, log_likelihood, seed)
        if density is not None:
            groups["log_likelihood"] = {"y": density}
        if drawn is not None:
            groups["posterior_predictive"] = {"y": drawn.reshape(*drawn.shape[:3], *squeezed.shape[1:])}
        groups["observed_data"] = {"y": squeezed.cpu().numpy()}
        groups["constant_data"] = {"x": x.cpu().numpy()}
    stats = _stats(draws)
    if stats:
        groups["sample_stats"] = stats
    return container(groups, dims=dims, attrs=_attributes(posterior, draws), kind=kind)


def _dims(posterior: NetworkPosterior) -> dict[str, list[str]]:
    """Names of the dimensions of each parameter tensor, after chain and draw."""
    layout = posterior.layout
    names = layout.names[: len(layout.names) - layout.extras]
    perceptron = Perceptron.of(posterior.network)
    if perceptron is None:
        ends = ("out", "in")
        return {
            name: [f"{name}_{ends[k] if k < 2 else k}" for k in range(len(shape))]
            for name, shape in zip(names, layout.shapes, strict=False)
        }
    last = len(perceptron.stages)
    units = ["input", *(f"hidden_{k}" for k in range(1, last)), "output"]
    dims = {}
    for k, stage in enumerate(perceptron.stages):
        dims[stage.weight] = [units[k + 1], units[k]]
        if stage.bias is not None:
            dims[stage.bias] = [units[k + 1]]
    return dims


def _input_dims(posterior: NetworkPosterior, x: Tensor) -> list[str]:
    if x.ndim == 2:
        return ["row", "input"]
    return ["row", *(f"input_{k}" for k in range(1, x.ndim))]


def _parameters(posterior: NetworkPosterior, draws: Draws) -> dict[str, np.ndarray]:
    found = {name: values.cpu().numpy() for name, values in posterior.layout.unflatten(draws.theta).items()}
    if "noise.log_scale" in found:
        found["noise.scale"] = np.exp(np.clip(found["noise.log_scale"], -LOG_SCALE_LIMIT, LOG_SCALE_LIMIT))
    return found


def _rows(
    posterior: NetworkPosterior, draws: Draws, x: Tensor, y: Tensor, drawn: bool, density: bool, seed: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Drawn targets ``[chains, draws, rows, targets]`` and log densities ``[chains, draws, rows]``."""
    if not (drawn or density):
        return None, None
    theta = draws.flat.to(posterior.x)
    extra = posterior.extra(theta)
    generator = stream(seed, _PURPOSE, device=theta.device)
    targets, densities = [], []
    for rows, outputs in row_blocks(posterior, theta, x):
        if density:
            densities.append(posterior.likelihood.log_prob(outputs, y[rows], extra).cpu())
        if drawn:
            targets.append(_draw(posterior.likelihood.predictive(outputs, extra), generator).cpu())
    shape = (draws.chains, draws.draws, len(x))
    return (
        torch.cat(targets, 1).reshape(*shape, -1).numpy() if drawn else None,
        torch.cat(densities, 1).reshape(shape).numpy() if density else None,
    )


def _draw(law: torch.distributions.Distribution, generator: torch.Generator) -> Tensor:
    """One draw of each law: ``[T, rows, targets]`` for normal laws, ``[T, rows, 1]`` for classes."""
    if isinstance(law, torch.distributions.Categorical):
        flat = torch.multinomial(law.probs.flatten(0, -2), 1, generator=generator)
        return flat.reshape(*law.batch_shape, 1)
    mean, scale = law.mean, law.stddev
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return mean + scale * noise


def _stats(draws: Draws) -> dict[str, np.ndarray]:
    found = {_STATS.get(name, name): values.cpu().numpy() for name, values in draws.stats.items()}
    if "energy_error" in found:
        found["diverging"] = ~(np.abs(found["energy_error"]) <= _DIVERGENT)
    return found


def _attributes(posterior: NetworkPosterior, draws: Draws) -> dict[str, Any]:
    from ... import __version__

    layout = posterior.layout
    settings = draws.info.get("settings", {})
    seed = draws.info.get("seed", settings.get("seed") if isinstance(settings, dict) else None)
    found: dict[str, Any] = {
        "source": draws.source,
        "layout": json.dumps({name: list(shape) for name, shape in zip(layout.names, layout.shapes, strict=True)}),
        "likelihood": repr(posterior.likelihood),
        "prior": repr(posterior.prior),
        "inference_library": "pyro_symvi",
        "inference_library_version": __version__,
        "torch_version": str(torch.__version__),
    }
    if seed is not None:
        found["seed"] = int(seed)
    for name in ("seconds", "seconds_sampling", "seconds_warm_up", "gradients"):
        value = draws.info.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = value
    return found
