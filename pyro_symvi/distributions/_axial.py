"""What the laws on the sphere share: shapes, checks, and the path from an angle to a point."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor

from ._angle import AngleLaw, ImplicitAngle

_TOLERANCE = 100


def uniform_directions(shape: tuple[int, ...], dim: int, like: Tensor) -> Tensor:
    """Uniform unit vectors ``[*shape, dim]`` in like's dtype and device: normalised standard normals."""
    normal = torch.randn((*shape, dim), dtype=like.dtype, device=like.device)
    return normal / torch.linalg.vector_norm(normal, dim=-1, keepdim=True)


def place(direction: Tensor, theta: Tensor, around: Tensor) -> Tensor:
    """The point at angle ``theta [*s]`` from ``direction [*s, d]``, on the side that ``around [*s, d - 1]`` says.

    (cos theta, sin theta around) is reflected by the Householder matrix that swaps e_1 and the direction. That matrix
    has no derivative at direction = e_1: it serves for the value, `carried` for the gradient.
    """
    y = torch.cat([theta.cos()[..., None], theta.sin()[..., None] * around], -1)
    u = torch.cat([1 - direction[..., :1], -direction[..., 1:]], -1)
    square = u.square().sum(-1, keepdim=True).clamp(min=torch.finfo(u.dtype).tiny)
    return y - u * (2 * (u * y).sum(-1, keepdim=True) / square)


def carried(x: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """``x`` under the rotation in the plane of two unit vectors that takes ``start`` to ``end``, all ``[*batch, d]``.

    x - (s + e) (s + e).x / (1 + s.e) + 2 e (s.x): the law about ``start`` becomes the law about ``end`` for every end
    but -start, so derivatives in ``end``, of any order, are those of the law. At end = start it is the identity, with
    derivative (s.x) de - (de.x) s, bounded whatever the dimension.
    """
    both, along = start + end, (start * x).sum(-1, keepdim=True)
    share = (both * x).sum(-1, keepdim=True) / (1 + (start * end).sum(-1, keepdim=True))
    return x - both * share + 2 * end * along


class AxialLaw(TorchDistribution):
    """A law on the sphere, symmetric about ``direction [*batch, d]``, with ``concentration [*batch]``.

    To implement one, give ``_angle_law`` (the law of the angle) and ``log_prob``. Draws come from torch's global
    generator, as in all torch distributions; the gradient in both parameters is that of the law.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "direction": constraints.sphere,
        "concentration": constraints.nonnegative,
    }
    support = constraints.sphere
    has_rsample = True
    _angle_law: ClassVar[type[AngleLaw]]

    def __init__(self, direction: Tensor, concentration: Tensor | float, validate_args: bool | None = None) -> None:
        if isinstance(direction, Tensor) and isinstance(concentration, int | float):
            concentration = torch.as_tensor(concentration, dtype=direction.dtype, device=direction.device)
        _check_kind(direction, concentration)
        check = wants_checks(type(self), validate_args)
        if check:
            _check_values(direction, concentration)
        batch = torch.broadcast_shapes(direction.shape[:-1], concentration.shape)
        self.direction = direction.expand(*batch, -1)
        self.concentration = concentration.expand(batch)
        super().__init__(batch, direction.shape[-1:], validate_args=False)
        self._validate_args = check

    @property
    def dim(self) -> int:
        """Dimension d of the space around the sphere."""
        return int(self.event_shape[0])

    @property
    def angle(self) -> AngleLaw:
        """The law of the angle to the direction."""
        return self._angle_law(self.dim)

    @property
    def mode(self) -> Tensor:
        """The direction, ``[*batch, d]``; at concentration 0 every point is a mode."""
        return self.direction

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """The same law with the batch shape enlarged."""
        new = self._get_checked_instance(type(self), _instance)
        batch_shape = torch.Size(batch_shape)
        new.direction = self.direction.expand(*batch_shape, self.dim)
        new.concentration = self.concentration.expand(batch_shape)
        super(AxialLaw, new).__init__(batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Draws ``[*sample_shape, *batch, d]``, exact, differentiable in direction and concentration.

        Twice differentiable as well. Rejection depends on the data, so draws are batched by shape, not by ``vmap``.
        """
        shape = self._extended_shape(sample_shape)[:-1]
        concentration = self.concentration.double().expand(shape)
        with torch.no_grad():
            theta = self.angle.draw(concentration.detach().contiguous())
            around = uniform_directions(tuple(shape), self.dim - 1, self.direction)
        tracked = torch.is_grad_enabled()
        if tracked and concentration.requires_grad:
            theta = ImplicitAngle.apply(theta, concentration, self.angle)
        start = self.direction.detach().expand(*shape, self.dim)
        x = place(start, theta.to(start.dtype), around)
        return carried(x, start, self.direction) if tracked and self.direction.requires_grad else x

    def half_square_distance(self, value: Tensor, sign: int = 1) -> Tensor:
        """1 - cos of the angle to the direction (1 + cos for ``sign`` -1), ``value [..., d]``.

        The value is |x - direction|^2 / 2, without cancellation near the direction; the derivative is that of
        1 - x.direction, which agrees along the sphere and takes one product.
        """
        direction = self.direction
        cosine = value @ direction if direction.ndim == 1 else (value * direction).sum(-1)
        gap = value.detach() - sign * direction.detach()
        return sign * (cosine.detach() - cosine) + (gap * gap).sum(-1) / 2


def wants_checks(law: type, validate_args: bool | None) -> bool:
    """Whether values are checked: as asked, or as torch's and Pyro's switch for all distributions says."""
    return bool(getattr(law, "_validate_args", True)) if validate_args is None else validate_args


def _check_kind(direction: Any, concentration: Any) -> None:
    if not isinstance(direction, Tensor) or direction.dtype not in (torch.float32, torch.float64):
        got = f"dtype {direction.dtype}" if isinstance(direction, Tensor) else type(direction).__name__
        raise TypeError(
            f"expected direction as a float32 or float64 tensor, got {got}, because draws take its dtype; "
            "try torch.tensor([1.0, 0.0, 0.0])"
        )
    if not isinstance(concentration, Tensor) or not concentration.is_floating_point():
        raise TypeError(
            f"expected concentration as a floating tensor or a number, got {concentration!r}, because it is a real "
            "number for each direction; try concentration=10.0"
        )
    if direction.ndim == 0 or direction.shape[-1] < 2:
        raise ValueError(
            f"expected direction of shape [*batch, d] with d >= 2, got {list(direction.shape)}, because the last "
            "dimension holds one unit vector; try torch.tensor([1.0, 0.0])"
        )


def _check_values(direction: Tensor, concentration: Tensor) -> None:
    norm = torch.linalg.vector_norm(direction.detach(), dim=-1)
    if not bool(((norm - 1).abs() <= _TOLERANCE * torch.finfo(norm.dtype).eps * direction.shape[-1] ** 0.5).all()):
        raise ValueError(
            f"expected direction of length 1, got lengths from {norm.min().item():.6g} to {norm.max().item():.6g}, "
            "because it is a point of the sphere; try direction / direction.norm(dim=-1, keepdim=True)"
        )
    if not bool(((concentration >= 0) & concentration.isfinite()).all()):
        raise ValueError(
            f"expected finite concentration >= 0, got {concentration.detach().reshape(-1)[:4].tolist()}, because a "
            "negative one is the opposite direction and an infinite one a point mass; try concentration.clamp(min=0)"
        )
