"""One flat, batched log density with its gradient and Hessian."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.distributions import biject_to

from ._checks import (
    BAD_POINT,
    NotFinite,
    batch,
    idle_coordinates,
    refuse_randomness,
    refuse_wrong_gradient,
    starting_points,
    vmapped,
    why_not_vectorized,
)
from ._function import read_function
from ._model import Reading, read_model
from ._sites import Site
from ._state import seeded

if TYPE_CHECKING:
    from ._data_parallel import DataParallelDensity

_ELEMENTS_PER_CALL = 2**18
"""Batches are cut so that one elementwise intermediate holds at most this many numbers: 2 MiB in float64, which stays
in cache (three to four times faster than 32 MiB on a regression with 1,300 rows)."""


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
        starts: A few points, near zero, where the log density is finite (if any was found).

    Example:
        >>> density = LogDensity.from_callable(lambda z: -0.5 * (z**2).sum(-1), dim=2)
        >>> density(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.sites: tuple[Site, ...] = reading.sites
        self.dim: int = reading.sites[-1].slice.stop
        self.names = tuple(site.name for site in self.sites)
        self.slices = {site.name: site.slice for site in self.sites}
        self.coordinates = tuple(name for site in self.sites for name in site.coordinates())
        self.dependent_supports = reading.dependent_supports
        self.notes = reading.notes
        self.vectorized = True
        self.loop_reason = ""
        self.starts = reading.starts
        self._rows = max(1, min(4096, _ELEMENTS_PER_CALL // max(reading.elements, self.dim)))
        with seeded(0):
            self._check()

    # -- construction ------------------------------------------------------------------------------------------

    @classmethod
    def from_model(cls, model: Callable[..., Any], *args: Any, **kwargs: Any) -> LogDensity:
        """The posterior of a Pyro model given the data in ``args`` and ``kwargs``, up to its evidence.

        The model is run a few times (random states and the parameter store are restored) and refused, with the reason,
        where it is not one fixed density: a discrete or sphere-supported latent site, a support torch has no bijection
        for, sites that change between runs, a plate that subsamples, nan or infinite data, data or parameters that
        Pyro's validation rejects, a log probability that is nan or random, a gradient that is not that of the value.

        Data and priors may lie on a GPU: values are moved there and results come back to where ``z`` lies, so that fits
        and certificates, which compute on the CPU, can read such a model.

        Args:
            model: A Pyro model.
            *args: Its arguments. Low-precision tensors are cast to float64.
            **kwargs: Its keyword arguments.

        Raises:
            TypeError: ``model`` is not callable.
            ValueError: One of the reasons above; the message names the site and a remedy.

        Warns:
            UserWarning: Once, where the model can't be vectorised and batches run as a loop.
        """
        return cls(read_model(model, args, kwargs))

    @classmethod
    def from_callable(cls, function: Callable[[torch.Tensor], torch.Tensor], dim: int) -> LogDensity:
        """A plain function as a density, with one site ``"z"``.

        Args:
            function: Maps ``z[d]`` (or ``z[..., d]``) to the log density, a scalar (or ``[...]``), in torch.
            dim: Length ``d`` of ``z``.

        Raises:
            TypeError: ``function`` is not callable, or ``dim`` no integer.
            ValueError: ``dim < 1``; the function returns another shape, is random, nowhere finite, or cuts gradients.
        """
        return cls(read_function(function, dim))

    def data_parallel(
        self, group: Any = None, *, common: Collection[str] = (), sharded: Collection[str] = ()
    ) -> DataParallelDensity:
        """This density on one shard of the data, joined with those of the other ranks under ``torchrun``.

        A collective call: every rank of ``group`` makes it. See `DataParallelDensity` for arguments and errors.
        """
        from ._data_parallel import DataParallelDensity

        return DataParallelDensity(self, group, common=common, sharded=sharded)

    def _check(self) -> None:
        """One finite, deterministic number with its own gradient; and decide between one call and a loop."""
        try:
            self.starts = starting_points(self._one, self.starts, self._reading.what)
        except NotFinite as error:
            raise ValueError(self._not_finite(error)) from error
        points = torch.stack(self.starts)
        values = refuse_randomness(self._one, points)
        reason = why_not_vectorized(self._one, points, values)
        if reason:
            self.vectorized, self.loop_reason = False, reason
            warnings.warn(
                "the density is evaluated point by point, in a loop, because torch.func.vmap can't batch it "
                f"({reason}), and that is many times slower; try whole-tensor operations where the model branches or "
                "indexes on values (Multinomial does inside: pyro.factor(name, torch.xlogy(counts, p).sum()) has the "
                "same posterior)",
                UserWarning,
                stacklevel=4,
            )
        refuse_wrong_gradient(self, self.value_and_grad, points)
        if not bool(torch.isfinite(values).any()):
            self.notes += ("the density was zero at every random point tried, so that its gradient is unchecked",)
            return
        idle = [self.coordinates[i] for i in idle_coordinates(self.value_and_grad(points)[1])]
        if idle:
            self.notes += (
                f"the density does not change along {', '.join(idle)} where it was tried: improper if never",
            )

    def _not_finite(self, error: NotFinite) -> str:
        sites = self._reading.nan_sites(self._reading.starts[0])
        where = f" (from site {sites})" if sites else ""
        return (
            f"expected a finite log density, got {' and '.join(error.args[0])} at every random point tried{where}, "
            f"because a parameter or the data of this {self._reading.what} are invalid or impossible there; try "
            "running it with pyro.enable_validation(True)"
        )

    # -- evaluation --------------------------------------------------------------------------------------------

    def _one(self, z: torch.Tensor) -> torch.Tensor:
        value = self._reading.log_prob(z)
        return value.to(z.device, torch.float64) if isinstance(value, torch.Tensor) else value

    def _batch(self, z: torch.Tensor) -> torch.Tensor:
        """Values at ``z[n, d]``; a point where linear algebra fails (a matrix not positive definite) is nan."""
        value: torch.Tensor = batch(self._one, z, self.vectorized)
        return value

    def _flat(self, z: torch.Tensor) -> torch.Tensor:
        if not isinstance(z, torch.Tensor) or not z.is_floating_point():
            got = z.dtype if isinstance(z, torch.Tensor) else type(z).__name__
            raise TypeError(
                f"expected a floating-point tensor z[..., {self.dim}], got {got}, because densities are functions of "
                "real numbers; try torch.as_tensor(z, dtype=torch.float64)"
            )
        if z.shape[-1:] != (self.dim,):
            raise ValueError(
                f"expected z[..., {self.dim}], got shape {tuple(z.shape)}, because the sites {list(self.names)} have "
                f"{self.dim} unconstrained coordinates; try density.pack(values)"
            )
        return z.to(torch.float64).reshape(-1, self.dim)

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        """Log density at ``z[..., d]``, shape ``[...]``, float64, differentiable; nan where it can't be computed."""
        flat = self._flat(z)
        with torch.set_grad_enabled(torch.is_grad_enabled() and z.requires_grad):  # the model's own parameters are held
            parts = [self._batch(part) for part in flat.split(self._rows) if len(part)]
            return torch.cat([flat.new_zeros(0), *parts]).reshape(z.shape[:-1])

    def value_and_grad(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log density ``[...]`` and its gradient ``[..., d]`` at ``z[..., d]``, both without a graph."""
        flat = self._flat(z).detach()
        values, gradients = [flat.new_zeros(0)], [flat.new_zeros(0, self.dim)]
        for part in flat.split(self._rows):
            if len(part):
                value, gradient = self._value_and_grad(part.clone().requires_grad_())
                values.append(value)
                gradients.append(gradient)
        return torch.cat(values).reshape(z.shape[:-1]), torch.cat(gradients).reshape(z.shape)

    def _value_and_grad(self, leaf: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.enable_grad():
            value = self._batch(leaf)
            gradient = None
            if value.requires_grad:
                (gradient,) = torch.autograd.grad(value.sum(), leaf, allow_unused=True)
        return value.detach(), torch.zeros_like(leaf) if gradient is None else gradient

    def hessian(self, z: torch.Tensor) -> torch.Tensor:
        """Hessian ``[..., d, d]`` at ``z[..., d]``, without a graph; ``d`` passes of forward over reverse mode."""
        flat = self._flat(z).detach()
        parts = [self._hessians(part) for part in flat.split(max(1, self._rows // self.dim)) if len(part)]
        return torch.cat([flat.new_zeros(0, self.dim, self.dim), *parts]).reshape(*z.shape, self.dim)

    def _hessians(self, z: torch.Tensor) -> torch.Tensor:
        if self.vectorized:
            try:
                if self._rows < self.dim:  # all directions at once would hold d times the intermediates of a gradient
                    return torch.stack([self._hessian_by_parts(row) for row in z])
                return vmapped(torch.func.hessian(self._one), z).detach()
            except (NotImplementedError, RuntimeError):
                pass  # a bad point, or an operation without a forward-mode rule: point by point, reverse over reverse
        return torch.stack([self._hessian(row) for row in z])

    def _hessian_by_parts(self, z: torch.Tensor) -> torch.Tensor:
        """Forward over reverse mode, as many directions at a time as points in a batch."""
        gradient = torch.func.grad(self._one)

        def along(direction: torch.Tensor) -> torch.Tensor:
            return torch.func.jvp(gradient, (z,), (direction,))[1]

        directions = torch.eye(self.dim, dtype=z.dtype, device=z.device)
        return torch.cat([vmapped(along, part).detach() for part in directions.split(self._rows)])

    def _hessian(self, z: torch.Tensor) -> torch.Tensor:
        try:
            return torch.autograd.functional.hessian(self._one, z).detach()
        except BAD_POINT:
            return torch.full((self.dim, self.dim), torch.nan, dtype=torch.float64)

    # -- compiled ----------------------------------------------------------------------------------------------

    level: str = "eager"
    """How it is evaluated: ``"eager"`` (the model is run at each call), ``"graph"`` or ``"inductor"``."""

    def compile(self, batch: int | Sequence[int] = 64, level: str = "auto") -> LogDensity:
        """The same density with value and gradient as one function without the model's Python, compiled where possible.

        Two levels. ``"graph"``: the operators of value and gradient, traced once (``make_fx``), constants folded, run
        one after another; ready in about a second, two to four times faster where the model is small.
        ``"inductor"``: the same graph fused into machine code by ``torch._inductor``; 4 to 20 seconds, up to a hundred
        times faster. ``"auto"`` is inductor where there is a C++ compiler, else the graph.

        Kernels are made for fixed numbers of points: larger batches are cut, smaller ones padded. Data are inputs of
        the compiled function, so that a second density of the same model with other data of the same shapes is
        compiled at once. Before it is returned, values and gradients are compared with the eager ones at `starts` and
        at random points, to 1e-12 of their size.

        Args:
            batch: Number of points in a batch, or several numbers, one kernel each.
            level: ``"auto"``, ``"inductor"`` or ``"graph"``.

        Returns:
            A density with a ``level`` of ``"inductor"`` or ``"graph"``; this one (``level == "eager"``) where the model
            is looped, can't be traced or disagrees. The reason is logged once (``pyro_symvi.density``, level INFO).

        Raises:
            TypeError: ``batch`` is no int, nor several.
            ValueError: ``batch < 1``, or an unknown level.
        """
        from ._compiled import compile_density

        return compile_density(self, batch, level)

    def compiled_for(self, evaluations: int, batch: int = 64) -> LogDensity:
        """The density compiled on the level that a run of this length repays, or itself.

        A few eager calls are timed. The graph has to save twice what tracing costs, inductor twice a cautious estimate
        of its compile time (25 seconds; none where this graph has been compiled in this process already).

        Args:
            evaluations: About how many batches will be evaluated, with gradients.
            batch: Points in each.
        """
        from ._compiled import compiled_for

        return compiled_for(self, evaluations, batch)

    # -- between the flat vector and the sites -----------------------------------------------------------------

    def unpack(self, z: torch.Tensor) -> dict[str, torch.Tensor]:
        """Values on the user's scale, ``{site: [..., *site shape]}``, at ``z[..., d]``."""
        return self._unpack(z)[0]

    def log_abs_det_jacobian(self, z: torch.Tensor) -> torch.Tensor:
        r""":math:`\log\lvert\det\partial x/\partial z\rvert` of `unpack` at ``z[..., d]``, shape ``[...]``."""
        return self._unpack(z)[1]

    def _unpack(self, z: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        flat, batch = self._flat(z), z.shape[:-1]
        if len(flat) == 0:
            return {s.name: flat.new_zeros(batch + s.shape) for s in self.sites}, flat.new_zeros(batch)
        if self.vectorized:
            values, jacobian = vmapped(self._reading.values, flat)
        else:
            runs = [self._reading.values(row) for row in flat]
            values = {name: torch.stack([run[0][name] for run in runs]) for name in self.names}
            jacobian = torch.stack([run[1] for run in runs])
        return {n: v.reshape(batch + v.shape[1:]) for n, v in values.items()}, jacobian.reshape(batch)

    def pack(self, values: Mapping[str, Any]) -> torch.Tensor:
        """The flat vector ``z[d]`` of one set of values on the user's scale: the inverse of `unpack`.

        Args:
            values: ``{site: value}`` for every site, each of the site's shape.

        Raises:
            ValueError: A site is missing or unknown, or a value has another shape or lies outside the site's support.
        """
        if set(values) != set(self.names):
            raise ValueError(
                f"expected values for the sites {list(self.names)}, got {sorted(values)}, because each has a place in "
                "the flat vector; try density.names"
            )
        z = torch.zeros(self.dim, dtype=torch.float64)
        supports = self._reading.supports_at(z)
        for site in self.sites:
            value = torch.as_tensor(values[site.name], dtype=torch.float64, device=site.device)
            if value.shape != site.shape:
                raise ValueError(
                    f"expected '{site.name}' of shape {tuple(site.shape)}, got {tuple(value.shape)}, because that is "
                    "its shape in the model; try one set of values at a time"
                )
            if self.dependent_supports:
                supports = self._reading.supports_at(z)
            z[site.slice] = _unconstrain(site.name, value, supports[site.name]).reshape(-1)
        return z

    def __repr__(self) -> str:
        sites = ", ".join(f"{site.name}{list(site.shape)}" for site in self.sites)
        return f"LogDensity(dim={self.dim}, sites=({sites}){'' if self.vectorized else ', looped'})"


def _unconstrain(name: str, value: torch.Tensor, support: Any) -> torch.Tensor:
    transform = biject_to(support)
    z = transform.inv(value).detach()
    if not bool(torch.isfinite(z).all()) or not torch.allclose(transform(z).double(), value, rtol=1e-5, atol=1e-5):
        raise ValueError(
            f"expected a value of '{name}' inside its support {support}, got {value.tolist()}, because only such "
            "values have unconstrained coordinates; try a value off the boundary"
        )
    return z
