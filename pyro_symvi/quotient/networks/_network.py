"""The base of networks that denoise clouds: checks, centring, preconditioning."""

from __future__ import annotations

import dataclasses
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from ..._value import positive_int
from .. import _interpolants
from .._context import Context
from .._dataset import CloudDataset
from .._interpolants import Interpolant, Linear
from .._process import Diffusion
from ._conditions import Conditions, flat_conditions

TIME_FEATURES = 9


class CloudNetwork(nn.Module, ABC):
    """D(x, t, context), an estimate of E[x_1 | x_t = x]: points ``[*batch, N, d]``, times ``[*batch]``, shape of x.

    With beta, alpha of the path, s_d the ``data_scale``, s_0 the ``noise_scale`` (standard deviations of one
    coordinate of data and of the prior) and C = alpha^2 s_0^2 + gamma^2, v = C + beta^2 s_d^2,

        D = (beta s_d^2 / v) x + s_d sqrt(C / v) F(x / sqrt(v), t, context),

    in which the network proper, F, has inputs and targets of unit size at every t and starts at zero: an untrained
    network is the exact denoiser of data that are normal with standard deviation s_d, and D(x, 1) = x.

    Clouds are taken about their centre and the estimate is centred; points that a context masks neither matter nor
    move from zero. A context of fewer batch dimensions than x broadcasts. Points are computed with in the
    parameters' dtype (``network.double()`` for float64) and come back in their own.

    To implement one, write ``_displacement``, and an ``__init__`` that keeps what it was given in ``config`` by
    calling ``_prepare`` first and making its parameters within ``self._seeded()``; register the class by deriving it.

    Source for the preconditioning: Karras et al., arXiv 2206.00364, section 5 and appendix B.6, for this path.
    """

    kinds: ClassVar[dict[str, type[CloudNetwork]]] = {}
    config: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not inspect.isabstract(cls) and not cls.__name__.startswith("_"):
            CloudNetwork.kinds[cls.__name__] = cls

    @classmethod
    def for_dataset(cls, dataset: CloudDataset, diffusion: Diffusion, **options: Any) -> Self:
        """A network whose sizes and scales fit: features and kinds of edges of the contexts, ``data_scale`` of the
        clouds, ``noise_scale`` and path of the diffusion. ``options`` are the other arguments (width, layers, seed).

        Raises:
            ValueError: for a data set without clouds, or only clouds whose points lie in one place.
        """
        context = dataset.context
        fitting: dict[str, Any] = {
            "features": 0 if context is None or context.features is None else context.features.shape[-1],
            "edge_kinds": 0 if context is None or context.edges is None else int(context.edges.max()),
            "data_scale": dataset.scale(),
            "noise_scale": diffusion.prior.spread(context),
            "interpolant": diffusion.interpolant,
        }
        return cls(**{**fitting, **options})

    def _prepare(
        self,
        *,
        dim: int,
        features: int,
        edge_kinds: int,
        hops: int,
        data_scale: float,
        noise_scale: float,
        interpolant: Interpolant | dict[str, Any] | None,
        seed: int,
        **other: Any,
    ) -> None:
        """Check and keep what every network is made with."""
        self.dim, self.hops, self.seed = dim, positive_int(hops, "hops", 0), positive_int(seed, "seed", 0)
        self.features = positive_int(features, "features", 0)
        self.edge_kinds = positive_int(edge_kinds, "edge_kinds", 0)
        for name, value in (("data_scale", data_scale), ("noise_scale", noise_scale)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"expected {name} to be a finite number > 0, got {value!r}")
        self.data_scale, self.noise_scale = float(data_scale), float(noise_scale)
        self.interpolant = _path(interpolant)
        self.config = {
            "kind": type(self).__name__,
            **other,
            "features": features,
            "edge_kinds": edge_kinds,
            "hops": hops,
            "data_scale": self.data_scale,
            "noise_scale": self.noise_scale,
            "interpolant": {
                "kind": type(self.interpolant).__name__,
                **{f.name: getattr(self.interpolant, f.name) for f in dataclasses.fields(self.interpolant)},  # type: ignore[arg-type]
            },
            "seed": seed,
        }

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Torch's own initialisation from the seed; the state of the global generator is put back afterwards."""
        state = torch.default_generator.get_state()
        try:
            torch.default_generator.manual_seed(self.seed)
            yield
        finally:
            torch.default_generator.set_state(state)

    def forward(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        """The estimate of x_1: points ``[*batch, N, d]``, times ``[*batch]`` (or one for all), shape and dtype of x."""
        if not isinstance(x, Tensor) or not isinstance(context, Context | None):
            raise TypeError(f"expected a tensor and a Context, got {type(x).__name__} and {type(context).__name__}")
        if x.ndim < 2 or x.shape[-1] != self.dim or x.shape[-2] < 1 or not x.is_floating_point():
            raise ValueError(f"expected floating points [*batch, N, {self.dim}], got {list(x.shape)} of {x.dtype}")
        batch, points = x.shape[:-2], x.shape[-2]
        times = torch.as_tensor(t, device=x.device).to(x.dtype)
        if times.ndim and times.shape != batch:
            raise ValueError(f"expected times {list(batch)} or one for all, got {list(times.shape)}")
        weight = next(self.parameters())
        times = times.expand(batch).reshape(-1)
        beta, spread = self.interpolant.beta(times) * self.data_scale, self._spread(times)
        total = (beta.square() + spread.square()).sqrt()
        signal, noise = beta / total, spread / total
        conditions = flat_conditions(
            context,
            _time_features(signal, noise).to(weight.dtype),
            batch,
            points,
            features=self.features,
            edge_kinds=self.edge_kinds,
            hops=self.hops,
        )
        unit = centred(x.reshape(-1, points, self.dim), conditions.mask) / total[:, None, None]
        noise_column = noise[:, None, None]
        moved = self._displacement(unit.to(weight.dtype), noise_column.to(weight.dtype), conditions)
        moved = centred(moved, conditions.mask).to(x.dtype)
        return (self.data_scale * (signal[:, None, None] * unit + noise_column * moved)).reshape(x.shape)

    @abstractmethod
    def _displacement(self, x: Tensor, noise: Tensor, conditions: Conditions) -> Tensor:
        """F at clouds of unit size ``[B, N, d]``, shape of x; ``noise`` = sqrt(C / v) is ``[B, 1, 1]``, in [0, 1]."""

    def _spread(self, t: Tensor) -> Tensor:
        return self.interpolant.variance(t, t.new_tensor(self.noise_scale**2)).clamp(min=0.0).sqrt()


def centred(x: Tensor, mask: Tensor | None) -> Tensor:
    """Clouds ``[B, N, d]`` about their centres, padding at zero."""
    if mask is None:
        return x - x.mean(-2, keepdim=True)
    x = torch.where(mask[..., None], x, 0.0)
    mean = x.sum(-2, keepdim=True) / mask.sum(-1)[:, None, None]
    return torch.where(mask[..., None], x - mean, 0.0)


def build_network(config: dict[str, Any]) -> CloudNetwork:
    """The network of a ``network.config``, with the parameters it was born with.

    Raises:
        ValueError: for a kind that is not known, or arguments it does not take.
    """
    arguments = dict(config)
    kind = arguments.pop("kind", None)
    if kind not in CloudNetwork.kinds:
        raise ValueError(f"expected config['kind'] to be one of {sorted(CloudNetwork.kinds)}, got {kind!r}")
    maker: Callable[..., CloudNetwork] = CloudNetwork.kinds[kind]
    unknown = sorted(set(arguments) - set(inspect.signature(maker).parameters))
    if unknown:
        raise ValueError(f"expected arguments of {kind}, got {', '.join(unknown)}; try network.config")
    return maker(**arguments)


def _time_features(signal: Tensor, noise: Tensor) -> Tensor:
    """Smooth functions of the noise level ``[B, 9]``: harmonics of the angle between signal and noise, and a log."""
    angle = torch.atan2(signal, noise)[:, None] * torch.arange(1, 5, device=signal.device, dtype=signal.dtype)
    return torch.cat([angle.sin(), angle.cos(), 0.3 * (noise[:, None] + 1e-3).log()], -1)


def _path(interpolant: Interpolant | dict[str, Any] | None) -> Interpolant:
    if interpolant is None:
        return Linear()
    if isinstance(interpolant, Interpolant):
        return interpolant
    if isinstance(interpolant, dict):
        arguments = dict(interpolant)
        kind = getattr(_interpolants, str(arguments.pop("kind", None)), None)
        if isinstance(kind, type) and issubclass(kind, Interpolant) and not inspect.isabstract(kind):
            return kind(**arguments)
    raise TypeError(f"expected an Interpolant, got {interpolant!r}; try Linear()")
