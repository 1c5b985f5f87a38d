"""The f-divergence of any convex function."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor

from pyro_symvi.divergences._log_space import log_mean_exp
from pyro_symvi.divergences.non_alpha import NonAlpha


@dataclass(frozen=True, repr=False)
class FDivergence(NonAlpha):
    """``D_f(P || Q) = int q f(p / q)`` for any convex f with f(1) = 0, twice differentiable, as a function of *log u*.

    The normaliser does **not** cancel: the minimiser of ``mean_k f(w_k / Z)`` depends on Z, so that ``objective`` and
    every gradient need ``log_normalizer``: 0 for a target that integrates to 1, the log evidence if it is known. Then
    they are unbiased for any number of particles. Without it only :meth:`value` is available, which puts the particles'
    own mean for Z (consistent, biased).

    Source: Ali & Silvey (1966), "A general class of coefficients of divergence of one distribution from another".

    Args:
        f: ``log u -> f(u)``, elementwise on tensors, ``f(1) = 0``, convex in u; its value at ``log u = -inf`` is used
            where the guide leaves the target's support. ``generators`` holds some.
        log_normalizer: log Z of the target; None if it is unknown.

    Raises:
        TypeError: f is no function of a tensor, ``log_normalizer`` no number.
        ValueError: ``f(1)`` is not 0; f is not convex (on a grid of u from 0.02 to 50), a concave one would be
            maximised; ``log_normalizer`` is not finite.

    >>> from pyro_symvi.divergences.generators import jensen_shannon
    >>> FDivergence(jensen_shannon).normalizer_cancels
    False
    """

    f: Callable[[Tensor], Tensor]
    log_normalizer: float | None = None

    formula: ClassVar[str] = "int q f(p / q)"

    def __post_init__(self) -> None:
        _check_generator(self.f)
        log_z = self.log_normalizer
        if log_z is None:
            return
        if isinstance(log_z, bool) or not isinstance(log_z, Real):
            raise TypeError(
                f"expected log_normalizer to be a number or None, got {log_z!r}, because it is log Z of the target; "
                "try 0.0 for a normalised target"
            )
        if not abs(float(log_z)) < float("inf"):
            raise ValueError(
                f"expected a finite log_normalizer, got {log_z!r}, because it is subtracted from every log-weight; try "
                "0.0 for a normalised target"
            )
        object.__setattr__(self, "log_normalizer", float(log_z))

    def __repr__(self) -> str:
        """With the function's name, the same in every process."""
        name = getattr(self.f, "__qualname__", type(self.f).__name__)
        return f"FDivergence(f={name}, log_normalizer={self.log_normalizer})"

    @property
    def normalizer_cancels(self) -> bool:
        """False."""
        return False

    @property
    def is_biased(self) -> bool:
        """False: a mean over particles, the normaliser being known."""
        return False

    def _objective(self, log_weights: Tensor) -> Tensor:
        return self.f(self._normalized(log_weights)).mean(0)

    def _value(self, log_weights: Tensor) -> Tensor:
        return self.f(log_weights - log_mean_exp(log_weights)).mean(0)

    def _score_weights(self, log_weights: Tensor) -> Tensor:
        value, first, _ = self._derivatives(log_weights)
        scores = value - first
        particles = log_weights.shape[0]
        return scores / particles if particles == 1 else (scores - scores.mean(0)) / (particles - 1)

    def _path_weights(self, log_weights: Tensor) -> Tensor:
        _, first, second = self._derivatives(log_weights)
        return -(second - first) / log_weights.shape[0]

    def _derivatives(self, log_weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The generator and its first two derivatives in log u, at the normalised weights."""
        with torch.enable_grad():
            l = self._normalized(log_weights).detach().requires_grad_()
            value = self.f(l)
            (first,) = torch.autograd.grad(value.sum(), l, create_graph=True)
            second = torch.zeros_like(l)
            if first.requires_grad:
                (second,) = torch.autograd.grad(first.sum(), l)
        return value.detach(), first.detach(), second

    def _normalized(self, log_weights: Tensor) -> Tensor:
        if self.log_normalizer is None:
            raise ValueError(
                f"expected the target's normaliser for {self!r}, got log_normalizer=None, because the minimiser of a "
                "general f-divergence depends on it; try FDivergence(f, log_normalizer=0.0) if the target integrates "
                "to 1, its log evidence if that is known, or Alpha(...) or Jeffreys(), from which it cancels"
            )
        return log_weights - self.log_normalizer


def _check_generator(f: object) -> None:
    log_u = torch.linspace(-4.0, 4.0, 81, dtype=torch.float64)
    if not callable(f):
        raise TypeError(f"expected f to be a function of log u, got {f!r}; try generators.jensen_shannon")
    values = f(log_u)
    if not isinstance(values, Tensor) or values.shape != log_u.shape:
        raise TypeError(
            f"expected f to map a tensor to a tensor of its shape, got {type(values).__name__}, because it acts on "
            "each weight by itself; try torch functions of log u"
        )
    scale = 1e-9 * (1.0 + float(values.abs().max()))
    if not abs(float(values[40])) <= scale:
        raise ValueError(
            f"expected f(1) = 0, got {float(values[40]):g} at log u = 0, because a divergence is zero where p = q; try "
            "subtracting it (f is a function of log u)"
        )
    slopes = values.detach().diff() / log_u.exp().diff()
    if not bool((slopes.diff() >= -1e-6 * (1.0 + slopes[1:].abs())).all()):
        raise ValueError(
            "expected f convex in u, got chords whose slope falls (or nan), because a concave f gives no divergence, "
            "and minimising it would drive the guide away; try the opposite sign (f is a function of log u)"
        )
