"""The law along a rescaling orbit under normal, Laplace and flat priors, drawn exactly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Proposals made at once; all are refused with a probability below 1e-8, and the move then stays where it is.
TRIES = 16
_SLACK = 1e-9  # the flat top lies so far above the density at the mode as found


@dataclass(frozen=True)
class OrbitLaw:
    """The law of y = log c on the line, entry by entry of tensors ``[*batch]``.

    Log density D y - a2 e^(2 y) / 2 - a1 e^y - b2 e^(-2 k y) / 2 - b1 e^(-k y): that of a unit with p weights in and q
    out, moved to (c w, c^-k v), given all that the move leaves alone. D = p - k q is the logarithmic derivative of the
    volume, a2 = sum w^2 / scale^2 over the weights in with a normal prior, a1 = sum |w| / scale over those with a
    Laplace prior, b2 and b1 the same of the weights out; those with a flat prior count in D alone. With normal priors
    and k = 1, c^2 follows the generalised inverse Gaussian law with order (p - q) / 2. Strictly log-concave.
    """

    drift: Tensor
    a2: Tensor
    a1: Tensor
    b2: Tensor
    b1: Tensor
    degree: float

    @property
    def proper(self) -> Tensor:
        """Where the law can be normalised: both ends of the line are held down."""
        right = (self.a2 + self.a1 > 0) | (self.drift < 0)
        left = (self.b2 + self.b1 > 0) | (self.drift > 0)
        return right & left

    def log_density(self, y: Tensor) -> Tensor:
        """Up to a constant; 0 at y = 0."""
        k = self.degree
        value = self.drift * y - 0.5 * self.a2 * torch.expm1(2 * y) - self.a1 * torch.expm1(y)
        return value - 0.5 * self.b2 * torch.expm1(-2 * k * y) - self.b1 * torch.expm1(-k * y)

    def slope(self, y: Tensor) -> Tensor:
        """Its derivative."""
        k = self.degree
        value = self.drift - self.a2 * (2 * y).exp() - self.a1 * y.exp()
        return value + k * (self.b2 * (-2 * k * y).exp() + self.b1 * (-k * y).exp())

    @property
    def curvature(self) -> Tensor:
        """Minus the second derivative at y = 0."""
        k = self.degree
        return 2 * self.a2 + self.a1 + k**2 * (2 * self.b2 + self.b1)

    def moved(self, y: Tensor) -> OrbitLaw:
        """The law of what is left after a move by y."""
        k = self.degree
        into, out = y.exp(), (-k * y).exp()
        return OrbitLaw(self.drift, self.a2 * into**2, self.a1 * into, self.b2 * out**2, self.b1 * out, k)

    def mode(self) -> Tensor:
        """Where the density is largest, to 1e-10.

        With k = 1 and no Laplace priors a quadratic equation in e^(2 y). Else the positive and the negative part of
        the slope are equal there: the logarithm of their ratio rises in y with a slope between min(1, k) and 2 + 2 k,
        so that one value brackets the root for Newton's method.
        """
        k = self.degree
        if k == 1 and not bool((self.a1 + self.b1 != 0).any()):
            root = self.drift.abs() + (self.drift.square() + 4 * self.a2 * self.b2).sqrt()
            rising = self.drift > 0
            return 0.5 * (torch.where(rising, root, 2 * self.b2) / torch.where(rising, 2 * self.a2, root)).log()
        logs = [t.log() for t in (self.a2, self.a1, self.b2 * k, self.b1 * k)]
        down, up = (-self.drift).clamp(min=0).log(), self.drift.clamp(min=0).log()
        y = torch.zeros_like(self.a2)
        low = high = y
        active = torch.ones_like(y, dtype=torch.bool)
        for i in range(100):
            falling = torch.stack([logs[0] + 2 * y, logs[1] + y, down + 0 * y])
            rising = torch.stack([logs[2] - 2 * k * y, logs[3] - k * y, up + 0 * y])
            gap = falling.logsumexp(0) - rising.logsumexp(0)
            weights, others = falling.softmax(0), rising.softmax(0)
            rate = 2 * weights[0] + weights[1] + k * (2 * others[0] + others[1])
            if i == 0:
                low, high = (y - gap.clamp(min=0) / min(1.0, k)), (y + (-gap).clamp(min=0) / min(1.0, k))
            low, high = torch.where(gap < 0, y, low), torch.where(gap > 0, y, high)
            new = y - gap / rate
            new = torch.where((new < low) | (new > high), (low + high) / 2, new)
            moved = (new - y).abs()
            y = torch.where(active, new, y)  # an entry that is done stays: it depends on no other entry
            active = active & (moved > 1e-10)
            if not bool(active.any()):
                break
        return y

    def draws(self, uniforms: Tensor) -> Tensor:
        """Independent of where y = 0 lies, one draw of y for each entry; ``uniforms`` ``[tries, 2, *batch]``.

        Rejection under a flat top and the exponentials of one tangent on each side, at points where the density has
        fallen to about 1/e (Devroye 2014, for the generalised inverse Gaussian law). The first proposal accepted
        counts; where none is, y = 0. Whether that happens depends on the orbit alone, so a move by y leaves the law
        invariant exactly, and not just nearly. Where the law is not proper, y = 0.
        """
        proper = self.proper
        a2, a1, b2, b1 = (torch.where(proper, t, 1.0) for t in (self.a2, self.a1, self.b2, self.b1))
        safe = OrbitLaw(torch.where(proper, self.drift, 0.0), a2, a1, b2, b1, self.degree)
        mode = safe.mode()
        law = safe.moved(mode)
        right, left = law._fallen(1.0), -law._fallen(-1.0)
        rate_right, rate_left = -law.slope(right), law.slope(left)
        knee_right = right + (law.log_density(right) - _SLACK) / rate_right
        knee_left = left - (law.log_density(left) - _SLACK) / rate_left
        top = knee_right - knee_left
        pick, level = uniforms[:, 0] * (top + 1 / rate_right + 1 / rate_left), uniforms[:, 1]
        beyond = (pick - top) * rate_right
        tail_right = -torch.log1p(-beyond.clamp(0, 1))
        tail_left = -torch.log1p(-((beyond - 1) / rate_right * rate_left).clamp(0, 1))
        in_top, in_right = pick < top, beyond < 1
        y = torch.where(
            in_top,
            knee_left + pick,
            torch.where(in_right, knee_right + tail_right / rate_right, knee_left - tail_left / rate_left),
        )
        envelope = _SLACK - torch.where(in_top, 0.0, torch.where(in_right, tail_right, tail_left))
        accepted = level.log() <= law.log_density(y) - envelope
        first = accepted.to(torch.int8).argmax(0, keepdim=True)
        chosen = mode + y.gather(0, first)[0]
        return torch.where(accepted.any(0) & proper, chosen, 0.0)

    def _fallen(self, side: float) -> Tensor:
        """A distance from the mode, at 0, on one side, where the log density is between -1.5 and -0.5."""
        s = (2 / self.curvature).sqrt().clamp(max=1.0)
        for _ in range(200):
            gap = self.log_density(side * s) + 1
            active = gap.abs() > 0.5
            if not bool(active.any()):
                break
            step = (-gap / (side * self.slope(side * s))).clamp(max=1.5)
            s = torch.where(active, torch.maximum(s + step, s / 2), s)
        return s
