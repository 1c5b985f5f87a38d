"""What the laws on the sphere share: shapes, checks, and the path from an angle to a point."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor

from ._angle import AngleLaw
from ._cosine import MinusVersine
from ._draw import AxialDraw
from ._log_density import log_density
from ._placement import place

_TOLERANCE = 100


class AxialLaw(TorchDistribution):
    """A law on the sphere, symmetric about ``direction [*batch, d]``, with ``concentration [*batch]``.

    To implement one, give ``_angle_law``, the law of the angle. Draws come from torch's global
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
        batch = torch.Size()
        if direction.ndim > 1 or concentration.ndim:
            batch = torch.broadcast_shapes(direction.shape[:-1], concentration.shape)
        self.direction = direction.expand(*batch, -1)
        self.concentration = concentration.expand(batch)
        self._mu, self._kappa = _compact(direction, 1), _compact(concentration, 0)
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
        new._mu, new._kappa = self._mu, self._kappa
        super(AxialLaw, new).__init__(batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Draws ``[*sample_shape, *batch, d]``, exact, differentiable in direction and concentration.

        Twice differentiable as well. Rejection depends on the data, so draws are batched by shape, not by ``vmap``.
        """
        shape = self._extended_shape(sample_shape)[:-1]
        kappa, mu = self._kappa.double(), self._mu
        with torch.no_grad():
            versine, coversine = self.angle.draw(kappa, shape)
            cosine, sine = (coversine - versine) / 2, (versine * coversine).sqrt()
            x = place(mu, cosine.to(mu.dtype), sine.to(mu.dtype))
        if torch.is_grad_enabled() and (kappa.requires_grad or mu.requires_grad):
            drawn: Tensor = AxialDraw.apply(x, versine, coversine, kappa, mu, self.angle)
            return drawn
        return x

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density against the area of the sphere, ``value [..., d]``."""
        if self._validate_args:
            self._validate_sample(value)
        return self._spread(log_density(value, self._mu, self._kappa, self.angle), value)

    def half_square_distance(self, value: Tensor) -> Tensor:
        """1 - cos of the angle to the direction, ``value [..., d]``.

        The value is |x - direction|^2 / 2, without cancellation near the direction; the derivative is that of
        1 - x.direction, which agrees along the sphere and takes one product.
        """
        distance: Tensor = -MinusVersine.apply(value, self._mu)
        return distance

    def _spread(self, value: Tensor, *over: Tensor) -> Tensor:
        """``value [*v]`` with the batch shape, and that of points ``[..., d]`` where some are given."""
        if not self.batch_shape:
            return value
        return value.expand(torch.broadcast_shapes(value.shape, self.batch_shape, *(x.shape[:-1] for x in over)))


def _compact(parameter: Tensor, event_dim: int) -> Tensor:
    """A parameter without the axes along which it was merely expanded; it broadcasts to what it was."""
    while parameter.ndim > event_dim and (parameter.size(0) == 1 or _is_expanded(parameter, 0)):
        parameter = parameter[0]
    for axis in range(parameter.ndim - event_dim):
        if _is_expanded(parameter, axis):
            parameter = parameter.narrow(axis, 0, 1)
    return parameter


def _is_expanded(parameter: Tensor, axis: int) -> bool:
    """Whether an axis repeats one entry. Not where a gradient is asked for: each entry has one of its own then."""
    return parameter.size(axis) > 1 and parameter.stride(axis) == 0 and not parameter.requires_grad


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
