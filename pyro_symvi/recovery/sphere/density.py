"""One unnormalised log density on a sphere, batched, in float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

from ...density import Site
from ...density._checks import BAD_POINT, batch, refuse_randomness, why_not_vectorized
from ...density._function import _meets_float32
from ...density._precision import double_precision
from ...density._refusals import Refusal
from ...density._state import seeded
from ._model import SphereReading, read_sphere_model

_ROWS = 4096
_UNIT = 1e-6


class SphereDensity:
    r"""An unnormalised log density :math:`x \mapsto \log p(x)` on the sphere :math:`S^{n-1}` of R^n, in float64.

    Densities are against the area. Build one with `from_callable` or `from_model`.

    Attributes:
        dim: n >= 2, the dimension of the space around the sphere.
        name: The site, ``"x"`` for a plain function.
        sites, names, slices, coordinates: As those of `LogDensity`: one site, its n coordinates.
        vectorized: Whether a batch is one call; if not, a loop, and ``loop_reason`` says why.
        notes: What a reader of results should know.
        starts: A few directions where the log density is finite (if any was found).

    Example:
        >>> density = SphereDensity.from_callable(lambda x: 3.0 * x[..., 2], dim=3)
        >>> density(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.6, 0.8]]))
        tensor([3.0000, 2.4000], dtype=torch.float64)
    """

    def __init__(self, reading: SphereReading) -> None:
        self._reading = reading
        self.dim, self.name = reading.dim, reading.name
        self.sites = (Site(self.name, slice(0, self.dim), torch.Size([self.dim]), torch.Size([self.dim])),)
        self.names = (self.name,)
        self.slices = {self.name: slice(0, self.dim)}
        self.coordinates = self.sites[0].coordinates()
        self.notes = reading.notes
        self.vectorized, self.loop_reason = True, ""
        self.starts: tuple[torch.Tensor, ...] = ()
        with seeded(0):
            self._check()

    @classmethod
    def from_callable(cls, function: Callable[[torch.Tensor], torch.Tensor], dim: int) -> SphereDensity:
        """A plain function of unit vectors as a density.

        Args:
            function: Maps ``x[..., n]`` (or ``x[n]``), unit vectors, to the log density ``[...]``, in torch.
            dim: n.

        Raises:
            TypeError: ``function`` is not callable, or ``dim`` no integer.
            ValueError: ``dim < 2``; the function returns another shape, is random, nowhere finite, or cuts gradients.
        """
        if not callable(function):
            raise TypeError(
                f"expected a function of unit vectors x[..., n], got {type(function).__name__}, because it is called; "
                "try a lambda"
            )
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise TypeError(f"expected dim as an int, got {dim!r}, because it is the length of x; try dim=3")
        if dim < 2:
            raise ValueError(
                f"expected dim >= 2, got {dim}, because the sphere of R^1 is two points; try dim=3, directions in space"
            )
        promoted = _meets_float32(function, tuple(random_directions(3, dim, torch.Generator().manual_seed(0))))

        def log_prob(x: torch.Tensor) -> torch.Tensor:
            with double_precision(promoted):
                return function(x)

        return cls(SphereReading("x", dim, log_prob, log_prob, what="function"))

    @classmethod
    def from_model(cls, model: Callable[..., Any], *args: Any, **kwargs: Any) -> SphereDensity:
        """The posterior of a Pyro model whose only latent site is one direction, given its data.

        Args:
            model: A Pyro model.
            *args: Its arguments. Low-precision tensors are cast to float64.
            **kwargs: Its keyword arguments.

        Raises:
            TypeError: ``model`` is not callable.
            ValueError: Latent sites besides one unit vector, a plate around it or one that subsamples, nan in the
                data, a log density that is nan, random, or cuts gradients.
        """
        return cls(read_sphere_model(model, args, kwargs))

    @property
    def pointwise(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The log density of one unit vector ``x[n]``, as it was given: no checks, no batches."""
        return self._one

    @property
    def algebraic(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The same up to a constant, von Mises-Fisher terms written as kappa mu.x: what exact algebra reads."""
        return self._reading.plain

    # -- evaluation --------------------------------------------------------------------------------------------

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Log density at unit vectors ``x[..., n]``, shape ``[...]``, float64; nan where it can't be computed."""
        flat = self._flat(x)
        with torch.set_grad_enabled(torch.is_grad_enabled() and x.requires_grad):
            parts = [self._batch(part) for part in flat.split(_ROWS) if len(part)]
            return torch.cat([flat.new_zeros(0), *parts]).reshape(x.shape[:-1])

    def value_and_grad(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log density ``[...]`` and its gradient along the sphere ``[..., n]``, both without a graph."""
        flat = self._flat(x).detach()
        values, gradients = [flat.new_zeros(0)], [flat.new_zeros(0, self.dim)]
        for part in flat.split(_ROWS):
            if len(part):
                leaf = part.clone().requires_grad_()
                with torch.enable_grad():
                    value = self._batch(leaf)
                    gradient = None
                    if value.requires_grad:
                        (gradient,) = torch.autograd.grad(value.sum(), leaf, allow_unused=True)
                values.append(value.detach())
                gradients.append(torch.zeros_like(leaf) if gradient is None else tangent(part, gradient))
        return torch.cat(values).reshape(x.shape[:-1]), torch.cat(gradients).reshape(x.shape)

    def _flat(self, x: torch.Tensor) -> torch.Tensor:
        if not isinstance(x, torch.Tensor) or not x.is_floating_point():
            got = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
            raise TypeError(
                f"expected a floating-point tensor x[..., {self.dim}], got {got}, because it holds unit vectors; try "
                "torch.as_tensor(x, dtype=torch.float64)"
            )
        if x.shape[-1:] != (self.dim,):
            raise ValueError(
                f"expected unit vectors x[..., {self.dim}], got shape {tuple(x.shape)}, because the sphere lies in "
                f"R^{self.dim}; try vectors of that length"
            )
        flat = x.to(torch.float64).reshape(-1, self.dim)
        if not bool(((flat.detach().norm(dim=-1) - 1).abs() <= _UNIT).all()):
            raise ValueError(
                f"expected unit vectors, got lengths from {float(flat.norm(dim=-1).min()):.6g} to "
                f"{float(flat.norm(dim=-1).max()):.6g}, because the density is defined on the sphere only; try "
                "x / x.norm(dim=-1, keepdim=True)"
            )
        return flat

    def _one(self, x: torch.Tensor) -> torch.Tensor:
        value = self._reading.log_prob(x)
        return value.to(x.device, torch.float64) if isinstance(value, torch.Tensor) else value

    def _batch(self, x: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = batch(self._one, x, self.vectorized)
        return value

    # -- checks ------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """One deterministic number with its own gradient at random directions; one call or a loop."""
        points = random_directions(24, self.dim, torch.Generator().manual_seed(1))
        values = torch.stack([self._checked_value(x) for x in points])
        if bool(torch.isnan(values).all() | (values == torch.inf).any()):
            raise Refusal(
                "expected a finite log density, got nan or inf at random directions, because a parameter or the data "
                f"of this {self._reading.what} are invalid; try pyro.enable_validation(True)"
            )
        self.starts = tuple(points[torch.isfinite(values)][:3])
        points = points[~torch.isnan(values)]
        reason = why_not_vectorized(self._one, points[:3], refuse_randomness(self._one, points[:3]))
        if reason:
            self.vectorized, self.loop_reason = False, reason
            warnings.warn(
                "the density is evaluated point by point, in a loop, because torch.func.vmap can't batch it "
                f"({reason})",
                UserWarning,
                stacklevel=4,
            )
        self._check_gradient(points)

    def _checked_value(self, x: torch.Tensor) -> torch.Tensor:
        try:
            value = self._one(x)
        except BAD_POINT:
            return x.new_tensor(torch.nan)
        except Refusal:
            raise
        except Exception as error:
            raise Refusal(
                f"expected a {self._reading.what} whose log density can be computed, got {type(error).__name__}: "
                f"{error}, because it raised that at a random direction; try running it by itself, at x[{self.dim}]"
            ) from error
        if not isinstance(value, torch.Tensor) or value.shape != ():
            got = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
            raise Refusal(
                f"expected one number for one direction x[{self.dim}], got {got}, because a log density is a scalar; "
                "try summing over the last axis, or indexing it (x[..., 0])"
            )
        return value.detach()

    def _check_gradient(self, points: torch.Tensor) -> None:
        """Slopes along great circles by autograd against central differences; a kink may spoil a few."""
        value, gradient = self.value_and_grad(points)
        direction = tangent(points, points.roll(1, 0))
        direction = direction / direction.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        estimates = []
        for h in (1e-5, 5e-6):
            ahead, behind = (self(great_circle(points, s * h * direction)) for s in (1, -1))
            estimates.append((ahead - behind) / (2 * h))
        coarse, fine = estimates
        slope = (gradient * direction).sum(-1)
        slack = 1e-5 * gradient.norm(dim=-1) + 4 * (coarse - fine).abs() + 1e3 * 2.0**-52 * (1 + value.abs()) / 5e-6
        usable = torch.isfinite(coarse + fine + value)
        wrong = usable & ~((fine - slope).abs() <= slack)
        if int(wrong.sum()) * 4 > int(usable.sum()):
            i = int(wrong.nonzero()[0])
            raise Refusal(
                f"expected the gradient of the log density, got a slope of {float(slope[i]):.6g} where differences of "
                f"the value give {float(fine[i]):.6g}, because something cuts or spoils the gradient (detach, .item(), "
                ".numpy(), no_grad); try torch operations throughout"
            )


def tangent(x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The part of ``v[..., n]`` along the sphere at ``x[..., n]``."""
    return v - (v * x).sum(-1, keepdim=True) * x


def great_circle(x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The point reached from ``x`` along the great circle of the tangent ``v``, at the distance |v|."""
    length = v.norm(dim=-1, keepdim=True)
    unit = v / torch.where(length > 0, length, torch.ones_like(length))
    y = length.cos() * x + length.sin() * unit
    return y / y.norm(dim=-1, keepdim=True)


def random_directions(count: int, dim: int, generator: torch.Generator) -> torch.Tensor:
    """Uniform directions ``[count, dim]``, float64."""
    x = torch.randn(count, dim, dtype=torch.float64, generator=generator)
    return x / x.norm(dim=-1, keepdim=True)
