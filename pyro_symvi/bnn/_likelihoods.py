"""What the outputs of a network say of the targets."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import pyro.distributions as dist
import torch
from torch import Tensor

from .._value import Value, positive_int

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
#: Standard deviations are kept within exp(-LIMIT) and exp(LIMIT), about 1e-6 to 1e6.
LOG_SCALE_LIMIT = 6 * math.log(10)


class Likelihood(Value, ABC):
    """p(y | outputs, extra): independent rows given the outputs ``[*batch, n, outputs]``.

    ``extra`` ``[*batch, len(extra_names)]`` are parameters of its own, with a prior of their own. Write ``_log_prob``
    and, where speed matters, ``_scores`` (the gradient with respect to outputs and extra, written out).
    """

    #: Names of the likelihood's own parameters in the layout.
    extra_names: tuple[str, ...] = ()
    #: Whether the targets are classes.
    is_classification: bool = False

    @abstractmethod
    def outputs_for(self, y: Tensor) -> int:
        """How many outputs the network must have for targets y."""

    def check(self, y: Tensor, outputs: int) -> Tensor:
        """The targets as ``log_prob`` wants them: ``[n, m]`` floats, or ``[n]`` ints for classes."""
        if not isinstance(y, Tensor):
            raise TypeError(f"expected targets as a tensor, got {type(y).__name__}; try torch.as_tensor(y)")
        y = self._targets(y)
        if outputs != self.outputs_for(y):
            raise ValueError(
                f"expected a network with {self.outputs_for(y)} outputs, got {outputs}, because {self!r} needs as many "
                f"for targets of shape {list(y.shape)}; try to change the last layer"
            )
        return y

    def _targets(self, y: Tensor) -> Tensor:
        if y.ndim not in (1, 2) or not y.is_floating_point():
            raise ValueError(
                f"expected real targets [n] or [n, m], got {y.dtype} of shape {list(y.shape)}, because {self!r} is a "
                "law of real numbers; try y.double(), or Categorical(classes) for classes"
            )
        return y[:, None] if y.ndim == 1 else y

    def log_prob(self, outputs: Tensor, y: Tensor, extra: Tensor) -> Tensor:
        """Log density of each row, ``[*batch, n]``."""
        return self._log_prob(outputs, y, extra)

    def scores(self, outputs: Tensor, y: Tensor, extra: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sum over rows of the log density ``[*batch]``, its gradient in outputs and in extra."""
        return self._scores(outputs, y, extra)

    @abstractmethod
    def _log_prob(self, outputs: Tensor, y: Tensor, extra: Tensor) -> Tensor: ...

    def _scores(self, outputs: Tensor, y: Tensor, extra: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.enable_grad():
            o, e = outputs.detach().requires_grad_(), extra.detach().requires_grad_()
            value = self._log_prob(o, y, e).sum(-1)
            found = torch.autograd.grad(value.sum(), (o, e), allow_unused=True)
        return value.detach(), found[0], torch.zeros_like(extra) if found[1] is None else found[1]

    @abstractmethod
    def predictive(self, outputs: Tensor, extra: Tensor) -> dist.TorchDistribution:
        """The law of the targets, batch ``[*batch, n]`` (event ``[m]`` for real targets)."""

    def log_prior(self, extra: Tensor) -> Tensor:
        """Log prior density of the likelihood's own parameters, ``[*batch]``."""
        return extra.new_zeros(extra.shape[:-1])

    def prior_score(self, extra: Tensor) -> Tensor:
        """Its gradient, shape of extra."""
        return torch.zeros_like(extra)

    def sample_extra(self, n: int, *, dtype: torch.dtype, generator: torch.Generator | None = None) -> Tensor:
        """Draws ``[n, len(extra_names)]`` from that prior."""
        return torch.zeros(n, 0, dtype=dtype)

    def extra_law(self, index: int, like: Tensor) -> dist.TorchDistribution:
        """The prior of parameter ``index`` alone, a scalar law in the dtype and on the device of ``like``."""
        raise ValueError(
            f"expected a likelihood that gives the laws of its own parameters, got {type(self).__name__} without one "
            f"of {self.extra_names[index]!r}, because a Pyro model samples it; try to write extra_law"
        )


def _zero_outside(gradient: Tensor, raw: Tensor) -> Tensor:
    """The backward pass of clamping: zero where ``raw`` is beyond the limit."""
    found: Tensor = torch.ops.aten.hardtanh_backward(gradient, raw, -LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)
    return found


def _independent_normal(loc: Tensor, scale: Tensor) -> dist.TorchDistribution:
    return dist.Independent(dist.Normal(loc, scale.expand_as(loc), validate_args=False), 1, validate_args=False)


@dataclass(frozen=True, eq=False, repr=False)
class GaussianNoise(Likelihood):
    """y ~ N(output, scale^2) with a known standard deviation ``scale``; one output a target.

    Raises:
        ValueError: unless the scale is finite and positive.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.scale, bool) or not isinstance(self.scale, int | float) or not 0 < self.scale < math.inf:
            raise ValueError(
                f"expected a finite positive scale, got {self.scale!r}; try LearnedGaussianNoise() to infer it"
            )

    def outputs_for(self, y: Tensor) -> int:
        return y.shape[1]

    def _log_prob(self, outputs: Tensor, y: Tensor, extra: Tensor) -> Tensor:
        z = (y - outputs) / self.scale
        return (-0.5 * z.square() - (math.log(self.scale) + _HALF_LOG_2PI)).sum(-1)

    def _scores(self, outputs: Tensor, y: Tensor, extra: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        residual = y - outputs
        precision = self.scale**-2
        value = -0.5 * precision * residual.square().sum((-1, -2)) - y.numel() * (math.log(self.scale) + _HALF_LOG_2PI)
        return value, residual * precision, torch.zeros_like(extra)

    def predictive(self, outputs: Tensor, extra: Tensor) -> dist.TorchDistribution:
        return _independent_normal(outputs, outputs.new_tensor(self.scale))


@dataclass(frozen=True, eq=False, repr=False)
class LearnedGaussianNoise(Likelihood):
    """y ~ N(output, exp(2 s)) with one unknown s = log standard deviation ~ N(prior_loc, prior_scale^2).

    Raises:
        ValueError: unless the prior's location is finite and its scale finite and positive.
    """

    prior_loc: float = 0.0
    prior_scale: float = 1.0
    extra_names = ("noise.log_scale",)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.prior_loc) and 0 < self.prior_scale < math.inf):
            raise ValueError(f"expected a finite loc and a positive scale, got {self.prior_loc}, {self.prior_scale}")

    def outputs_for(self, y: Tensor) -> int:
        return y.shape[1]

    def _log_prob(self, outputs: Tensor, y: Tensor, extra: Tensor) -> Tensor:
        s = extra[..., :, None].clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)
        return (-0.5 * ((y - outputs) * (-s).exp()).square() - s - _HALF_LOG_2PI).sum(-1)

    def _scores(self, outputs: Tensor, y: Tensor, extra: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        s = extra.clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)
        residual = y - outputs
        precision = (-2 * s).exp()
        energy = residual.square().sum((-1, -2)) * precision[..., 0]
        value = -0.5 * energy - y.numel() * (s[..., 0] + _HALF_LOG_2PI)
        inside = (extra.abs() <= LOG_SCALE_LIMIT).to(extra.dtype)
        return value, residual * precision[..., None], (energy - y.numel())[..., None] * inside

    def predictive(self, outputs: Tensor, extra: Tensor) -> dist.TorchDistribution:
        return _independent_normal(outputs, extra[..., :, None].clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT).exp())

    def log_prior(self, extra: Tensor) -> Tensor:
        z = (extra[..., 0] - self.prior_loc) / self.prior_scale
        return -0.5 * z.square() - math.log(self.prior_scale) - _HALF_LOG_2PI

    def prior_score(self, extra: Tensor) -> Tensor:
        return -(extra - self.prior_loc) / self.prior_scale**2

    def sample_extra(self, n: int, *, dtype: torch.dtype, generator: torch.Generator | None = None) -> Tensor:
        return self.prior_loc + self.prior_scale * torch.randn(n, 1, generator=generator, dtype=dtype)

    def extra_law(self, index: int, like: Tensor) -> dist.TorchDistribution:
        return dist.Normal(like.new_tensor(self.prior_loc), like.new_tensor(self.prior_scale))


@dataclass(frozen=True, eq=False, repr=False)
class HeteroscedasticGaussian(Likelihood):
    """y_k ~ N(o_k, exp(2 o_{m + k})): two heads a target, mean and log standard deviation (kept within 1e-6..1e6)."""

    def outputs_for(self, y: Tensor) -> int:
        return 2 * y.shape[1]

    @staticmethod
    def _heads(outputs: Tensor) -> tuple[Tensor, Tensor]:
        loc, s = outputs.chunk(2, -1)
        return loc, s.clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT)

    def _log_prob(self, outputs: Tensor, y: Tensor, extra: Tensor) -> Tensor:
        loc, s = self._heads(outputs)
        return (-0.5 * ((y - loc) * (-s).exp()).square() - s - _HALF_LOG_2PI).sum(-1)

    def _scores(self, outputs: Tensor, y: Tensor, extra: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loc, s = self._heads(outputs)
        weight = torch.neg(s).exp_()
        z = torch.sub(y, loc).mul_(weight)
        by_loc = z * weight
        energy = z.square_()
        value = (energy * -0.5).sub_(s).sum((-1, -2)) - y.numel() * _HALF_LOG_2PI
        by_s = _zero_outside(energy.sub_(1), outputs.chunk(2, -1)[1])
        cotangent = torch.cat([by_loc.mT, by_s.mT], -2).mT  # rows last in memory, as products want them
        return value, cotangent, torch.zeros_like(extra)

    def predictive(self, outputs: Tensor, extra: Tensor) -> dist.TorchDistribution:
        loc, s = self._heads(outputs)
        return _independent_normal(loc, s.exp())


@dataclass(frozen=True, eq=False, repr=False)
class Categorical(Likelihood):
    """P(y = k) = softmax(outputs)_k for classes 0 .. classes - 1."""

    classes: int
    is_classification = True

    def __post_init__(self) -> None:
        positive_int(self.classes, "classes", 2)

    def outputs_for(self, y: Tensor) -> int:
        return self.classes

    def _targets(self, y: Tensor) -> Tensor:
        if y.ndim != 1 or y.is_floating_point() or y.is_complex():
            raise ValueError(
                f"expected classes [n] as ints, got {y.dtype} of shape {list(y.shape)}, because {self!r} is a law of "
                "classes; try y.long()"
            )
        if y.numel() and not (0 <= int(y.min()) and int(y.max()) < self.classes):
            raise ValueError(
                f"expected classes from 0 to {self.classes - 1}, got {int(y.min())} to {int(y.max())}, because the "
                f"likelihood has {self.classes} classes; try to number the classes from 0"
            )
        return y.long()

    def _log_prob(self, outputs: Tensor, y: Tensor, extra: Tensor) -> Tensor:
        logits = outputs.log_softmax(-1)
        return logits.gather(-1, y[:, None].expand(*logits.shape[:-1], 1))[..., 0]

    def _scores(self, outputs: Tensor, y: Tensor, extra: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = outputs.log_softmax(-1)
        index = y[:, None].expand(*logits.shape[:-1], 1)
        value = logits.gather(-1, index)[..., 0].sum(-1)
        gradient = -logits.exp()
        gradient.scatter_add_(-1, index, torch.ones_like(index, dtype=gradient.dtype))
        return value, gradient, torch.zeros_like(extra)

    def predictive(self, outputs: Tensor, extra: Tensor) -> dist.TorchDistribution:
        return dist.Categorical(logits=outputs, validate_args=False)
