"""The base classes of approximations: a frozen value with options, and the law that fitting it leaves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..._value import Value
from .._draws import Draws, independent_draws
from .._posterior import NetworkPosterior
from .._streams import on_the_cpu
from ..symmetry import NetworkSymmetry

Progress = bool | Callable[[int, float], None]
Rows = tuple[Tensor, Tensor]


class Fitted(ABC):
    """A law of the weights that approximates a posterior.

    Write ``_sample`` and, where there is a density, ``_log_prob``.

    Attributes:
        posterior: what is approximated.
        source: what this law is, in words; the source of its draws.
        info: what fitting it left: seconds, gradient evaluations, validation scores, ...
    """

    source: str = "approximation"

    def __init__(self, posterior: NetworkPosterior, info: Mapping[str, Any]) -> None:
        self.posterior, self.info = posterior, dict(info)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Draws:
        """Independent draws ``[1, n, dim]``."""
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"expected a number of draws n >= 1, got {n!r}")
        with torch.no_grad():
            theta = self._sample(n, on_the_cpu(generator))
        return independent_draws(theta, self.posterior.layout, self.source, **self.info)

    def log_prob(self, theta: Tensor) -> Tensor:
        """Log density ``[*batch]`` at theta ``[*batch, dim]``.

        Raises:
            TypeError: the law has no density (an ensemble is a sum of point masses).
        """
        return self._log_prob(self.posterior.layout.check(theta))

    def _log_prob(self, theta: Tensor) -> Tensor:
        raise TypeError(
            f"expected a law with a density, got {self.source}, because it has none; try MeanField, or score its "
            "predictions"
        )

    @abstractmethod
    def _sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Draws ``[n, dim]``."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source} of {self.posterior!r})"


class Approximation(Value, ABC):
    """A way to approximate a posterior; a frozen value holding its options. Write ``_fit``."""

    def fit(
        self,
        posterior: NetworkPosterior,
        *,
        validation: Rows | None = None,
        seed: int = 0,
        progress: Progress = False,
    ) -> Any:
        """The fitted law.

        Args:
            posterior: the target.
            validation: rows (x, y) that are not part of the posterior's data, for methods that stop or choose by them.
            seed: a non-negative int; the same seed gives the same law.
            progress: a bar, or a function of the step's number and its objective.

        Raises:
            TypeError: ``posterior`` is no :class:`~pyro_symvi.bnn.NetworkPosterior`.
            ValueError: a seed or validation rows that do not fit.
        """
        if not isinstance(posterior, NetworkPosterior):
            raise TypeError(f"expected a NetworkPosterior, got {type(posterior).__name__}")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ValueError(f"expected seed as a non-negative int, got {seed!r}, because it keys random streams")
        if not (isinstance(progress, bool) or callable(progress)):
            raise TypeError(f"expected progress as True, False or a function, got {progress!r}")
        rows = None if validation is None else _checked_rows(posterior, validation)
        return self._fit(posterior, rows, seed, progress)

    @abstractmethod
    def _fit(self, posterior: NetworkPosterior, validation: Rows | None, seed: int, progress: Progress) -> Any: ...


def _checked_rows(posterior: NetworkPosterior, validation: object) -> Rows:
    if not (isinstance(validation, tuple | list) and len(validation) == 2):
        raise TypeError(f"expected validation as a pair (x, y), got {type(validation).__name__}")
    x, y = validation
    if not (isinstance(x, Tensor) and isinstance(y, Tensor)) or x.shape[1:] != posterior.x.shape[1:]:
        shapes = [list(v.shape) if isinstance(v, Tensor) else type(v).__name__ for v in (x, y)]
        raise ValueError(
            f"expected validation inputs as a tensor [n, {', '.join(map(str, posterior.x.shape[1:]))}] and targets, "
            f"got {shapes[0]} and {shapes[1]}"
        )
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(f"expected as many validation inputs as targets, at least one, got {len(x)} and {len(y)}")
    if not bool(torch.isfinite(x).all()) or not bool(torch.isfinite(y).all()):
        raise ValueError("expected finite validation rows, got nan or infinity; try to drop or impute them")
    x = x.to(posterior.x)
    outputs = posterior.outputs(x.new_zeros(1, posterior.dim), x[:1]).shape[-1]
    y = posterior.likelihood.check(y.to(posterior.dtype) if y.is_floating_point() else y, outputs)
    return x, y.to(x.device)


def positive(value: object, name: str, why: str) -> None:
    """Refuse what is no finite positive number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"expected {name} as a finite positive number, got {value!r}, because it is {why}")


def check_base_and_symmetry(base: object, symmetry: object) -> None:
    """Refuse what approximations made from another one and a symmetry cannot stand on."""
    if not isinstance(base, Approximation):
        raise TypeError(f"expected an approximation as base, got {base!r}; try MeanField()")
    if symmetry is not None and not isinstance(symmetry, NetworkSymmetry):
        raise TypeError(f"expected a NetworkSymmetry or None, got {symmetry!r}; try NetworkSymmetry.of")
