"""The base class of samplers: checks, the loop over times, progress and trajectories."""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..._value import Value
from .._context import Context
from .._process import Denoiser, Diffusion
from ._lift import DERIVED, Run


class Sampler(Value, ABC):
    """Draws data from noise in ``steps`` steps of equal length, t from 0 to 1.

    To implement one, write a frozen dataclass (``eq=False, repr=False``) with ``steps`` and ``_step``, and call
    ``positive_int(self.steps, "steps")`` when it is made.

    The last interval is never left to the velocity, which is singular at t = 1 where data are: it is the step
    x <- D(x, t), of which samplers of the quotient take the horizontal part, x <- x + P(D - x).
    """

    steps: int
    horizontal: bool = False

    def sample(
        self,
        diffusion: Diffusion,
        denoiser: Denoiser,
        shape: Sequence[int],
        context: Context | None = None,
        *,
        start: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
        progress: bool = False,
        trajectory: bool = False,
    ) -> Tensor:
        """Draws ``[*batch, *event_shape]``; nothing is differentiated.

        Args:
            diffusion: action, path and prior.
            denoiser: an estimate of E[x_1 | x_t]; called once a step (twice by Heun's method).
            shape: of the result, ``(*batch, N, d)`` for clouds.
            context: of the points; it may lack leading batch dimensions, which are then added.
            start: the state at t = 0 instead of a draw from the prior; its dtype and device are then those of the
                result.
            dtype: of the result.
            device: of the result.
            generator: of all random numbers.
            progress: whether to show a bar.
            trajectory: return the states at all steps + 1 times, ``[steps + 1, *batch, *event_shape]``.

        Raises:
            ValueError: for shapes that do not fit, a start that is not finite, a denoiser whose output is not.
            TypeError: for arguments of the wrong kind.

        Limits: a state whose points all lie in one place has no orbit to be horizontal to (P = 1, H = 0); a straight
        cloud has one of lower dimension. Both are left at once, and repelled, by the noise of an SDE; a deterministic
        path stays in them if the denoiser does.
        """
        return self._sample(
            diffusion, denoiser, shape, context, start, dtype, device, generator, progress, trajectory, DERIVED
        )

    @torch.no_grad()
    def _sample(
        self,
        diffusion: Diffusion,
        denoiser: Denoiser,
        shape: Sequence[int],
        context: Context | None,
        start: Tensor | None,
        dtype: torch.dtype,
        device: torch.device | str | None,
        generator: torch.Generator | None,
        progress: bool,
        trajectory: bool,
        curvature: float,
    ) -> Tensor:
        """``sample`` with the sign of the curvature's drift as an argument, for tests."""
        checked = check_shape(diffusion, denoiser, shape)
        context = fit_context(context, checked)
        run = Run(diffusion, denoiser, context, generator, self.horizontal, curvature)
        if start is None:
            like = torch.zeros(checked, dtype=dtype, device=device)
            if not like.is_floating_point():
                raise TypeError(f"expected a real floating dtype, got {dtype}; try torch.float32")
            x = diffusion.sample_prior(like, context, generator=generator)
        else:
            x = diffusion.centre(check_points(start, checked, "start"), context)
        states = [x]
        for k in tqdm(range(self.steps), desc="sample", disable=not progress):
            x = self._step(run, x, k / self.steps, (k + 1) / self.steps)
            if trajectory:
                states.append(x)
        return torch.stack(states) if trajectory else x

    @abstractmethod
    def _step(self, run: Run, x: Tensor, t: float, end: float) -> Tensor:
        """The state at time ``end``, from that at t; end = 1 in the last step."""

    def _arrive(self, run: Run, x: Tensor, t: float) -> Tensor:
        """The last step, x + P(D - x)."""
        denoised = run.denoise(x, t)
        return run.settle(x + run.project(x, denoised - x)) if run.horizontal else denoised


def check_shape(diffusion: Diffusion, denoiser: Denoiser, shape: Sequence[int]) -> torch.Size:
    """The shape of points, or an error that says what is wrong with it."""
    if not isinstance(diffusion, Diffusion):
        raise TypeError(f"expected a Diffusion, got {type(diffusion).__name__}; try Diffusion()")
    if not callable(denoiser):
        raise TypeError(f"expected a denoiser D(x, t, context), got {type(denoiser).__name__}")
    try:
        shape = tuple(operator.index(size) for size in shape)
    except TypeError as error:
        raise TypeError(f"expected shape as integers (*batch, *event_shape), got {shape!r}; try (10, 5, 3)") from error
    event = diffusion.action.event_shape
    sizes = shape[max(0, len(shape) - len(event)) :]
    fits = len(sizes) == len(event) and all(want in (-1, size) for want, size in zip(event, sizes, strict=True))
    if not fits or min(shape, default=1) < 0 or min(sizes, default=1) < 1:
        text = ", ".join("N" if size == -1 else str(size) for size in event)
        raise ValueError(
            f"expected shape (*batch, {text}), got {shape}, because these are the points of {diffusion.action!r}"
        )
    return torch.Size(shape)


def check_points(x: Tensor, shape: torch.Size, name: str) -> Tensor:
    """Points of this shape, finite and of a floating dtype, without their history."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise TypeError(f"expected {name} as a tensor of a floating dtype, got {getattr(x, 'dtype', type(x).__name__)}")
    if x.shape != shape:
        raise ValueError(f"expected {name} of shape {list(shape)}, got {list(x.shape)}")
    bad = ~torch.isfinite(x)
    if bool(bad.any()):
        raise ValueError(f"expected finite {name}, got nan or inf in {int(bad.sum())} of {x.numel()} coordinates")
    return x.detach()


def check_before_data(t: float, x: Tensor, name: str) -> None:
    """Refuse a time that rounds to 1 in the dtype of x."""
    if not float(x.new_tensor(t)) < 1:
        raise ValueError(
            f"expected {name} below 1 in {x.dtype}, got {t!r}, because it rounds to 1, where the score is singular; "
            "try x.double()"
        )


def fit_context(context: Context | None, shape: torch.Size) -> Context | None:
    """The context with the batch dimensions of points of this shape."""
    if not isinstance(context, Context | None):
        raise TypeError(f"expected a Context or None, got {type(context).__name__}; try Context(mask=...)")
    if context is None or context.shape is None:
        return context
    wanted, have = shape[:-1], context.shape
    if len(have) > len(wanted) or tuple(wanted[len(wanted) - len(have) :]) != tuple(have):
        raise ValueError(
            f"expected a context [*batch, N] that fits points of shape {list(shape)}, got {list(have)}; "
            "try context[index], one row a cloud"
        )
    extra = wanted[: len(wanted) - len(have)]
    return context.expand(*extra) if extra else context


def check_flag(value: object, name: str) -> None:
    """Refuse what is no bool."""
    if not isinstance(value, bool):
        raise TypeError(f"expected {name} as True or False, got {value!r}")


def check_number(value: object, name: str, low: float, high: float) -> None:
    """A finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected {name} as a number, got {value!r}")
    if not (low <= value <= high and math.isfinite(value)):
        raise ValueError(f"expected {name} finite and in [{low:g}, {high:g}], got {value!r}")
