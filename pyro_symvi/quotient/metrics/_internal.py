"""Internal coordinates: what no rigid motion changes. Batched, in the units of the data, angles in radians."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ._checks import mask_of, points, rows

Rows = Tensor | Sequence[Sequence[int]]


def bond_lengths(x: Tensor, bonds: Rows, mask: Tensor | None = None) -> Tensor:
    """Distances |x_i - x_j| ``[*batch, B]`` for clouds ``[*batch, N, d]`` and bonds ``[B, 2]``, in units of x.

    Args:
        x: clouds.
        bonds: point numbers (i, j); ``graph_bonds(edges)`` lists those of a graph.
        mask: ``[N]`` or ``[*batch, N]``, True where there is a point.

    Raises:
        ValueError: for coordinates that are not finite, for numbers out of range, for masked points.
    """
    index = rows(bonds, 2, points(x, "x", least=2), mask, "bonds")
    i, j = x.double()[..., index, :].unbind(-2)
    return (i - j).norm(dim=-1).to(x.dtype)


def bond_angles(x: Tensor, angles: Rows, mask: Tensor | None = None) -> Tensor:
    """Angles at the middle point j of (i, j, k), ``[*batch, A]`` in radians, 0..pi.

    2 atan2(|u/|u| - v/|v||, |u/|u| + v/|v||) with u = x_i - x_j, v = x_k - x_j: accurate also near 0 and pi, in any
    dimension of space. nan where u or v is zero.

    Source: Kahan, How futile are mindless assessments of roundoff in floating-point computation? (2006), section 12.
    """
    index = rows(angles, 3, points(x, "x", least=3), mask, "angles")
    i, j, k = x.double()[..., index, :].unbind(-2)
    u, v = i - j, k - j
    u, v = u / u.norm(dim=-1, keepdim=True), v / v.norm(dim=-1, keepdim=True)
    return (2 * torch.atan2((u - v).norm(dim=-1), (u + v).norm(dim=-1))).to(x.dtype)


def torsions(x: Tensor, quadruples: Rows, mask: Tensor | None = None) -> Tensor:
    """Torsion (dihedral) angles of (i, j, k, l) about the bond j-k, ``[*batch, T]`` in radians, -pi..pi.

    Sign after IUPAC: looking from j to k, positive where the bond k-l lies clockwise of i-j; 0 is cis (eclipsed),
    pi trans. With b1 = x_j - x_i, b2 = x_k - x_j, b3 = x_l - x_k: atan2(|b2| b1.(b2 x b3), (b1 x b2).(b2 x b3)).

    **Undefined** (nan, for ``defined`` to count) where i, j, k or j, k, l lie on a line up to rounding, that is where
    the sine of a bond angle is below the square root of the dtype's epsilon: 3e-4 in float32, 1.5e-8 in float64.

    >>> x = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1]])
    >>> torsions(torch.stack([x, x * torch.tensor([1.0, -1, 1])]), [[0, 1, 2, 3]]).rad2deg().tolist()
    [[90.0], [-90.0]]

    Source: IUPAC, Compendium of Chemical Terminology, "torsion angle"; Blondel and Karplus, J. Comput. Chem. 17
    (1996) 1132 for the formula.
    """
    index = rows(quadruples, 4, points(x, "x", least=4, dims=(3,)), mask, "quadruples")
    i, j, k, l = x.double()[..., index, :].unbind(-2)
    b1, b2, b3 = j - i, k - j, l - k
    n1, n2 = torch.linalg.cross(b1, b2), torch.linalg.cross(b2, b3)
    size1, size2, size3 = (b.norm(dim=-1) for b in (b1, b2, b3))
    angle = torch.atan2(size2 * (b1 * n2).sum(-1), (n1 * n2).sum(-1))
    floor = math.sqrt(torch.finfo(x.dtype).eps)
    straight = (n1.norm(dim=-1) <= floor * size1 * size2) | (n2.norm(dim=-1) <= floor * size2 * size3)
    return torch.where(straight, math.nan, angle).to(x.dtype)


def radius_of_gyration(x: Tensor, mask: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
    """Root of sum_n w_n |x_n - c|^2 / sum_n w_n about the weighted mean c, ``[*batch]`` in units of x.

    ``weights`` ``[N]`` or ``[*batch, N]`` (masses) are 1 unless given; masked points have weight 0.

    Raises:
        ValueError: for weights that are negative, not finite, or zero for a whole cloud.
    """
    w = mask_of(mask, points(x, "x")).double()
    if weights is not None:
        if not bool((torch.isfinite(weights) & (weights >= 0)).all()):
            raise ValueError("expected finite non-negative weights, got others")
        w = w * weights.to(w)
    total = w.sum(-1, keepdim=True)
    if not bool((total > 0).all()):
        raise ValueError("expected a positive total weight in each cloud, got 0; try to drop those clouds")
    w = (w / total)[..., None]
    wide = x.double()
    return ((wide - (w * wide).sum(-2, keepdim=True)).square() * w).sum((-2, -1)).sqrt().to(x.dtype)


def pairwise_distances(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Distances of all pairs i < j of points, ``[*batch, P]`` in the order (0, 1), (0, 2), ..., in units of x.

    ``mask`` is ``[N]``, the same for all clouds, since others have other pairs.

    Raises:
        ValueError: unless the mask is ``[N]``.
    """
    there = mask_of(mask, points(x, "x", least=2))
    if there.ndim > 1:
        raise ValueError(f"expected a mask [N], got {list(there.shape)}, because other points make other pairs")
    kept = x.double()[..., there, :]
    i, j = torch.triu_indices(kept.shape[-2], kept.shape[-2], offset=1, device=x.device)
    return (kept[..., i, :] - kept[..., j, :]).norm(dim=-1).to(x.dtype)


def signed_volumes(x: Tensor, quadruples: Rows, mask: Tensor | None = None) -> Tensor:
    """Signed volumes of tetrahedra (i, j, k, l), (x_j - x_i).((x_k - x_i) x (x_l - x_i)) / 6, ``[*batch, V]``.

    In cubic units of x. A mirror image changes the sign, no rotation does: distances alone do not see chirality.
    """
    index = rows(quadruples, 4, points(x, "x", least=4, dims=(3,)), mask, "quadruples")
    i, j, k, l = x.double()[..., index, :].unbind(-2)
    return ((j - i) * torch.linalg.cross(k - i, l - i)).sum(-1).div(6).to(x.dtype)


def chirality(x: Tensor, quadruples: Rows, mask: Tensor | None = None, *, flat: float = 0.05) -> Tensor:
    """+1 or -1, the sign of ``signed_volumes``, or 0 where the tetrahedron is flat; int64 ``[*batch, V]``.

    Flat: 6 |volume| <= ``flat`` times the product of the lengths of the edges from i. Three neighbours j, k, l of
    a tetrahedral centre i have 0.77, four corners of a regular tetrahedron 0.71, a planar centre 0.

    Raises:
        ValueError: unless ``flat`` is in [0, 1).
    """
    if not 0 <= flat < 1:
        raise ValueError(f"expected flat in [0, 1), got {flat!r}")
    volume = 6 * signed_volumes(x, quadruples, mask).double()
    index = rows(quadruples, 4, x, mask, "quadruples")
    corners = x.double()[..., index, :]
    sizes = (corners[..., 1:, :] - corners[..., :1, :]).norm(dim=-1).prod(-1)
    return torch.where(volume.abs() > flat * sizes, volume.sign(), 0.0).long()


def graph_bonds(edges: Tensor) -> Tensor:
    """The bonds (i, j), i < j, of symmetric edges ``[N, N]`` with 0 for none: ``[B, 2]``.

    Raises:
        ValueError: unless the edges are symmetric and ``[N, N]``.
    """
    if edges.ndim != 2 or edges.shape[0] != edges.shape[1] or not torch.equal(edges, edges.mT):
        raise ValueError(f"expected symmetric edges [N, N] of one graph, got {list(edges.shape)}")
    return torch.triu(edges != 0, diagonal=1).nonzero()


def graph_angles(edges: Tensor) -> Tensor:
    """The angles (i, j, k), i < k, between bonds of a graph: ``[A, 3]``."""
    near = _neighbours(edges)
    found = [(i, j, k) for j, around in enumerate(near) for i in around for k in around if i < k]
    return torch.tensor(found, dtype=torch.int64).reshape(-1, 3)


def graph_torsions(edges: Tensor, *, every: bool = False) -> Tensor:
    """The torsions (i, j, k, l), j < k, of a graph: ``[T, 4]``; one for each central bond unless ``every`` is wanted.

    The one is of the neighbours of lowest number, so that it is the same for each conformer.
    """
    near, found = _neighbours(edges), []
    for j, k in graph_bonds(edges).tolist():
        here = [(i, j, k, l) for i in near[j] for l in near[k] if len({i, j, k, l}) == 4]
        found += here if every else here[:1]
    return torch.tensor(found, dtype=torch.int64).reshape(-1, 4)


def defined(values: Tensor) -> tuple[Tensor, float]:
    """The finite entries of ``values``, ``[...]``, flat, and the share of undefined ones, which belongs in reports."""
    kept = torch.isfinite(values)
    return values[kept], float((~kept).double().mean()) if values.numel() else 0.0


def _neighbours(edges: Tensor) -> list[list[int]]:
    near: list[list[int]] = [[] for _ in range(len(edges))]
    for i, j in graph_bonds(edges).tolist():
        near[i].append(j)
        near[j].append(i)
    return [sorted(around) for around in near]
