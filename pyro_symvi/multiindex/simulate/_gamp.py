"""Generalised approximate message passing for single-index models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import positive_int
from ..channels import GaussianChannel
from ._draws import private_generator, require_channel
from ._output import OutputFunction
from ._rows import checked_data, fields, pulls, row_counts, segments
from ._starts import STARTS, Start, matched_start

_ROWS = {"cpu": 8192, "cuda": 2**17}
"""Rows of x between two sums: beyond x and the messages no memory grows with n."""


@dataclass(frozen=True, eq=False)
class GampResult:
    """Estimates of message passing and their course. Axes of data sets S and ratios R are there if asked for.

    Where the Bayes-optimal state evolution holds, overlap, length and 1 - variance agree, and so does the squared
    cosine. An overlap far from the length says that the algorithm believes in an overlap that it does not have.

    Attributes:
        estimate: posterior mean of w, ``[S, R, d]``; |w| = 1.
        length: |estimate|^2 at the start and after each iteration, ``[T + 1, S, R]``.
        variance: posterior variance in units of that of the prior, in (0, 1], likewise.
        overlap: estimate . w likewise; None without the truth. Its sign is arbitrary for even activations.
        converged: whether the last step was shorter than ``tol``, ``[S, R]``.
        iterations: T, the iterations made.
    """

    estimate: Tensor
    length: Tensor
    variance: Tensor
    overlap: Tensor | None
    converged: Tensor
    iterations: int

    @property
    def squared_cosine(self) -> Tensor:
        """Squared cosine between estimate and truth at each iteration, ``[T + 1, S, R]``."""
        if self.overlap is None:
            raise ValueError("expected overlaps, got none, because gamp was called without truth; try truth=w")
        return self.overlap.square() / self.length.clamp_min(torch.finfo(self.length.dtype).tiny)


def gamp(
    x: Tensor,
    y: Tensor,
    channel: GaussianChannel,
    *,
    start: str | Tensor = "random",
    start_overlap: float | None = None,
    truth: Tensor | None = None,
    ratios: Sequence[float] | None = None,
    iterations: int = 100,
    damping: float = 0.0,
    tol: float = 1e-5,
    seed: int = 0,
    generator: torch.Generator | None = None,
) -> GampResult:
    r"""Bayes-optimal GAMP for y = sqrt(snr) sigma(w.x) + xi with the prior w ~ N(0, I/d) (Rangan 2011).

    .. math::
        \omega &= X a - V g_{prev}, \quad g = g_{out}(y, \omega, V), \quad A = |g|^2/d, \\
        a &\leftarrow (A a + X^T g/d)/(1 + A), \quad V \leftarrow 1/(1 + A).

    Data sets are a leading batch axis; several ratios share one x, each with its first rows, and one product with x
    serves them all. Memory beyond x: n S R numbers of messages and some 20 MB (0.5 GB on a GPU). On a GPU leave
    products in full float32 (torch's default): TF32 is too coarse for the differences taken here.

    Args:
        x: inputs ``[n, d]`` or ``[S, n, d]``, float32 or float64.
        y: outputs ``[n]`` or ``[S, n]``.
        channel: the law of the outputs.
        start: ``"random"``, ``"spectral"``, ``"informed"`` (near the truth), or a first estimate that broadcasts to
            ``[S, R, d]``.
        start_overlap: the overlap q in (0, 1) that the start is taken to have: its squared length is q and its
            variance 1 - q. By default 1/d at random, 0.9 if informed, what theory predicts for a spectral start
            (d^{-1/2} at least), and the squared length for a tensor. A start that claims more than it has is
            mismatched: message passing then ends sure of a wrong direction (length near 1, cosine near 0).
        truth: w, ``[d]`` or ``[S, d]``: for the overlaps and the informed start.
        ratios: n / d of the sample sizes, with an axis ``[R]`` in the results.
        iterations: most iterations.
        damping: weight of the old estimate and variance in [0, 1). State evolution is exact at 0 alone.
        tol: length of a step, where |w| = 1, at which a ratio is left alone once all its data sets are there.
        seed: of the random part of a start.
        generator: used instead of ``seed``.

    Raises:
        ValueError: shapes that do not fit, an unknown start, an informed start without the truth.
    """
    require_channel(channel)
    x, y, several = checked_data(x, y)
    counts = row_counts(x, ratios)
    if truth is not None:
        truth = (truth if truth.ndim == 2 else truth[None]).to(x).expand(x.shape[0], x.shape[-1])
    _check_numbers(iterations, damping, start_overlap)
    source = private_generator(seed, x.device) if generator is None else generator
    if isinstance(start, str):
        if start not in STARTS:
            raise ValueError(f"expected start to be a tensor or one of {', '.join(STARTS)}, got {start!r}")
        begin = matched_start(
            start, x, y, channel, counts, truth=truth, overlap=start_overlap, generator=source
        )  # fmt: skip
    else:
        begin = _given(start, x, len(counts), start_overlap)
    return _iterate(x, y, channel, counts, begin, truth, iterations, damping, tol, (several, ratios is not None))


def _check_numbers(iterations: int, damping: float, overlap: float | None) -> None:
    positive_int(iterations, "iterations")
    if not 0 <= damping < 1:
        raise ValueError(f"expected damping in [0, 1), got {damping}, because 1 keeps the start for ever")
    if overlap is not None and not 0 < overlap < 1:
        raise ValueError(f"expected start_overlap in (0, 1), got {overlap}, because 1 - start_overlap is a variance")


def _given(start: Tensor, x: Tensor, columns: int, overlap: float | None) -> Start:
    sets, dim = x.shape[0], x.shape[-1]
    if start.shape[-1] != dim or not bool(torch.isfinite(start).all()):
        raise ValueError(
            f"expected a finite start of {dim} entries, got shape {list(start.shape)}; see truth and ratios"
        )
    estimate = start.to(x).expand(sets, columns, dim).clone()
    length = estimate.square().sum(-1)
    if overlap is None and not bool(((length > 0) & (length < 1)).all()):
        raise ValueError(
            f"expected a start of length between 0 and 1, got {float(length.max()) ** 0.5:.6g}, because its squared "
            "length is taken for its overlap; try start_overlap"
        )
    return Start(estimate, length if overlap is None else torch.full_like(length, overlap))


def _iterate(
    x: Tensor, y: Tensor, channel: GaussianChannel, counts: Sequence[int], begin: Start, truth: Tensor | None,
    iterations: int, damping: float, tol: float, axes: tuple[bool, bool],
) -> GampResult:  # fmt: skip
    dim = x.shape[-1]
    output = OutputFunction(channel, x.dtype)
    estimate, variance = begin.estimate, 1 - begin.overlap
    messages = x.new_zeros(*y.shape, len(counts)) if begin.messages is None else begin.messages
    course = [(estimate.square().sum(-1), variance, _overlap(estimate, truth))]
    converged = torch.zeros_like(variance, dtype=torch.bool)
    for _ in range(iterations):
        live = torch.nonzero(~converged.all(0))[:, 0].tolist()
        if not live:
            break
        pull, information = torch.zeros_like(estimate), torch.zeros_like(variance)
        for rows, part_of_live in segments([counts[c] for c in live], _ROWS.get(x.device.type, 8192)):
            using = [live[c] for c in part_of_live]
            part, v = x[:, rows], variance[:, using]
            omega = fields(part, estimate[:, using]) - v[:, None] * messages[:, rows, using]
            g = output(y[:, rows], omega, v)
            messages[:, rows, using] = g
            pull[:, using] += pulls(part, g)
            information[:, using] += g.square().sum(1)
        gain = information[:, live, None] / dim
        old = estimate[:, live]
        new = (1 - damping) * (gain * old + pull[:, live] / dim) / (1 + gain) + damping * old
        estimate, variance, converged = estimate.clone(), variance.clone(), converged.clone()
        estimate[:, live] = new
        variance[:, live] = (1 - damping) / (1 + gain[..., 0]) + damping * variance[:, live]
        converged[:, live] = (new - old).norm(dim=-1) <= tol
        course.append((estimate.square().sum(-1), variance, _overlap(estimate, truth)))

    def shaped(part: Tensor, before: int) -> Tensor:
        part = part if axes[1] else part.squeeze(before + 1)
        return part if axes[0] else part.squeeze(before)

    length, variances, overlap = (torch.stack(part) for part in zip(*course, strict=True))
    return GampResult(
        shaped(estimate, 0), shaped(length, 1), shaped(variances, 1),
        None if truth is None else shaped(overlap, 1), shaped(converged, 0), len(course) - 1,
    )  # fmt: skip


def _overlap(estimate: Tensor, truth: Tensor | None) -> Tensor:
    """Estimate times truth ``[S, C]``; zeros without the truth."""
    return torch.zeros_like(estimate[..., 0]) if truth is None else (estimate * truth[:, None]).sum(-1)
