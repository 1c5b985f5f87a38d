"""Mode and curvature of a joint density over sites on flat spaces and on spheres: where a guide starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ..density._precision import double_precision, promote
from ..families import Parameters
from ._site_coordinates import LocalCoordinates, Points, on_space
from ._site_law import EuclideanSite, SiteLaw

_NEWTON_DIM = 300
"""Up to this many coordinates the climb ends with Newton steps."""


@dataclass(frozen=True)
class LaplaceStart:
    """What `initialize_from_laplace` found.

    Attributes:
        log_density: At the point, log-Jacobians of constrained sites included.
        gradient: The largest component of the gradient there, in local coordinates (tangents, on a sphere) whose unit
            is the site's standard deviation.
        indefinite: Sites where minus the Hessian's block has a direction without positive curvature.
    """

    log_density: float
    gradient: float
    indefinite: tuple[str, ...]

    @property
    def is_mode(self) -> bool:
        """A stationary point (gradient below 1e-4) with a definite block at every site."""
        return self.gradient < 1e-4 and not self.indefinite

    def __bool__(self) -> bool:
        return self.is_mode


class _At(Messenger):
    """Gives each latent site the value of a point, and adds up the log-Jacobians."""

    def __init__(self, points: Points, sites: Mapping[str, SiteLaw]) -> None:
        super().__init__()
        self.points, self.sites = points, sites
        self.log_jacobian: Tensor | float = 0.0

    def _pyro_sample(self, message: Any) -> None:
        name = message["name"]
        if name not in self.points or message["is_observed"]:
            return
        site = self.sites[name]
        value = self.points[name]
        if isinstance(site, EuclideanSite):
            value, log_jacobian = site.value_at(value, message["fn"].support)
            self.log_jacobian = self.log_jacobian + log_jacobian
        message["value"], message["done"] = value, True


def climb(
    model: Callable[..., Any],
    args: Any,
    kwargs: Any,
    sites: Mapping[str, SiteLaw],
    start: Mapping[str, Parameters],
    init_scale: float,
    init_concentration: float,
) -> tuple[LaplaceStart, dict[str, Parameters]]:
    """Find a mode and return it with the parameters that a guide takes there; everything in float64.

    Args:
        model, args, kwargs: The model and its data.
        sites: The guide's sites.
        start: Their present parameters.
        init_scale, init_concentration: What stands in where there is no curvature.

    Raises:
        ValueError: A subsampled plate, or a log density that is not finite at the start.
    """
    args, kwargs = promote(args), promote(kwargs)

    def log_prob(points: Points) -> Tensor:
        with double_precision(promoted=True), poutine.block():
            at = _At(points, sites)
            with at:
                trace = poutine.trace(model).get_trace(*args, **kwargs)
            _refuse_subsample(trace)
            total: Tensor = trace.log_prob_sum() + at.log_jacobian
            return total

    point = {name: site.place(start[name]).detach().double() for name, site in sites.items()}
    here = float(log_prob(point).detach())
    if not torch.isfinite(torch.tensor(here)):
        raise ValueError(
            f"expected a finite log density at the guide's centres, got {here}, because the climb starts there; try "
            "another init_loc_fn, or set_parameters"
        )
    point = _ascend(log_prob, point, sites)
    local = LocalCoordinates(log_prob, point, sites)
    gradient, blocks = local.curvature()
    if local.size <= _NEWTON_DIM:
        for _ in range(8):
            better = local.newton()
            if better is None:
                break
            local = better
        gradient, blocks = local.curvature()
    parameters, indefinite, largest = {}, [], 0.0
    for name, site in sites.items():
        fallback = init_scale if isinstance(site, EuclideanSite) else init_concentration**-0.5
        covariance, definite = _inverse(blocks[name], fallback)
        if not definite:
            indefinite.append(name)
        unit = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
        largest = max(largest, float((gradient[name] * unit).abs().max()))
        parameters[name] = {**start[name], **site.at_mode(local.point[name], blocks[name], covariance, fallback)}
    found = LaplaceStart(float(log_prob(local.point).detach()), largest, tuple(indefinite))
    return found, parameters


def _refuse_subsample(trace: Any) -> None:
    for name, node in trace.nodes.items():
        for frame in node.get("cond_indep_stack", ()):
            if frame.full_size is not None and 0 < frame.size < frame.full_size:
                raise ValueError(
                    f"expected all data, got plate '{frame.name}' with {frame.size} of {frame.full_size} at site "
                    f"'{name}', because the mode of a scaled-up minibatch is not the posterior's; try the full plate "
                    "here, and subsampling in SVI only"
                )


def _ascend(log_prob: Callable[[Points], Tensor], start: Points, sites: Mapping[str, SiteLaw]) -> Points:
    """L-BFGS on vectors that are normalised where the site is a sphere; the best point met."""
    free = {name: value.clone().requires_grad_() for name, value in start.items()}
    optimizer = torch.optim.LBFGS(
        list(free.values()), max_iter=500, history_size=20, tolerance_grad=1e-10, tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )  # fmt: skip
    best = [float("inf")], dict(start)

    def loss() -> Tensor:
        optimizer.zero_grad()
        points = {name: on_space(sites[name], value) for name, value in free.items()}
        value = -log_prob(points)
        if not bool(value.isfinite()):
            value = value.detach() * 0 + 1e30  # no gradient: the line search turns back
            value = torch.nan_to_num(value, nan=1e30, posinf=1e30, neginf=1e30)
            for parameter in free.values():
                parameter.grad = torch.zeros_like(parameter)
            return value
        value.backward()
        if float(value.detach()) < best[0][0]:
            best[0][0] = float(value.detach())
            best[1].update({name: point.detach().clone() for name, point in points.items()})
        return value

    optimizer.step(loss)
    return best[1]


def _inverse(precision: Tensor, fallback: float) -> tuple[Tensor, bool]:
    """Inverses of ``[*batch, m, m]``, eigenvalues that are not positive replaced; and whether there were none."""
    values, vectors = torch.linalg.eigh(precision)
    good = values > 1e-12 * values.abs().amax(-1, keepdim=True)
    variances = torch.where(good, 1 / torch.where(good, values, 1.0), fallback**2)
    return vectors @ (variances[..., None] * vectors.mT), bool(good.all())
