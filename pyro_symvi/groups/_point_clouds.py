"""Rotations and rigid motions of point clouds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._action import Action
from ._noncompact import SpecialEuclidean
from ._orthogonal import Orthogonal
from ._rotation_maps import procrustes
from ._special_orthogonal import SpecialOrthogonal

CloudGroup = Orthogonal | SpecialOrthogonal | SpecialEuclidean


@dataclass(frozen=True, eq=False, repr=False)
class PointCloudAction(Action):
    """A group moving all points of a cloud ``[..., N, d]`` alike: x_n -> R x_n, or R x_n + t for SE(d).

    ``weights`` (``[N]``, or with batch dimensions of the clouds) are masses, the metric being sum_n w_n |v_n|^2;
    points of weight 0 are padding: moved with the rest, ignored otherwise, and zero in projections and curvature.
    Under SE(d) clouds are centred on the way; under SO(d) and O(d) the origin stays where it is.

    Closed forms, with S = sum w x x^T of eigenvalues l_1..l_d, in float64 whatever the dtype of x, per cloud O(N):
    horizontal part v - X A where S A + A S = X^T W v - v^T W X; log volume 1/2 sum_{i<j} log(l_i + l_j);
    H = -sum_i (X q_i) q_i^T sum_{j != i} 1/(l_i + l_j). Pairs with l_i + l_j = 0 up to rounding are left out, which
    is right for collinear clouds: no rotation of the cloud belongs to them. For d = 3 this is the inertia tensor's
    (tr K^-1 - K^-1) x. Nearly straight clouds go through a singular value decomposition.

    Raises:
        TypeError: for anything but O(d), SO(d) or SE(d).
        ValueError: for weights that are negative, not finite, or zero for a whole cloud.
    """

    motions: CloudGroup
    weights: Tensor | Sequence[float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.motions, Orthogonal | SpecialOrthogonal | SpecialEuclidean):
            raise TypeError(
                f"expected Orthogonal(d), SpecialOrthogonal(d) or SpecialEuclidean(d), got {self.motions!r}; "
                "try SpecialEuclidean(3)"
            )
        if self.weights is not None:
            weights = torch.as_tensor(self.weights)
            weights = (weights if weights.is_floating_point() else weights.double()).clone()
            if weights.ndim < 1 or not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()):
                raise ValueError(f"expected finite non-negative weights [..., N], got {weights.tolist()}")
            if not bool((weights.sum(-1) > 0).all()):
                raise ValueError("expected a positive total weight in each cloud, got 0; try to drop empty clouds")
            object.__setattr__(self, "weights", weights)

    @property
    def group(self) -> CloudGroup:
        return self.motions

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.weights.shape[-1] if isinstance(self.weights, Tensor) else -1, self.motions.n)

    @property
    def centred(self) -> bool:
        """Whether translations belong to the group."""
        return isinstance(self.motions, SpecialEuclidean)

    # -- moving --------------------------------------------------------------------------------------------------
    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        d = self.motions.n
        turned = x @ g[..., :d].mT
        return turned + g[..., None, :, d] if self.centred else turned

    def centre(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The cloud about its weighted mean, and the mean: ``[*batch, N, d]``, ``[*batch, d]``."""
        mean = self._mean(x)
        return x - mean[..., None, :], mean

    # -- orbits as manifolds ---------------------------------------------------------------------------------------
    def _gram(self, x: Tensor) -> Tensor:
        basis = self._vertical_basis(x) * self._column(x).sqrt()[..., None]
        flat = basis.flatten(-3, -2)
        return flat.mT @ flat

    def _project(self, x: Tensor, v: Tensor) -> Tensor:
        wide, velocity = self._prepared(x), v.double()
        if self.centred:
            velocity = velocity - self._mean(velocity)[..., None, :]
        weighted = self._weigh(wide)
        rule, bad = _spin_rule(weighted.mT @ wide)
        sums = weighted.mT @ velocity
        result = velocity - wide @ (rule @ sums.flatten(-2)[..., None]).reshape(sums.shape)
        if bool(bad.any()):
            result = torch.where(bad[..., None, None], self._project_carefully(x, wide, velocity, bad), result)
        return self._unpadded(result.to(v.dtype))

    def _project_carefully(self, x: Tensor, wide: Tensor, velocity: Tensor, bad: Tensor) -> Tensor:
        """The projection of clouds that are ``bad``, too straight for normal equations; v elsewhere."""
        root = self._column(wide).sqrt()
        shape = torch.broadcast_shapes(wide.shape, velocity.shape)
        chosen = bad.expand(shape[:-2])
        column = root.expand(*shape[:-1], 1)[chosen] if self.centred else None
        vertical = velocity.new_zeros(shape)
        vertical[chosen] = _vertical_part(
            (wide * root).expand(shape)[chosen], (velocity * root).expand(shape)[chosen], self._floor(x), column
        )
        return velocity - vertical / torch.where(root > 0, root, 1.0)

    def _log_orbit_volume(self, x: Tensor) -> Tensor:
        wide = self._prepared(x)
        values = torch.linalg.eigvalsh(self._weigh(wide).mT @ wide)
        i, j = torch.triu_indices(self.motions.n, self.motions.n, offset=1, device=x.device)
        sums = values[..., i] + values[..., j]
        kept = sums > max(self._floor(x), 100 * torch.finfo(torch.float64).eps) * values.sum(-1, keepdim=True)
        return (torch.where(kept, torch.where(kept, sums, 1.0).log(), 0.0).sum(-1) / 2).to(x.dtype)

    def _mean_curvature(self, x: Tensor) -> Tensor:
        wide = self._prepared(x)
        rates, bad = _inverse_inertia_sums(self._weigh(wide).mT @ wide)
        result = -wide @ rates
        if bool(bad.any()):
            root = self._column(wide).sqrt()
            wide = wide.expand(result.shape)
            chosen = bad.expand(wide.shape[:-2])
            column = root.expand(*wide.shape[:-1], 1)[chosen] if self.centred else None
            careful = torch.zeros_like(wide)
            careful[chosen] = _curvature((wide * root)[chosen], self._floor(x), column)
            careful = careful / torch.where(root > 0, root, 1.0)
            result = torch.where(bad[..., None, None], careful, result)
        return self._unpadded(result.to(x.dtype))

    # -- canonical forms -------------------------------------------------------------------------------------------
    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Principal axes in the order of decreasing spread, each pointing to where sum w (q . x)^3 > 0.

        For proper groups the last axis follows from the others. Centred under SE(d). Not continuous where
        eigenvalues or skewness vanish (a symmetric cloud); there, compare clouds by ``distance``.
        """
        centred, mean = self.centre(x) if self.centred else (x, None)
        w = self._column(x)
        _, axes = torch.linalg.eigh((centred * w).mT @ centred)
        axes = axes.flip(-1)
        skew = (w * (centred @ axes) ** 3).sum(-2)
        axes = axes * torch.where(skew < 0, -1.0, 1.0).to(x.dtype)[..., None, :]
        if not isinstance(self.motions, Orthogonal):
            sign = torch.linalg.det(axes).sign()[..., None, None]
            axes = torch.cat([axes[..., :-1], axes[..., -1:] * sign], -1)
        g = axes.mT
        if mean is not None:
            g = torch.cat([g, -(g @ mean[..., None])], -1)
        return self._act(g, x), g

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        """Kabsch alignment: the motion of x closest to y in the weighted metric."""
        w = self._column(x)
        if not self.centred:
            return procrustes((y * w).mT @ x, proper=not isinstance(self.motions, Orthogonal))
        (a, start), (b, end) = self.centre(x), self.centre(y)
        turn = procrustes((b * w).mT @ a, proper=True)
        return torch.cat([turn, (end - (turn @ start[..., None])[..., 0])[..., None]], -1)

    # -- helpers ---------------------------------------------------------------------------------------------------
    def _column(self, x: Tensor) -> Tensor:
        """Weights as ``[..., N, 1]`` in the dtype of x."""
        if not isinstance(self.weights, Tensor):
            return x.new_ones(1, 1)
        return self.weights.to(x)[..., None]

    def _weigh(self, x: Tensor) -> Tensor:
        return x if self.weights is None else x * self._column(x)

    def _mean(self, x: Tensor) -> Tensor:
        if self.weights is None:
            return x.mean(-2)
        w = self._column(x)
        return (w * x).sum(-2) / w.sum(-2)

    def _unpadded(self, x: Tensor) -> Tensor:
        return x if self.weights is None else torch.where(self._column(x) > 0, x, 0.0)

    def _prepared(self, x: Tensor) -> Tensor:
        return self.centre(x.double())[0] if self.centred else x.double()

    def _floor(self, x: Tensor) -> float:
        """Relative size below which a moment of inertia is rounding: the square of that of an extent."""
        return (10 * torch.finfo(x.dtype).eps) ** 2

    def _norm(self, v: Tensor) -> Tensor:
        return self._weigh(v.square()).sum((-2, -1)).sqrt()


def _spin_rule(scatter: Tensor) -> tuple[Tensor, Tensor]:
    """What makes of sums over points Y = X^T W v the vertical part X A of v: vec A = R vec Y, and which clouds are
    too straight for this route.

    A is antisymmetric with S A + A S = Y - Y^T. d = 2 is a division; d = 3 solves K w = L with K = tr S - S, L and w
    the vectors of Y - Y^T and -A; beyond, no route. R, ``[*batch, d^2, d^2]``, depends on x alone, so that a gradient
    in v passes through few operations.
    """
    d = scatter.shape[-1]
    if d == 2:
        total = scatter.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None]
        inverse = torch.where(total > 0, 1 / torch.where(total > 0, total, 1.0), 0.0)
        bad = torch.zeros((), dtype=torch.bool, device=scatter.device)
    elif d == 3:
        adjugate, determinant, bad = _inertia(scatter)
        inverse = adjugate.flatten(-2) / determinant[..., None]
    else:
        bad = torch.ones(scatter.shape[:-2], dtype=torch.bool, device=scatter.device)
        return scatter.new_zeros(*scatter.shape[:-2], d * d, d * d), bad
    return (inverse @ _RULES[d].to(scatter)).unflatten(-1, (d * d, d * d)), bad


def _make_rule(planes: list[tuple[int, int]], d: int) -> Tensor:
    """R = E^T K^-1 E as a linear function of the entries of K^-1; E takes a matrix to the vector of its antisymmetric
    part, entries i, j of ``planes``."""
    turns = torch.zeros(len(planes), d * d, dtype=torch.float64)
    for k, (i, j) in enumerate(planes):
        turns[k, d * i + j], turns[k, d * j + i] = 1.0, -1.0
    return torch.einsum("ia,jb->ijab", turns, turns).reshape(len(planes) ** 2, d**4)


def _make_factors() -> Tensor:
    """Entries of K = tr S - S in the order in which adj K multiplies them, 4 x 9, its first row and tr S, from S."""
    i, j = torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")
    i1, i2, j1, j2 = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
    entries = torch.stack([3 * j1 + i1, 3 * j2 + i2, 3 * j1 + i2, 3 * j2 + i1]).flatten()
    identity = torch.eye(3, dtype=torch.float64).reshape(9, 1)
    inertia = identity @ identity.mT - torch.eye(9, dtype=torch.float64)
    return torch.cat([inertia[:, entries], inertia[:, :3], identity], 1)


_RULES = {2: _make_rule([(0, 1)], 2), 3: _make_rule([(1, 2), (2, 0), (0, 1)], 3)}
_FACTORS = _make_factors()


def _inverse_inertia_sums(scatter: Tensor) -> tuple[Tensor, Tensor]:
    """The matrix with eigenvectors of S and eigenvalues sum_{j != i} 1/(l_i + l_j), and which clouds need another
    route: 1/tr S for d = 2, tr K^-1 - K^-1 with K = tr S - S for d = 3; beyond, no route."""
    d = scatter.shape[-1]
    eye = torch.eye(d, dtype=scatter.dtype, device=scatter.device)
    if d == 2:
        total = scatter.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
        return eye * torch.where(total > 0, 1 / torch.where(total > 0, total, 1.0), 0.0), torch.zeros(
            (), dtype=torch.bool
        )
    if d != 3:
        return torch.zeros_like(scatter), torch.ones(scatter.shape[:-2], dtype=torch.bool, device=scatter.device)
    adjugate, determinant, bad = _inertia(scatter)
    trace = adjugate.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    return (trace * eye - adjugate) / determinant[..., None, None], bad


def _inertia(scatter: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Adjugate and determinant of K = tr S - S for d = 3, and which clouds are too straight to divide them.

    In closed form: a library call takes several times as long on many small matrices.
    """
    factors = scatter.flatten(-2) @ _FACTORS.to(scatter)
    p, q, r, s = factors[..., :36].unflatten(-1, (4, 9)).unbind(-2)
    adjugate, total = p * q - r * s, factors[..., 39]
    determinant = (factors[..., 36:39] * adjugate[..., :3]).sum(-1)
    # det K = (l1 + l2)(l2 + l3)(l3 + l1) falls below its largest value, (2 tr / 3)^3, as the cloud becomes straight
    bad = ~(determinant > 1e-5 * total**3)
    return adjugate.unflatten(-1, (3, 3)), torch.where(bad, 1.0, determinant), bad


def _vertical_part(x: Tensor, v: Tensor, floor: float, root: Tensor | None) -> Tensor:
    """X A for clouds ``[k, N, d]`` whose rows are scaled by the root of the weight ``[k, N, 1]``.

    From the singular values of X, exact to rounding relative to each extent, however flat the cloud. Straight clouds
    have A = B / tr S, which has a derivative where that of singular vectors has none.
    """
    straight, inverse = _straight(x, floor)
    result = torch.zeros_like(x)
    skew = x[straight].mT @ v[straight]
    result[straight] = x[straight] @ (skew - skew.mT) * inverse[straight]
    rest = ~straight
    left, sizes, right = _singular(x[rest], _chosen(root, rest))
    moved = sizes[..., :, None] * (left.mT @ v[rest] @ right.mT)
    turn = (moved - moved.mT) * _inverse_sums(sizes, floor)
    result[rest] = left @ (sizes[..., :, None] * turn) @ right
    return result


def _curvature(x: Tensor, floor: float, root: Tensor | None) -> Tensor:
    """H of clouds ``[k, N, d]`` scaled as for ``_vertical_part``; -(d - 1) x / |x|^2 for straight ones."""
    straight, inverse = _straight(x, floor)
    result = torch.zeros_like(x)
    result[straight] = -(x.shape[-1] - 1) * x[straight] * inverse[straight]
    rest = ~straight
    left, sizes, right = _singular(x[rest], _chosen(root, rest))
    result[rest] = -(left * (sizes * _inverse_sums(sizes, floor).sum(-1))[..., None, :]) @ right
    return result


def _straight(x: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """Which clouds ``[k, N, d]`` lie on a line through the origin up to rounding; 1/|x|^2 ``[k, 1, 1]``, 0 for 0."""
    squares = torch.linalg.svdvals(x.detach()).square()
    straight = squares[..., 1:].sum(-1) <= floor * squares.sum(-1)
    total = x.square().sum((-2, -1), keepdim=True)
    return straight, torch.where(total > 0, 1 / torch.where(total > 0, total, 1.0), 0.0)


def _chosen(root: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if root is None else root.expand(len(rows), *root.shape[1:])[rows]


def _singular(x: Tensor, root: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Singular value decomposition of the scaled cloud. ``root`` ``[..., N or 1, 1]`` is given for centred clouds:
    it is removed from the left vectors, where rounding leaves traces of it when an extent is tiny."""
    points, d = x.shape[-2:]
    if points < d:  # rows of zeros make room for every axis
        x = torch.cat([x, x.new_zeros(*x.shape[:-2], d - points, d)], -2)
    left, sizes, right = torch.linalg.svd(x, full_matrices=False)
    left = left[..., :points, :]
    if root is not None:
        root = root.expand(*left.shape[:-1], 1)
        left = left - root * (root.mT @ left) / root.square().sum(-2, keepdim=True)
    return left, sizes, right


def _inverse_sums(sizes: Tensor, floor: float) -> Tensor:
    """1 / (s_i^2 + s_j^2) for i != j; zero where that is below ``floor`` times the sum of all squares."""
    squares = sizes.square()
    sums = squares[..., :, None] + squares[..., None, :]
    kept = sums > floor * squares.sum(-1)[..., None, None]
    kept = kept & ~torch.eye(sizes.shape[-1], dtype=torch.bool, device=sizes.device)
    return torch.where(kept, 1 / torch.where(kept, sums, 1.0), 0.0)
