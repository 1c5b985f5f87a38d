"""The probability-flow ODE."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..._value import positive_int
from ._langevin import LangevinCorrector, check_corrector
from ._lift import Run
from ._sampler import Sampler, check_flag

METHODS = ("heun", "euler")


@dataclass(frozen=True, eq=False, repr=False)
class ODESampler(Sampler):
    """dx = P v dt (v in the total space), by Euler's or Heun's method on equal steps.

    Error after all steps of order 1 / steps (Euler) and 1 / steps^2 (Heun, two calls of the denoiser a step) where
    data have a smooth density and the path no bridge noise (1 / steps with it). An Euler step moves along an exact
    horizontal geodesic: no rotation is left between one state and the next. With an exact equivariant denoiser and
    independent points ``horizontal`` makes no difference, since v is horizontal.

    Args:
        steps: at least 1.
        method: "heun" or "euler".
        horizontal: move along P v; False for the plain sampler of the total space.
        corrector: Langevin steps after each step but the last.

    Raises:
        ValueError: for a method other than heun and euler.
    """

    steps: int = 50
    method: str = "heun"
    horizontal: bool = True
    corrector: LangevinCorrector | None = None

    def __post_init__(self) -> None:
        positive_int(self.steps, "steps")
        check_flag(self.horizontal, "horizontal")
        check_corrector(self.corrector)
        if self.method not in METHODS:
            raise ValueError(f'expected method "heun" or "euler", got {self.method!r}')

    def _step(self, run: Run, x: Tensor, t: float, end: float) -> Tensor:
        if end >= 1:
            return self._arrive(run, x, t)
        first = run.velocity(x, t)
        moved = run.settle(x + (end - t) * first)
        if self.method == "heun":
            moved = run.settle(x + (end - t) / 2 * (first + run.velocity(moved, end)))
        return moved if self.corrector is None else self.corrector.correct(run, moved, end)
