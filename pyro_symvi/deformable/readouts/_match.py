"""Where the places of one image lie in another, or in the same image after a symmetry."""

from __future__ import annotations

import torch
from torch import Tensor

from .._points import grid_points, half_sizes, values_at
from ..symmetry import FrameSymmetry

_LOGITS = 2**23
"""Logits held at once."""

_OFFSETS = torch.tensor([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)])
"""Rows and columns of the nine cells about a cell."""


def match(
    first: Tensor, second: Tensor, matrix: Tensor | None = None, points: Tensor | None = None, *, refine: bool = True
) -> Tensor:
    """v(u) = argmax_v <A Phi(u; I), Phi(v; I')>: points ``[B, N, 2]`` of the second image.

    The argmax runs over the cells of the second frame. ``refine`` then puts the point at the summit of the quadratic
    fitted by least squares to the nine inner products about the best cell, at most one cell away in x and in y. Near
    the right place <A Phi(u), Phi(v)> = const - ||A Phi(u) - Phi(v)||^2 / 2 for frames of one length, so that the
    summit is exact for a frame that is affine in v, and of second order in the size of a cell for a smooth one.
    Next to the border and to hidden cells each coordinate is refined by a parabola where it has both neighbours, and
    left at the centre of the cell where it has not.

    Frames are compared as they are, as the losses do: a longer vector draws more matches. Divide by the length first
    for frames whose length means nothing.

    Args:
        first: frames ``[B, D, h, w]`` of the images I; nan where there is nothing to compare.
        second: frames ``[B, D, h', w']`` of the images I'; cells with nan are never found.
        matrix: A, ``[D, D]`` or ``[B, D, D]``; None for the identity.
        points: the points u, ``[B, N, 2]`` or ``[N, 2]``, Phi interpolated; None for the centres of all cells, row by
            row. Points in a cell that is nan, or nan themselves, are found nowhere: nan.
        refine: False for centres of cells.

    Raises:
        ValueError: for shapes that do not belong together.
    """
    _check(first, second, matrix, points)
    sources = first.flatten(2).mT if points is None else frames_at(first, points)
    if matrix is not None:
        sources = sources @ matrix.to(sources).mT
    batch, count = sources.shape[:2]
    size = max(1, _LOGITS // max(1, count * second.shape[-1] * second.shape[-2]))
    parts = [_best(sources[k : k + size], second[k : k + size], refine) for k in range(0, batch, size)]
    return torch.cat(parts) if parts else sources.new_zeros(batch, count, 2)


def partners(
    frames: Tensor,
    symmetry: FrameSymmetry,
    element: int = 1,
    matrix: Tensor | None = None,
    points: Tensor | None = None,
    *,
    refine: bool = True,
) -> Tensor:
    """The partner of each place in its own image, argmax_v <R_g Phi(u; I), Phi(v; I)>: ``[B, N, 2]``.

    For a bilateral symmetry the left eye of a face goes to its right eye, wherever the pose has put them.

    Args:
        frames: ``[B, D, h, w]``.
        symmetry: whose R_g.
        element: number of g in ``symmetry.group.elements()``.
        matrix: another map in the place of R_g, say one that was fitted to frames trained without the symmetry.
        points: as in :func:`match`.
        refine: as in :func:`match`.
    """
    return match(frames, frames, frame_map(frames, symmetry, element, matrix), points, refine=refine)


def frame_map(frames: Tensor, symmetry: FrameSymmetry, element: int, matrix: Tensor | None = None) -> Tensor:
    """R_g for frames ``[B, D, h, w]``, or ``matrix`` in its place; checked."""
    if frames.ndim != 4:
        raise ValueError(f"expected frames [B, D, h, w], got {list(frames.shape)}")
    if matrix is not None:
        return matrix
    if frames.shape[1] != symmetry.dim:
        raise ValueError(
            f"expected frames of dimension {symmetry.dim}, got {frames.shape[1]}, because {symmetry!r} acts on them"
        )
    if not 0 <= element < symmetry.order:
        raise ValueError(f"expected an element from 0 to {symmetry.order - 1} of {symmetry!r}, got {element}")
    return symmetry.frame_matrices(like=frames)[element]


def frames_at(frames: Tensor, points: Tensor) -> Tensor:
    """Interpolated vectors ``[B, N, D]``, from the cells that have one; nan where the nearest has none."""
    points = points.to(frames).expand(len(frames), *points.shape[-2:])
    known = ~torch.isnan(frames).any(1, keepdim=True)
    asked = ~torch.isnan(points).any(-1)
    if bool(known.all()) and bool(asked.all()):
        return values_at(frames, points).mT
    inside = points.nan_to_num()
    there = known.to(frames)
    found = values_at(torch.where(known, frames, 0.0), inside) / values_at(there, inside).clamp_min(1e-9)
    near = values_at(there, inside, mode="nearest")[:, 0] > 0.5
    return torch.where((near & asked)[:, None], found, torch.nan).mT


def _best(sources: Tensor, second: Tensor, refine: bool) -> Tensor:
    height, width = second.shape[-2:]
    cells, asked = second.flatten(2), ~torch.isnan(sources).any(-1)
    known = ~torch.isnan(cells).any(1, keepdim=True)
    logits = sources.nan_to_num(0.0) @ cells.nan_to_num(0.0)
    if not bool(known.all()):
        logits = logits.masked_fill_(~known, -torch.inf)
    cell = logits.max(-1).indices
    centres = grid_points(height, width, like=sources)[cell]
    if refine:
        step = _summit(_neighbours(logits, cell, height, width))
        centres = centres + step / half_sizes(height, width, like=sources)
    return torch.where((asked & known.any(-1))[..., None], centres, torch.nan)


def _neighbours(logits: Tensor, cell: Tensor, height: int, width: int) -> Tensor:
    """The nine logits about each best cell, row by row, ``[B, N, 9]``; nan where there is no cell or none to find."""
    offsets = _OFFSETS.to(cell.device)
    rows = (cell // width)[..., None] + offsets[:, 0]
    columns = (cell % width)[..., None] + offsets[:, 1]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    values = logits.gather(-1, rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1))
    return torch.where(inside & torch.isfinite(values), values, torch.nan)


def _summit(values: Tensor) -> Tensor:
    """Steps (x, y) in cells, ``[..., 2]``, from the middle of 3 x 3 values ``[..., 9]`` to the quadratic's summit."""
    grid = values.unflatten(-1, (3, 3))
    column, row = grid.mean(-2), grid.mean(-1)  # of least squares: means over the other coordinate
    slope = torch.stack([column[..., 2] - column[..., 0], row[..., 2] - row[..., 0]], -1) / 2
    bend = torch.stack([_second(column), _second(row)], -1)
    cross = (grid[..., 2, 2] + grid[..., 0, 0] - grid[..., 0, 2] - grid[..., 2, 0]) / 4
    det = bend.prod(-1) - cross.square()
    full = torch.stack(
        [cross * slope[..., 1] - bend[..., 1] * slope[..., 0], cross * slope[..., 0] - bend[..., 0] * slope[..., 1]], -1
    )
    alone = torch.stack([_parabola(grid[..., 1, :]), _parabola(grid[..., :, 1])], -1)
    concave = (bend[..., 0] < 0) & (det > 1e-12 * bend.square().sum(-1))
    step = torch.where(concave[..., None], full / torch.where(concave, det, 1.0)[..., None], alone)
    return step.nan_to_num(0.0).clamp(-1, 1)


def _parabola(line: Tensor) -> Tensor:
    bend = _second(line)
    return torch.where(bend < 0, (line[..., 0] - line[..., 2]) / (2 * bend), 0.0)


def _second(line: Tensor) -> Tensor:
    return line[..., 2] - 2 * line[..., 1] + line[..., 0]


def _check(first: Tensor, second: Tensor, matrix: Tensor | None, points: Tensor | None) -> None:
    if first.ndim != 4 or second.ndim != 4 or first.shape[:2] != second.shape[:2]:
        raise ValueError(
            f"expected two frames [B, D, h, w] of one batch and dimension, got {list(first.shape)} and "
            f"{list(second.shape)}"
        )
    batch, dim = first.shape[:2]
    if matrix is not None and tuple(matrix.shape) not in ((dim, dim), (batch, dim, dim)):
        raise ValueError(f"expected a matrix [{dim}, {dim}] or [{batch}, {dim}, {dim}], got {list(matrix.shape)}")
    if points is not None and (
        points.ndim not in (2, 3) or points.shape[-1] != 2 or (points.ndim == 3 and len(points) != batch)
    ):
        raise ValueError(f"expected points [N, 2] or [{batch}, N, 2], got {list(points.shape)}")
