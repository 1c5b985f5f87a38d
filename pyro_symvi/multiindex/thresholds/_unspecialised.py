"""The unspecialised solution of a committee, its mean direction partly known, and where it becomes unstable."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
from scipy.optimize import brentq
from scipy.special import expit
from torch import Tensor

from ..channels import GaussianChannel
from ..links import Link

_DECAY, _REACH = 8.3, 9.5
_SEEN = 1e-12
_FIRST, _LAST, _STEP = -8, 60, 2
_SETTLED, _CLOSEST = 9.0, 16.0  # logits beyond which E g_s^2, and E g_d^2, are those of the mean direction known
_NOTHING = 1e-24
_MOST = 2**28


class Told(NamedTuple):
    """What an output tells: of the mean direction, E g_s^2, and of the differences between units, E g_d^2."""

    mean: float
    differences: float


def told(link: Link, units: int, noise: float, known: float, finer: int = 0) -> Told:
    r"""Both for y = p^{-1/2} sum_k sigma(z_k) + sqrt(Delta) xi, p >= 2, with s = p^{-1/2} sum_k z_k known in part.

    Of s, the mean omega ~ N(0, q_a) is known and s - omega ~ N(0, v), v = 1 - q_a, is not:

    .. math:: g_s = \frac{E[s \mid y, \omega] - \omega}{v}, \qquad
        g_d = \tfrac12 E[(z_1 - z_2)^2 \mid y, \omega] - 1 .

    From the joint characteristic function chi(k, l) = E exp(i (k sigma + l z) / sqrt p) of one unit, to the power of p.

    Args:
        link: The activation, standardised.
        units: Their number p.
        noise: The variance Delta.
        known: The overlap q_a of the mean direction, in (0, 1).
        finer: Each step of it halves panels and widens the range of frequencies by a half.
    """
    channel = GaussianChannel(link, 1 / noise, finer=finer + 1)
    nodes = channel.nodes
    values = channel.means * math.sqrt(noise)
    prior = channel.weights * torch.exp(-0.5 * nodes.square()) / math.sqrt(2 * math.pi)
    spread = (1 - known) / known  # of the observation s + N(0, spread) that stands for omega / q_a
    largest = float(values[nodes.abs() < 6.5].abs().max()) / math.sqrt(units)
    k, y = _pair(_DECAY / math.sqrt(noise), 8 * math.sqrt(1 + noise) + largest)
    l, seen_s = _pair(min(_DECAY / math.sqrt(spread), 12 + 100 / units) * 1.5**finer, _REACH * math.sqrt(1 + spread))
    if max(len(nodes), len(y)) * (len(k) // 2) > _MOST:
        raise ValueError(
            f"expected a noise that is not so small, got a variance of {noise:.3g}, because {link.name} is not even "
            f"and takes {len(k)} frequencies on {len(nodes)} nodes there, more than memory holds; try a larger one"
        )
    k = k[k > 0]  # the densities are real: the other half is conjugate
    waves_k = torch.exp(1j * k[:, None] * values / math.sqrt(units))
    waves_l = torch.exp(1j * l[:, None] * nodes / math.sqrt(units)).T
    chi, first, second = ((waves_k * (prior * h)) @ waves_l for h in (nodes**0, nodes, nodes.square() - 1))
    damped = torch.exp(-0.5 * (noise * k.square()[:, None] + spread * l.square())) * chi ** (units - 2)
    back_k = torch.exp(-1j * y[:, None] * k) * float(k[1] - k[0]) / math.pi
    back_l = torch.exp(-1j * l[:, None] * seen_s) * float(l[1] - l[0]) / (2 * math.pi)
    density, mean, differences = (
        (back_k @ (damped * part) @ back_l).real
        for part in (chi.square(), math.sqrt(units) * first * chi, second * chi - first.square())
    )
    seen = density > _SEEN * density.max()
    z = density[seen]
    omega = (known * seen_s).expand_as(density)[seen]
    cell = float((y[1] - y[0]) * (seen_s[1] - seen_s[0]))
    return Told(
        mean=float((z * ((mean[seen] / z - omega) / (1 - known)).square()).sum()) * cell,
        differences=float((differences[seen].square() / z).sum()) * cell,
    )


def instability(link: Link, units: int, noise: float, finer: int = 0) -> tuple[float, float]:
    r"""The sample ratio at which the unspecialised solution becomes unstable, and its overlap q_a of the mean.

    With all units alike, state evolution has the fixed points n / d = q_a / ((1 - q_a) E g_s^2). A small overlap matrix
    in the standard representation of the permutations is multiplied by (n / d) E g_d^2 at each step. Both by exchange
    of the units (our derivation); the least q_a at which the product is 1 is returned. Close to 1 both expectations
    change by order 1 - q_a and are not resolved: they are taken at 1 - q_a = 1e-4 and 1e-7.

    Returns:
        The ratio (infinite where E g_d^2 is zero to rounding) and q_a.
    """

    @cache
    def at_logit(at: float) -> Told:
        return told(link, units, noise, float(expit(at)), finer)

    def excess(at: float) -> float:
        differences = at_logit(min(at, _CLOSEST)).differences
        return at + math.log(differences / at_logit(min(at, _SETTLED)).mean) if differences > _NOTHING else -math.inf

    low = float(_FIRST)
    while excess(low + _STEP) < 0:
        low += _STEP
        if low >= _LAST:
            return math.inf, 1.0
    at = float(brentq(excess, low, low + _STEP, xtol=1e-6)) if excess(low) < 0 else low
    return 1 / at_logit(min(at, _CLOSEST)).differences, float(expit(at))


def _pair(frequency: float, reach: float) -> tuple[Tensor, Tensor]:
    """Frequencies up to a largest one, and places up to a reach, each fine enough for the range of the other."""
    count = 2 * math.ceil(frequency * reach / math.pi + 0.5)
    at = (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) / count
    return 2 * frequency * at, 2 * reach * at
