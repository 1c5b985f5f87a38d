"""Thresholds of one unit in Gaussian noise, exact as dimension and samples grow together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import expit
from torch import Tensor

from ..channels import GaussianChannel
from ..links import Link
from ..sensitivity import noise_sensitivity
from ._constants import strong_noise_limit
from ._curve import Curve, Fold
from ._words import WithAsymptotes, table, unsettled, with_asymptote

_NOTHING = 1e-24
_LOWER = 1e-5


@dataclass(frozen=True, eq=False, repr=False)
class SingleIndexThresholds(WithAsymptotes):
    """Sample ratios n / d for one unit; printed, a table.

    Attributes:
        activation: Name of the activation.
        snr: Signal to noise ratio lambda.
        weak_recovery: Message passing and the optimal spectral estimator find the direction from here on; 0 where a
            linear or other first-moment estimate does at any ratio, infinite where no output tells of z^2.
        spinodal: From here on a solution of large overlap exists, found from an informed start.
        information: From here on that solution has the larger free entropy: the Bayes estimate has its overlap.
        algorithmic: From here on message passing learns from an uninformed start: `weak_recovery` for even activations,
            `large_overlap` for others, which have some overlap at any n/d.
        large_overlap: From here on an uninformed start of message passing reaches the largest overlap: the end of the
            branch of small overlaps, on which it stays from `weak_recovery` on; `weak_recovery` itself where there is
            no such branch.
        jump: Overlap q just above `information`; 0 at a continuous transition.
        transition: "continuous" or "first-order"; None where there is none.
        asymptotes: "weak_recovery" and "information" in the limit of strong noise, where they apply.
        error: Largest relative quadrature error, from a rule with panels of half the width.
        notes: What to know before the numbers are used.
    """

    activation: str
    snr: float
    weak_recovery: float
    spinodal: float
    information: float
    algorithmic: float
    large_overlap: float
    jump: float
    transition: str | None
    asymptotes: dict[str, float]
    error: float
    notes: tuple[str, ...]

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of each line of the table."""
        named = [
            ("weak recovery", "weak_recovery"),
            ("spinodal", "spinodal"),
            ("information-theoretic", "information"),
            ("algorithmic", "algorithmic"),
            ("large overlap, uninformed", "large_overlap"),
        ]
        return [
            *((title, with_asymptote(name, getattr(self, name), self.asymptotes)) for title, name in named),
            ("transition", f"{self.transition or 'none'}, overlap {self.jump:.3f} just above"),
            ("quadrature error", f"{self.error:.0e} of the values"),
        ]

    def report(self) -> str:
        """The table as text, notes below it."""
        title = f"one unit, {self.activation}, signal to noise ratio {self.snr:.5g}: thresholds in n/d"
        return table(title, self.rows(), self.notes)

    def __repr__(self) -> str:
        return (
            f"SingleIndexThresholds({self.activation!r}, snr={self.snr:.4g}, spinodal={self.spinodal:.4g}, "
            f"information={self.information:.4g}, algorithmic={self.algorithmic:.4g})"
        )


def single_index_thresholds(activation: str | Callable[[Tensor], Tensor] | Link, snr: float) -> SingleIndexThresholds:
    r"""Thresholds in n / d of y = sqrt(lambda) sigma(w . x) + xi, with x ~ N(0, I_d), w uniform on the sphere.

    With a(y) = E[z^2 - 1 | y] and the channel's information E g^2 at overlap q (`GaussianChannel`):

    .. math:: \frac1{\alpha_c} = E[a(y)^2], \quad \alpha(q) = \frac{q}{(1 - q)\, E g^2}, \quad
        \alpha_{IT} = \inf_q \frac{-q - \log(1 - q)}{2 (\Psi(q) - \Psi(0))},

    Psi the output part of the free entropy. For an even activation alpha_c is the threshold of message passing (weak
    recovery), min alpha(q) the spinodal. Where alpha(q) has no lower value than alpha_c, all three agree and the
    transition is continuous. Weak recovery need not be much: from alpha_c to the largest local maximum of alpha(q), if
    it has one, state evolution from no knowledge stops at a small overlap. Sigma is standardised; noise of variance
    Delta on it is lambda = 1 / Delta.

    Beside them the limits of strong noise: alpha_c ~ beta! lambda^{-beta} / c_beta^2 with the noise sensitivity
    exponent, and lambda alpha_IT -> inf (-q - log(1 - q)) / sum_k mu_k^2 q^k (both our derivation). Activations with
    large moments are far from them at any practical noise: read `ratios`.

    Args:
        activation: A name, a function of a tensor, a module, or a `Link`.
        snr: Signal to noise ratio lambda > 0.

    Raises:
        TypeError, ValueError: as `Link.of` and `GaussianChannel`.

    Source: Mondelli and Montanari (2019), Barbier, Krzakala, Macris, Miolane and Zdeborova (2019) for the formulas;
    Defilippis, Krzakala, Loureiro and Maillard (2026), arXiv 2603.17896, for the exponent.

    Example:
        >>> found = single_index_thresholds("b4", snr=0.2)
        >>> round(found.algorithmic, 2), round(found.information, 2), found.transition
        (15.89, 13.6, 'first-order')
    """
    link = Link.of(activation)
    channel = GaussianChannel(link, snr)
    curve = Curve(channel)
    even = link.parity == "even" or curve.channel.output_moments(0.0).information < _NOTHING
    curve.scan(even)
    return _even(link, curve) if even else _other(link, curve)


def _even(link: Link, curve: Curve) -> SingleIndexThresholds:
    channel = curve.channel
    told = channel.score_information()
    weak = 1 / told if told > _NOTHING else math.inf
    spinodal, spinodal_at = curve.lowest(crossing=False)
    information, information_at = curve.lowest(crossing=True)
    first_order = information < weak * (1 - _LOWER)
    if spinodal >= weak * (1 - _LOWER):
        spinodal, spinodal_at = weak, -math.inf
    if not first_order:
        information, information_at = weak, -math.inf
    fine = Curve(channel.refined())
    pairs = [(told, fine.channel.score_information())] if math.isfinite(weak) else []
    pairs += [(spinodal, fine.ratio(spinodal_at))] if math.isfinite(spinodal_at) else []
    pairs += [(information, fine.crossing(information_at))] if first_order else []
    error = max((abs(a / b - 1) for a, b in pairs), default=0.0)
    notes = unsettled(error)
    end = curve.end_of_small_overlaps() if math.isfinite(weak) else None
    large = weak if end is None else max(weak, end)
    if not math.isfinite(weak):
        notes.append("no output tells of z^2: message passing finds nothing at any n/d of order one")
    elif not first_order and spinodal < weak:
        notes.append("a solution of larger overlap coexists above the spinodal, but has the lower free entropy")
    if weak < large < math.inf:
        notes.append(f"message passing from no knowledge stays at a small overlap up to n/d = {large:.5g}, then jumps")
        second = None if first_order else curve.fold()
        if second:
            notes.append(
                f"above the continuous transition the Bayes estimate jumps to the overlap {second.jump:.3f} at n/d = "
                f"{second.information:.5g}"
            )
    return SingleIndexThresholds(
        activation=link.name,
        snr=channel.snr,
        weak_recovery=weak,
        spinodal=spinodal,
        information=information,
        algorithmic=weak,
        large_overlap=large,
        jump=float(expit(information_at)),
        transition="first-order" if first_order else "continuous",
        asymptotes=_asymptotes(link, channel.snr),
        error=error,
        notes=tuple(notes),
    )


def _other(link: Link, curve: Curve) -> SingleIndexThresholds:
    fold = curve.fold()
    notes = [
        "the activation is not even, and some overlap is found at any n/d, by a first moment: weak recovery is at 0"
    ]
    fine = Curve(curve.channel.refined())
    if fold is None:
        at = float(curve.logits[len(curve.logits) // 2])
        error = abs(fine.ratio(at) / curve.ratio(at) - 1)
        notes.append("the overlap grows with n/d without a jump: there is no other threshold")
        fold = Fold(0.0, 0.0, 0.0, 0.0)
        transition = "continuous"
    else:
        error = max(abs(fine.ratio(at) / curve.ratio(at) - 1) for at in (fold.low_at, fold.high_at))
        notes.append("the other thresholds belong to the jump between a small and a large overlap")
        transition = "first-order"
    return SingleIndexThresholds(
        activation=link.name,
        snr=curve.channel.snr,
        weak_recovery=0.0,
        spinodal=fold.spinodal,
        information=fold.information,
        algorithmic=fold.end,
        large_overlap=fold.end,
        jump=fold.jump,
        transition=transition,
        asymptotes=_asymptotes(link, curve.channel.snr),
        error=error,
        notes=(*notes, *unsettled(error)),
    )


def _asymptotes(link: Link, snr: float) -> dict[str, float]:
    limit = strong_noise_limit(link)
    found = {"information": limit.value / snr} if limit.value > 0 else {}
    if link.parity == "even":
        sensitivity = noise_sensitivity(link)
        exponent = sensitivity.exponent
        if isinstance(exponent, int):
            found["weak_recovery"] = math.factorial(exponent) * snr**-exponent / sensitivity.coefficient**2
        elif exponent == math.inf:
            found["weak_recovery"] = math.inf
    return found
