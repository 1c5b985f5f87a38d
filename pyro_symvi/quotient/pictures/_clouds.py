"""Small multiples of clouds: molecules and chains from their own point of view, on one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..._figures import FAINT, INK, REFERENCE
from ...groups import PointCloudAction, SpecialEuclidean
from ..metrics import graph_bonds, rmsd_matrix
from ..metrics._checks import mask_of, points
from ._style import ELEMENTS, OTHER

_MOST = 60


def draw_clouds(
    clouds: Tensor,
    edges: Tensor | Sequence[tuple[int, int]] | None = None,
    elements: Sequence[str] | None = None,
    *,
    mask: Tensor | None = None,
    references: Tensor | None = None,
    permutations: Tensor | None = None,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    unit: str = "Å",
    heading: str = "",
) -> Any:
    """Clouds ``[M, N, 3]`` of one molecule or chain side by side, all on one scale, far points paler.

    Each is looked at along its axis of least spread, longest axis from left to right (``canonicalize`` of the rigid
    motions), so that equal shapes look equal whatever their pose; a mirror image has near and far swapped. With
    ``references`` each cloud is laid over the nearest one, in that one's view, and the RMSD stands above it.

    Args:
        clouds: at most 60; a cloud in the plane is drawn as it is up to rotation.
        edges: bonds as edges ``[N, N]`` or pairs; consecutive points are joined where None is given.
        elements: N symbols for colours and sizes; without them points are coloured along the chain, first to last
            from blue to red.
        mask: ``[N]``, True where there is a point.
        references: ``[R, N, 3]``, drawn in light blue behind.
        permutations: ``[A, N]`` automorphisms for the nearest reference, see ``metrics.automorphisms``.
        titles: M short texts.
        columns: panels in a row.
        unit: of the coordinates, for the scale bar and the RMSD.
        heading: above all panels.

    Returns:
        A matplotlib figure (not shown; ``save_figure(figure, path)`` writes it).

    Raises:
        ValueError: for too many clouds, shapes that do not fit, coordinates that are not finite.
    """
    from matplotlib.figure import Figure

    there = _checked(clouds, mask, elements, titles)
    kept = there.nonzero()[:, 0]
    bonds = _bonds(edges, there)
    symbols = None if elements is None else [elements[i] for i in kept.tolist()]
    x = clouds.detach().double().cpu()[:, kept]
    views, ghosts, notes = _views(x, references, permutations, there)
    views = [_solid(view) for view in views]
    ghosts = [None if ghost is None else _solid(ghost) for ghost in ghosts]
    shown = [*views, *(ghost for ghost in ghosts if ghost is not None)]
    radius = 0.55 if symbols is None else 0.4 * max(_look(s)[1] for s in symbols)
    half = [max(float(v[:, k].abs().max()) for v in shown) + radius for k in range(2)]
    half = [max(1.05 * h, 1e-3) for h in half]
    count = len(views)
    across = min(count, columns or max(1, round(math.sqrt(count * 1.6 * half[1] / half[0]))), 8)
    down = -(-count // across)
    width = min(2.6, 13 / across)
    height = width * min(2.0, max(0.35, half[1] / half[0]))
    figure = Figure(figsize=(across * width, down * (height + 0.3) + (0.35 if heading else 0)), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for k, (axis, view, ghost) in enumerate(zip(axes, views, ghosts, strict=False)):
        axis.set_aspect("equal")
        axis.set_xlim(-half[0], half[0])
        axis.set_ylim(-half[1], half[1])
        points_per_unit = 72 * width * 0.9 / (2 * half[0])
        if ghost is not None:
            _draw(axis, ghost, bonds, symbols, points_per_unit, ghostly=True)
        _draw(axis, view, bonds, symbols, points_per_unit, ghostly=False)
        text = "  ".join(part for part in (titles[k] if titles else "", notes[k] and f"{notes[k]} {unit}") if part)
        axis.set_title(text, fontsize=8, color=INK, pad=2)
    _scale_bar(axes[0], half, unit)
    if heading:
        figure.suptitle(heading, fontsize=10, color=INK)
    return figure


def _checked(
    clouds: Tensor, mask: Tensor | None, elements: Sequence[str] | None, titles: Sequence[str] | None
) -> Tensor:
    if points(clouds, "clouds", dims=(2, 3)).ndim != 3 or not 0 < len(clouds) <= _MOST:
        raise ValueError(f"expected 1 to {_MOST} clouds [M, N, 3], got {list(clouds.shape)}; try clouds[:{_MOST}]")
    there = mask_of(mask, clouds).cpu()
    if there.ndim != 1:
        raise ValueError(f"expected a mask [N], got {list(there.shape)}; try one molecule a figure")
    if elements is not None and len(elements) != clouds.shape[1]:
        raise ValueError(f"expected {clouds.shape[1]} elements, one a point, got {len(elements)}")
    if titles is not None and len(titles) != len(clouds):
        raise ValueError(f"expected {len(clouds)} titles, one a cloud, got {len(titles)}")
    return there


def _bonds(edges: Tensor | Sequence[tuple[int, int]] | None, there: Tensor) -> list[tuple[int, int]]:
    """Pairs among the points that are there, in their numbering."""
    kept = there.nonzero()[:, 0].tolist()
    place = {point: k for k, point in enumerate(kept)}
    if edges is None:
        return [(k, k + 1) for k in range(len(kept) - 1)]
    if isinstance(edges, Tensor) and edges.ndim == 2 and edges.shape[0] == edges.shape[1] == len(there):
        edges = graph_bonds(edges.cpu()).tolist()
    pairs = [(int(i), int(j)) for i, j in edges]
    if any(not (0 <= i < len(there) and 0 <= j < len(there)) for i, j in pairs):
        raise ValueError(f"expected bonds between points 0..{len(there) - 1}, got {pairs}")
    return [(place[i], place[j]) for i, j in pairs if i in place and j in place]


def _views(
    x: Tensor, references: Tensor | None, permutations: Tensor | None, there: Tensor
) -> tuple[list[Tensor], list[Tensor | None], list[str]]:
    """Each cloud in its own view or in that of its nearest reference, that reference, and the distance."""
    action = PointCloudAction(SpecialEuclidean(x.shape[-1]))
    if references is None:
        return list(action.canonicalize(x)[0]), [None] * len(x), [""] * len(x)
    full = points(references, "references", dims=(x.shape[-1],)).detach().double().cpu()
    if full.ndim != 3 or full.shape[1] != len(there):
        raise ValueError(f"expected references [R, {len(there)}, {x.shape[-1]}], got {list(full.shape)}")
    kept = there.nonzero()[:, 0]
    place = torch.full((len(there),), -1)
    place[kept] = torch.arange(len(kept))
    orders = torch.arange(len(kept))[None] if permutations is None else permutations.cpu()
    if orders.shape[-1] == len(there) != len(kept):
        orders = place[orders[:, kept]]
    full = full[:, kept]
    nearest = rmsd_matrix(x, full, orders).min(-1)
    views: list[Tensor] = []
    ghosts: list[Tensor | None] = []
    for cloud, which in zip(x, nearest.indices.tolist(), strict=True):
        copies = full[which][orders]
        best = int(action.distance(cloud, copies).argmin())
        ghost = action.canonicalize(copies[best])[0]
        ghosts.append(ghost)
        views.append(action.act(action.align(cloud, ghost), cloud))
    return views, ghosts, [f"{value:.2f}" for value in nearest.values.tolist()]


def _solid(view: Tensor) -> Tensor:
    """Three coordinates, the third towards the reader."""
    return view if view.shape[-1] == 3 else torch.nn.functional.pad(view, (0, 1))


def _draw(
    axis: Any,
    view: Tensor,
    bonds: list[tuple[int, int]],
    symbols: list[str] | None,
    points_per_unit: float,
    *,
    ghostly: bool,
) -> None:
    """Bonds and points from far to near; each bond in two halves, a white rim where one passes before another."""
    from matplotlib.patches import Circle

    depth = view[:, 2]
    span = float(depth.max() - depth.min())
    near = (depth - depth.min()) / span if span > 1e-9 else torch.ones_like(depth)
    looks = _looks(symbols, len(view))
    base = 0.0 if ghostly else 1000.0
    trace = symbols is None and len(view) > 12
    stroke = min(max(points_per_unit * 0.16, 2.4 if trace else 1.0), 9.0)
    for i, j in bonds:
        middle = (view[i] + view[j]) / 2
        for end, k in ((view[i], i), (view[j], j)):
            rank = base + 100 * float(near[k]) - (0 if trace else 0.2)  # just behind its own point
            if not ghostly:
                rim = torch.stack([0.6 * end + 0.4 * middle, middle])
                axis.plot(
                    *rim[:, :2].mT.tolist(), color="white", lw=stroke + 1.6, solid_capstyle="butt", zorder=rank - 0.1
                )
            colour = REFERENCE if ghostly else _faded("#8a8a8a" if looks[k][0] == "#ffffff" else looks[k][0], near[k])
            axis.plot(
                *torch.stack([end, middle])[:, :2].mT.tolist(),
                color=colour,
                lw=stroke * (1.5 if ghostly else 1),
                solid_capstyle="round",
                zorder=rank,
                clip_on=False,
            )
    if trace:
        return
    for k, (colour, size) in enumerate(looks):
        axis.add_patch(
            Circle(
                (float(view[k, 0]), float(view[k, 1])),
                size * (1.15 if ghostly else 1),
                facecolor=REFERENCE if ghostly else _faded(colour, near[k]),
                edgecolor=REFERENCE if ghostly else _faded("#404040", near[k]),
                lw=0.5,
                zorder=base + 100 * float(near[k]),
                clip_on=False,
            )
        )


def _looks(symbols: list[str] | None, count: int) -> list[tuple[str, float]]:
    """Colour and radius of each point."""
    if symbols is not None:
        return [(_look(s)[0], 0.4 * _look(s)[1]) for s in symbols]
    import matplotlib
    from matplotlib.colors import to_hex

    ramp = matplotlib.colormaps["turbo"]
    return [(to_hex(ramp(0.08 + 0.84 * k / max(count - 1, 1))), 0.22) for k in range(count)]


def _look(symbol: str) -> tuple[str, float]:
    return ELEMENTS.get(symbol.capitalize(), OTHER)


def _faded(colour: str, near: Tensor) -> tuple[float, float, float]:
    """Mixed with white by up to half at the far end."""
    from matplotlib.colors import to_rgb

    share = 0.5 * (1 - float(near))
    red, green, blue = (channel * (1 - share) + share for channel in to_rgb(colour))
    return red, green, blue


def _scale_bar(axis: Any, half: list[float], unit: str) -> None:
    """A round length in the lower left corner."""
    raw = half[0] / 2
    power = 10.0 ** math.floor(math.log10(raw))
    length = max(step * power for step in (1, 2, 5) if step * power <= raw)
    left, low = -half[0] * 0.97, -half[1] * 0.97
    axis.plot([left, left + length], [low, low], color=INK, lw=1.5, solid_capstyle="butt", zorder=5000)
    axis.annotate(
        f"{length:g} {unit}", (left + length / 2, low), (0, 2), textcoords="offset points", ha="center", fontsize=7
    )
    axis.texts[-1].set_color(INK)
    axis.lines[-1].set_clip_on(False)
    axis.spines[:].set_color(FAINT)
