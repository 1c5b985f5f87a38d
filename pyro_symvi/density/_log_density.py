"""One flat, batched log density with its gradient and Hessian."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.distributions import biject_to

from ._model import nan_sites, read_model, seeded
from ._sites import Site

_ELEMENTS_PER_CALL = 2**22
"""Batches are cut so that one elementwise intermediate holds at most this many numbers (32 MiB in float64)."""


class LogDensity:
    r"""An unnormalised log density :math:`z \mapsto \log p(z)` on :math:`\mathbb R^d`, in float64.

    Build one with `from_model` or `from_callable`. For a model, :math:`z` is the unconstrained vector of all latent
    sites in the order the model meets them (the order of Pyro's ``AutoContinuous``), and

    .. math:: \log p(z) = \log p(x(z), \text{data}) + \log\lvert\det \partial x/\partial z\rvert ,

    with :math:`x(z)` the values on the user's scale. Plates, ``poutine.scale``, masks and factors count as in Pyro.

    Attributes:
        dim: Length :math:`d` of the flat vector.
        sites: The latent sites, in order.
        names: Their names.
        slices: ``{site name: slice of the flat vector}``.
        coordinates: Names of the :math:`d` flat coordinates, as in ``("beta[0]", "beta[1]", "log sigma")``.
        vectorized: Whether a batch is one call (``torch.func.vmap``); if not, a loop, and ``loop_reason`` says why.
        dependent_supports: Whether a site's support depends on other sites.
        notes: What else a reader of results should know (parameters held fixed, for one).
        starts: A few points where the density was evaluated at construction.

    Example:
        >>> density = LogDensity.from_callable(lambda z: -0.5 * (z**2).sum(-1), dim=2)
        >>> density(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def __init__(
        self,
        run: Callable[[torch.Tensor], tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]],
        sites: tuple[Site, ...],
        *,
        starts: tuple[torch.Tensor, ...] = (),
        elements: int = 1,
        dependent_supports: bool = False,
        notes: tuple[str, ...] = (),
        supports_at: Callable[[torch.Tensor], dict[str, Any]] | None = None,
    ) -> None:
        self._run = run
        self.sites = sites
        self.dim = sites[-1].slice.stop
        self.names = tuple(site.name for site in sites)
        self.slices = {site.name: site.slice for site in sites}
        self.coordinates = tuple(name for site in sites for name in site.coordinates())
        self.dependent_supports = dependent_supports
        self.notes = notes
        self.starts = starts
        self._supports_at = supports_at
        self._rows = max(1, min(4096, _ELEMENTS_PER_CALL // max(elements, self.dim)))
        self.vectorized = True
        self.loop_reason = ""
        with seeded(0):
            self._check()

    # -- construction ------------------------------------------------------------------------------------------

    @classmethod
    def from_model(cls, model: Callable[..., Any], *args: Any, **kwargs: Any) -> LogDensity:
        """The posterior of a Pyro model given the data in ``args`` and ``kwargs``, up to its evidence.

        The model is run a few times (random states are restored) and refused, with the reason, where it is not one
        fixed density: a discrete or sphere-supported latent site, a support torch has no bijection for, sites that
        change between runs, a plate that subsamples, nan or infinite data, a log probability that is nan or random,
        a gradient that is not that of the value.

        Args:
            model: A Pyro model.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Raises:
            TypeError: ``model`` is not callable.
            ValueError: One of the reasons above; the message names the site and a remedy.

        Warns:
            UserWarning: Once, where the model can't be vectorised and batches run as a loop.
        """
        reading = read_model(model, args, kwargs)
        try:
            return cls(
                reading.run,
                reading.sites,
                starts=reading.starts,
                elements=reading.elements,
                dependent_supports=reading.dependent_supports,
                notes=reading.notes,
                supports_at=reading.supports_at,
            )
        except _NanDensity as error:
            sites = nan_sites(reading, model, args, kwargs, reading.starts[0])
            raise ValueError(
                f"expected a finite log density, got nan at every one of {len(reading.starts)} random values of the "
                f"latent sites (from site {sites}), because a parameter or the data of that site are invalid; try "
                "running the model with pyro.enable_validation(True)"
            ) from error

    @classmethod
    def from_callable(cls, function: Callable[[torch.Tensor], torch.Tensor], dim: int) -> LogDensity:
        """A plain function as a density, with one site ``"z"``.

        Args:
            function: Maps ``z[d]`` (or ``z[..., d]``) to the log density, a scalar (or ``[...]``), in torch.
            dim: Length ``d`` of ``z``.

        Raises:
            TypeError: ``function`` is not callable, or ``dim`` no integer.
            ValueError: ``dim < 1``; the function returns another shape, is random, or is nan throughout.
        """
        if not callable(function):
            raise TypeError(f"expected a function of z[..., d], got {type(function).__name__}, because it is called")
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise TypeError(f"expected dim as an int, got {type(dim).__name__}, because it is the length of z")
        if dim < 1:
            raise ValueError(f"expected dim >= 1, got {dim}, because a density needs a coordinate")

        def run(z: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
            return function(z), {"z": z}, z.new_zeros(())

        with seeded(0):
            starts = tuple(torch.empty(dim, dtype=torch.float64).uniform_(-2, 2) for _ in range(3))
        site = Site("z", slice(0, dim), torch.Size([dim]), torch.Size([dim]))
        try:
            return cls(run, (site,), starts=starts, elements=dim)
        except _NanDensity as error:
            raise ValueError(
                "expected a finite log density, got nan at every one of 3 random points of [-2, 2]^d, because the "
                "function or its data are invalid there; try evaluating it by hand"
            ) from error

    def _check(self) -> None:
        """One scalar, deterministic, with its own gradient; and decide between one call and a loop."""
        one = self._one(self.starts[0])
        if not isinstance(one, torch.Tensor) or one.shape != ():
            got = tuple(one.shape) if isinstance(one, torch.Tensor) else type(one).__name__
            raise ValueError(
                f"expected one number for one point z[{self.dim}], got {got}, because a log density is a scalar; "
                "try summing over the last dimension"
            )
        points = torch.stack(self.starts)
        direct = torch.stack([self._value_or_nan(z) for z in points])
        again = torch.stack([self._value_or_nan(z) for z in points])
        if not torch.equal(direct.nan_to_num(), again.nan_to_num()):
            raise ValueError(
                f"expected the same log density at the same point, got {direct.tolist()} and then {again.tolist()}, "
                "because the model draws random numbers besides its latent sites; try fixing them as data"
            )
        if bool(torch.isnan(direct).all()):
            raise _NanDensity
        try:
            batched = torch.func.vmap(self._one)(points)
            agree = torch.allclose(batched, direct, rtol=1e-9, atol=1e-9, equal_nan=True)
            reason = "" if agree else f"vectorised values {batched.tolist()} differ from {direct.tolist()}"
        except Exception as error:
            if isinstance(error, torch.linalg.LinAlgError):
                reason = ""
            else:
                reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        if reason:
            self.vectorized, self.loop_reason = False, reason
            warnings.warn(
                f"the density is evaluated point by point, in a loop, because torch.func.vmap can't batch it ({reason})",
                UserWarning,
                stacklevel=5,
            )
        self._check_gradient(points)

    def _check_gradient(self, points: torch.Tensor) -> None:
        """Directional derivatives by autograd against central differences (kinks make one point fail, not all)."""
        wrong, told = 0, None
        for index, z in enumerate(points):
            value, gradient = self.value_and_grad(z)
            if not torch.isfinite(value) or not torch.isfinite(gradient).all():
                continue
            direction = torch.cos(torch.arange(self.dim, dtype=torch.float64) * (index + 1.3) + index) + 0.1
            step = 1e-6 * (1 + z.abs().max())
            ahead, behind = self(z + step * direction), self(z - step * direction)
            numeric, exact = (ahead - behind) / (2 * step), gradient @ direction
            slack = 1e-3 * (gradient.abs() @ direction.abs()) + 1e4 * 2.2e-16 * (1 + value.abs()) / step
            if torch.isfinite(numeric) and (numeric - exact).abs() > slack:
                wrong, told = wrong + 1, (float(numeric), float(exact))
        if told is not None and wrong >= min(2, len(points)):
            raise ValueError(
                f"expected the gradient of the log density, got a directional derivative of {told[1]:.6g} where "
                f"differences of the value give {told[0]:.6g}, because something cuts the gradient (detach, .item(), "
                ".numpy(), no_grad, a custom backward); try torch operations throughout"
            )

    # -- evaluation --------------------------------------------------------------------------------------------

    def _one(self, z: torch.Tensor) -> torch.Tensor:
        return self._run(z)[0]

    def _value_or_nan(self, z: torch.Tensor) -> torch.Tensor:
        try:
            return self._one(z).detach().double()
        except (torch.linalg.LinAlgError, ValueError, ArithmeticError):
            return torch.full((), torch.nan, dtype=torch.float64)

    def _batch(self, z: torch.Tensor) -> torch.Tensor:
        """Values at ``z[n, d]``; a point where linear algebra fails (a matrix not positive definite) is nan."""
        if not self.vectorized:
            return torch.stack([self._point(row) for row in z])
        try:
            return torch.func.vmap(self._one)(z)
        except (torch.linalg.LinAlgError, ArithmeticError):
            if len(z) == 1:
                return z.sum(-1) * torch.nan
            half = len(z) // 2
            return torch.cat([self._batch(z[:half]), self._batch(z[half:])])

    def _point(self, z: torch.Tensor) -> torch.Tensor:
        try:
            return self._one(z)
        except (torch.linalg.LinAlgError, ArithmeticError):
            return z.sum(-1) * torch.nan

    def _flat(self, z: torch.Tensor) -> torch.Tensor:
        if not isinstance(z, torch.Tensor) or not z.is_floating_point():
            raise TypeError(f"expected a floating-point tensor z[..., {self.dim}], got {type(z).__name__}")
        if z.shape[-1:] != (self.dim,):
            raise ValueError(
                f"expected z[..., {self.dim}], got shape {tuple(z.shape)}, because the sites {list(self.names)} have "
                f"{self.dim} unconstrained coordinates; try density.pack(values)"
            )
        return z.to(torch.float64).reshape(-1, self.dim)

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        """Log density at ``z[..., d]``, shape ``[...]``, float64, differentiable; nan where it can't be computed."""
        flat = self._flat(z)
        if len(flat) == 0:
            return flat.new_zeros(z.shape[:-1])
        parts = [self._batch(part) for part in flat.split(self._rows)]
        return torch.cat(parts).reshape(z.shape[:-1])

    def value_and_grad(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log density ``[...]`` and its gradient ``[..., d]`` at ``z[..., d]``, both without a graph."""
        values, gradients = [], []
        for part in self._flat(z).split(self._rows):
            leaf = part.detach().requires_grad_()
            with torch.enable_grad():
                value = self._batch(leaf)
                (gradient,) = torch.autograd.grad(value.sum(), leaf, allow_unused=True)
            values.append(value.detach())
            gradients.append(torch.zeros_like(leaf) if gradient is None else gradient)
        return torch.cat(values).reshape(z.shape[:-1]), torch.cat(gradients).reshape(z.shape)

    def hessian(self, z: torch.Tensor) -> torch.Tensor:
        """Hessian ``[..., d, d]`` at ``z[..., d]``, without a graph; ``d`` passes of forward over reverse mode."""
        flat = self._flat(z).detach()
        if self.vectorized:
            rows = max(1, self._rows // self.dim)
            try:
                parts = [torch.func.vmap(torch.func.hessian(self._one))(part) for part in flat.split(rows)]
                return torch.cat(parts).detach().reshape(*z.shape, self.dim)
            except (NotImplementedError, RuntimeError):
                pass  # an operation without a forward-mode rule: reverse over reverse below
        parts = [torch.autograd.functional.hessian(self._one, row)[None] for row in flat]
        return torch.cat(parts).detach().reshape(*z.shape, self.dim)

    # -- between the flat vector and the sites -----------------------------------------------------------------

    def unpack(self, z: torch.Tensor) -> dict[str, torch.Tensor]:
        """Values on the user's scale, ``{site: [..., *site shape]}``, at ``z[..., d]`` (one run of the model)."""
        return self._unpack(z)[0]

    def log_abs_det_jacobian(self, z: torch.Tensor) -> torch.Tensor:
        r""":math:`\log\lvert\det\partial x/\partial z\rvert` of `unpack` at ``z[..., d]``, shape ``[...]``."""
        return self._unpack(z)[1]

    def _unpack(self, z: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        flat, batch = self._flat(z), z.shape[:-1]
        if self.vectorized:
            _, values, jacobian = torch.func.vmap(self._run)(flat)
        else:
            runs = [self._run(row) for row in flat]
            values = {name: torch.stack([run[1][name] for run in runs]) for name in self.names}
            jacobian = torch.stack([run[2] for run in runs])
        return {n: v.reshape(batch + v.shape[1:]) for n, v in values.items()}, jacobian.reshape(batch)

    def pack(self, values: Mapping[str, Any]) -> torch.Tensor:
        """The flat vector ``z[d]`` of one set of values on the user's scale: the inverse of `unpack`.

        Args:
            values: ``{site: value}`` for every site, each of the site's shape.

        Raises:
            ValueError: A site is missing or unknown, or a value has another shape.
        """
        if set(values) != set(self.names):
            raise ValueError(
                f"expected values for the sites {list(self.names)}, got {sorted(values)}, because each has a place in "
                "the flat vector; try density.names"
            )
        z = torch.zeros(self.dim, dtype=torch.float64)
        for site in self.sites:
            value = torch.as_tensor(values[site.name], dtype=torch.float64)
            if value.shape != site.shape:
                raise ValueError(f"expected '{site.name}' of shape {tuple(site.shape)}, got {tuple(value.shape)}")
            if self._supports_at is not None:
                value = biject_to(self._supports_at(z)[site.name].support).inv(value)
            z[site.slice] = value.reshape(-1)
        return z

    def __repr__(self) -> str:
        sites = ", ".join(f"{site.name}{list(site.shape)}" for site in self.sites)
        return f"LogDensity(dim={self.dim}, sites=({sites}){'' if self.vectorized else ', looped'})"


class _NanDensity(Exception):
    """The log density is nan at every starting point."""
