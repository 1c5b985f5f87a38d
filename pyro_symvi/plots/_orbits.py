"""Orbits: where a group takes a point of the plane, of space or of the sphere, and what it leaves in place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._figures import METHODS
from ..groups import Action, AffineAction, ConditionalReflection, LinearAction
from ._style import PALETTE, style

_CLOUD = 400
_TURN = 241
_MOST_LINKED = 12
_LEVELS = (-4.5, -2.0, -0.5, 0.0)
_MARKERS = "osD^vP"


def plot_orbits(
    action: Action,
    points: Tensor | Sequence[Any],
    *,
    density: Callable[[Tensor], Tensor] | None = None,
    labels: Sequence[str] | None = None,
    reach: float = 1.5,
    sphere: bool = False,
    limits: Sequence[float] | Sequence[Sequence[float]] | None = None,
    generator: torch.Generator | None = None,
    axes: Any = None,
) -> Any:
    r"""Draw the orbits :math:`\{g x\}` of points of R^2 or R^3, and the points that every g leaves fixed.

    Finite groups: the images as dots, linked by the generators (y to s y) up to 12. One-parameter Lie groups: the
    curve :math:`\exp(t X) x`, once round for compact groups, :math:`|t| \le` ``reach`` for others. Orbits of more
    dimensions: images under random elements. Each orbit has a colour and a marker, its starting point a black rim. For
    linear and affine actions the fixed points are drawn in black (a cross, a line, a grey plane): means of invariant
    laws lie there.

    Args:
        action: On R^2 or R^3, with its centre (and shape) where it has one.
        points: ``[n, 2]`` or ``[n, 3]``, or one point.
        density: An invariant log density, ``[..., 2] -> [...]``, drawn as contours at 0.5, 2 and 4.5 nats below its
            maximum on the grid.
        labels: Names of the coordinates, with units.
        reach: Of the parameter of non-compact groups, and of random elements.
        sphere: Whether to draw the unit sphere (three dimensions).
        limits: ``(low, high)`` of every axis, or one such pair an axis (then units may differ and are not drawn to one
            scale); by default what the orbits need.
        generator: Random state of random elements; a fixed one by default.
        axes: Matplotlib axes to draw in (with ``projection="3d"`` in three dimensions); by default a new figure's.

    Returns:
        The matplotlib figure (not shown; ``figure.savefig(path)`` writes it).

    Raises:
        TypeError: Not an action.
        ValueError: Points that are not of two or three dimensions, contours asked for in three, an action whose centre
            is open.
    """
    from matplotlib.figure import Figure

    x = _points(action, points)
    dim = x.shape[-1]
    if isinstance(action, AffineAction | ConditionalReflection) and not action.is_bound:
        action = action.bind(dim)
    if density is not None and dim != 2:
        raise ValueError("expected density=None, got a density in three dimensions, because contours are of the plane")
    names = _labels(labels, dim)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    orbits = [orbit_of(action, point, reach=reach, generator=generator) for point in x]
    fixed = fixed_points(action, dim)
    with style():
        if axes is None:
            figure = Figure(figsize=(4.4, 4.2), layout="constrained")
            axes = figure.add_subplot(projection="3d") if dim == 3 else figure.add_subplot()
        low, high = _limits(orbits, fixed, limits, sphere)
        if sphere:
            _draw_sphere(axes)
        if density is not None:
            _draw_density(axes, density, low, high)
        if fixed is not None:
            _draw_fixed(axes, *fixed, low, high)
        for k, (point, orbit) in enumerate(zip(x, orbits, strict=True)):
            _draw_orbit(axes, action, point, orbit, METHODS[k % len(METHODS)], _MARKERS[k % len(_MARKERS)])
        _finish(axes, names, low, high)
    return axes.figure


def orbit_of(action: Action, x: Tensor, *, reach: float, generator: torch.Generator) -> Tensor:
    """Points of the orbit of one ``x[d]``, float64: ``[branches, m, d]``, curves where the group has dimension one."""
    group = action.group
    if group.is_finite:
        return action.orbit(x)[None]
    if group.dim != 1:
        if group.is_compact:
            g = group.sample(_CLOUD, dtype=torch.float64, generator=generator)
        else:
            steps = 2 * torch.rand(_CLOUD, group.dim, dtype=torch.float64, generator=generator) - 1
            g = group.exp(reach * steps)
        return action.act(g, x.expand(_CLOUD, -1))[None]
    span = math.pi if group.is_compact else reach
    t = torch.linspace(-span, span, _TURN, dtype=torch.float64)[:, None]
    starts = [x]
    if not group.is_connected:  # the other component's circle, where it is another one
        starts += [y for y in action.act(group.generators(dtype=torch.float64), x) if not torch.allclose(y, x)]
    return torch.stack([action.act(group.exp(t), start.expand(_TURN, -1)) for start in starts])


def fixed_points(action: Action, dim: int) -> tuple[Tensor, Tensor] | None:
    r"""A point ``[d]`` and directions ``[d, k]`` (orthonormal) of :math:`\{x : g x = x\}`; None if empty or not linear.

    The generators' maps are :math:`A x + b`; the equations :math:`(A - 1) x = -b` are solved by least squares.
    """
    if not isinstance(action, LinearAction):
        return None
    generators = action.group.generators(dtype=torch.float64)
    if not len(generators):
        return torch.zeros(dim, dtype=torch.float64), torch.eye(dim, dtype=torch.float64)
    b = action.act(generators, torch.zeros(len(generators), dim, dtype=torch.float64))
    columns = [action.act(generators, e.expand(len(generators), -1)) - b for e in torch.eye(dim, dtype=torch.float64)]
    moved = (torch.stack(columns, -1) - torch.eye(dim, dtype=torch.float64)).reshape(-1, dim)
    point = torch.linalg.lstsq(moved, -b.reshape(-1, 1), driver="gelsd").solution[:, 0]
    if not torch.allclose(moved @ point, -b.reshape(-1), atol=1e-8):
        return None
    _, singular, rows = torch.linalg.svd(moved)
    return point, rows[int((singular > 1e-8).sum()) :].mT


def _points(action: object, points: object) -> Tensor:
    if not isinstance(action, Action):
        raise TypeError(
            f"expected an action, got {type(action).__name__}, because a group alone moves nothing; try "
            "NaturalAction(group) or another action of pyro_symvi.groups"
        )
    rows = [torch.as_tensor(p, dtype=torch.float64) for p in points] if isinstance(points, Sequence) else points
    x = torch.stack(rows) if isinstance(rows, list) and rows else torch.as_tensor(rows, dtype=torch.float64)
    x = x.detach().cpu()
    x = x[None] if x.ndim == 1 else x
    sizes = action.event_shape
    if x.ndim != 2 or not 2 <= x.shape[-1] <= 3 or len(sizes) != 1 or sizes[0] not in (-1, x.shape[-1]):
        wanted = "any size" if sizes == (-1,) else str(list(sizes))
        raise ValueError(
            f"expected points [n, 2] or [n, 3] of an action on R^2 or R^3, got shape {list(x.shape)} and an action on "
            f"points of {wanted}, because orbits are drawn in the plane or in space; try two or three of the "
            "coordinates by themselves"
        )
    if not bool(torch.isfinite(x).all()):
        raise ValueError(f"expected finite points, got {x.tolist()}")
    return x


def _labels(labels: Sequence[str] | None, dim: int) -> list[str]:
    names = [f"$x_{k + 1}$" for k in range(dim)] if labels is None else list(labels)
    if len(names) != dim:
        raise ValueError(f"expected {dim} labels, got {len(names)}, because each axis has one")
    return names


def _limits(
    orbits: list[Tensor],
    fixed: tuple[Tensor, Tensor] | None,
    limits: Sequence[float] | Sequence[Sequence[float]] | None,
    sphere: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """A cube (or square) about all that is drawn."""
    dim = orbits[0].shape[-1]
    if limits is not None:
        given = np.asarray(limits, dtype=np.float64)
        given = np.tile(given, (dim, 1)) if given.shape == (2,) else given
        if given.shape != (dim, 2) or not bool((given[:, 0] < given[:, 1]).all()):
            raise ValueError(
                f"expected limits (low, high) or {dim} such pairs, got {limits!r}, because each axis goes from low to "
                "high; try limits=(-3, 3)"
            )
        return given[:, 0], given[:, 1]
    seen = [orbit.reshape(-1, dim) for orbit in orbits]
    if fixed is not None and fixed[1].shape[-1] == 0:
        seen.append(fixed[0][None])
    if sphere:
        seen.append(torch.stack([-torch.ones(dim), torch.ones(dim)]).double())
    everything = torch.cat(seen).numpy()
    centre = (everything.min(0) + everything.max(0)) / 2
    half = max(0.58 * float((everything.max(0) - everything.min(0)).max()), 1e-3)
    return centre - half, centre + half


def _draw_orbit(axes: Any, action: Action, x: Tensor, orbit: Tensor, colour: str, marker: str) -> None:
    """Dots and links of a finite group, a curve, or a cloud; then the point itself."""
    group = action.group
    if group.is_finite:
        images = torch.unique((orbit[0] * 1e9).round(), dim=0) / 1e9
        if len(images) <= _MOST_LINKED:
            for s in group.generators(dtype=torch.float64):
                for y in images:
                    pair = torch.stack([y, action.act(s, y)]).mT.numpy()
                    axes.plot(*pair, color=colour, lw=0.9, alpha=0.5, zorder=2)
        axes.plot(*images.mT.numpy(), marker, color=colour, ms=6, zorder=3)
    elif group.dim == 1:
        for branch in orbit:
            axes.plot(*branch.mT.numpy(), color=colour, lw=1.8, zorder=2)
    else:
        axes.plot(*orbit[0].mT.numpy(), ".", color=colour, ms=2, alpha=0.6, zorder=2)
    axes.plot(*x[:, None].numpy(), marker, color=colour, ms=9, mec="black", mew=1.4, zorder=4)


def _draw_fixed(axes: Any, point: Tensor, directions: Tensor, low: np.ndarray, high: np.ndarray) -> None:
    """The fixed points: a cross, a line or a pale plane."""
    size, free = float(np.linalg.norm(high - low)), directions.shape[-1]
    middle = torch.from_numpy((low + high) / 2)
    at = point + directions @ (directions.mT @ (middle - point))
    if free == 0:
        axes.plot(*point[:, None].numpy(), "+", color="black", ms=14, mew=2.2, zorder=5)
    elif free == 1:
        ends = torch.stack([at - size * directions[:, 0], at + size * directions[:, 0]]).mT.numpy()
        axes.plot(*_clipped(ends, low, high), color="black", lw=1.6, ls="--", zorder=1)
    elif len(point) == 3 and free == 2:
        across, up = directions.mT.numpy() * size / 3.5
        corners = np.array([at.numpy() + a * across + b * up for a in (-1, 1) for b in (-1, 1)])
        axes.plot_surface(*np.moveaxis(corners.reshape(2, 2, 3), -1, 0), color=PALETTE["faint"], alpha=0.4)


def _clipped(ends: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The part of a segment ``[d, 2]`` inside the box: three-dimensional axes do not clip."""
    start, step = ends[:, 0], ends[:, 1] - ends[:, 0]
    moving = np.abs(step) > 1e-12
    a, b = (low[moving] - start[moving]) / step[moving], (high[moving] - start[moving]) / step[moving]
    first, last = float(np.minimum(a, b).max()), float(np.maximum(a, b).min())
    return np.stack([start + first * step, start + last * step], -1)


def _draw_density(axes: Any, density: Callable[[Tensor], Tensor], low: np.ndarray, high: np.ndarray) -> None:
    across, up = (torch.linspace(float(a), float(b), 121, dtype=torch.float64) for a, b in zip(low, high, strict=True))
    grid = torch.stack(torch.meshgrid(across, up, indexing="xy"), -1)
    values = density(grid.reshape(-1, 2)).detach().reshape(grid.shape[:-1])
    below = (values - values.max()).clamp_min(-1e3).numpy()
    shades = ("#edf3f9", "#d5e2ef", PALETTE["target"])
    axes.contourf(across.numpy(), up.numpy(), below, levels=_LEVELS, colors=shades, zorder=0)


def _draw_sphere(axes: Any) -> None:
    longitude, latitude = np.meshgrid(np.linspace(0, 2 * np.pi, 25), np.linspace(0, np.pi, 13))
    ball = np.sin(latitude) * np.cos(longitude), np.sin(latitude) * np.sin(longitude), np.cos(latitude)
    axes.plot_wireframe(*ball, color=PALETTE["faint"], lw=0.35, alpha=0.8)


def _finish(axes: Any, names: list[str], low: np.ndarray, high: np.ndarray) -> None:
    setters = ("xlim", "ylim", "zlim")[: len(names)]
    for setter, name, a, b in zip(setters, names, low, high, strict=True):
        getattr(axes, f"set_{setter}")(a, b)
        getattr(axes, f"set_{setter[0]}label")(name)
    if len(names) == 3:
        axes.set_box_aspect((1, 1, 1), zoom=0.86)  # room for the labels
        axes.locator_params(nbins=4)
    elif math.isclose(high[0] - low[0], high[1] - low[1]):
        axes.set_aspect("equal")
