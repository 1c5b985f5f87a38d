"""Tied guide or orbit mixture: the sample ratio held against the thresholds of the committee."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

from ..thresholds import CommitteeThresholds, committee_thresholds
from ._caveats import caveats
from ._spec import CommitteeSpec

Guide = Literal["tied", "orbit-mixture, informed start", "orbit-mixture"]
_WIDTH = 100


@dataclass(frozen=True)
class GuideAdvice:
    """What `advise_guide` says.

    Attributes:
        spec: The committee.
        n, d: Numbers of samples and of inputs.
        ratio: n / d.
        guide: "tied" (one law for all units), "orbit-mixture" from random starts, or "orbit-mixture, informed start".
        thresholds: Those the ratio was held against.
        reason: One or two sentences.
        caveats: What the advice rests on, a sentence or two each.
    """

    spec: CommitteeSpec
    n: float
    d: int
    ratio: float
    guide: Guide
    thresholds: CommitteeThresholds
    reason: str
    caveats: tuple[str, ...]

    def report(self) -> str:
        """The advice as text for people."""
        t, spec = self.thresholds, self.spec
        units = f"{spec.units} unit{'s' * (spec.units > 1)}"
        head = [
            f"guide           {self.guide}",
            f"committee       {spec.link.name}, {units}, noise variance {spec.noise:g}",
            f"data            n = {self.n:,.0f}, d = {self.d:,}, n/d = {self.ratio:.4g}",
            f"thresholds n/d  information-theoretic {written(t.information)}, algorithmic {written(t.algorithmic)}",
        ]
        reason = textwrap.wrap(self.reason, _WIDTH, initial_indent=f"{'reason':<16}", subsequent_indent=" " * 16)
        notes = [
            line
            for text in self.caveats
            for line in textwrap.wrap(text, _WIDTH, initial_indent="- ", subsequent_indent="  ")
        ]
        return "\n".join([*head, *reason, "", *notes])

    def __str__(self) -> str:
        return self.report()

    def to_dict(self) -> dict[str, Any]:
        """Numbers and texts, for JSON."""
        return {
            "activation": self.spec.link.name,
            "units": int(self.spec.units),
            "noise": float(self.spec.noise),
            "n": self.n,
            "d": self.d,
            "ratio": self.ratio,
            "guide": self.guide,
            "copies": self.spec.copies,
            "thresholds": self.thresholds.to_dict(),
            "reason": self.reason,
            "caveats": list(self.caveats),
        }


def advise_guide(
    spec: CommitteeSpec, n: float, d: int, *, thresholds: CommitteeThresholds | None = None
) -> GuideAdvice:
    r"""Which guide suits the posterior of a committee's weights, given n samples in d dimensions.

    Gradient ascent of the evidence lower bound from tied parameters never tells the units apart, whatever n is: the
    gradient of an invariant function at a fixed point of the group is a fixed vector. What breaks the tie is another
    guide: a mixture over the group of one that is specialised (`OrbitMixture`). It pays only where the data tell the
    units apart. With thresholds in n/d:

    ==================================  ===============================  ===============================================
    n/d                                 guide                            because
    ==================================  ===============================  ===============================================
    below the information-theoretic     tied                             no method can tell the units apart
    between the two                     orbit-mixture, informed start    a specialised optimum exists, but random starts
                                                                         are not expected to find it
    above the algorithmic               orbit-mixture                    message passing and a spectral start specialise
    ==================================  ===============================  ===============================================

    The step from thresholds of Bayes-optimal inference and of message passing to guides fitted by gradient ascent is
    our derivation and a heuristic. Judge guides by predictions on data kept back: where the data do not tell the units
    apart, a guide whose units differ can still have the higher evidence lower bound, by fitting noise.

    Args:
        spec: The committee.
        n: Number of samples, above 0.
        d: Number of inputs, at least the number of units.
        thresholds: Those of this committee, where they are at hand; computed otherwise.

    Raises:
        TypeError: Arguments of the wrong kind.
        ValueError: Numbers out of range; thresholds of another committee.

    Example:
        >>> advice = advise_guide(CommitteeSpec("abs", units=4, noise=0.5), n=1000, d=50)
        >>> advice.guide, advice.ratio
        ('orbit-mixture', 20.0)
        >>> advise_guide(CommitteeSpec("abs", units=4, noise=0.5), n=50, d=50, thresholds=advice.thresholds).guide
        'tied'
    """
    _check(spec, n, d, thresholds)
    found = thresholds if thresholds is not None else committee_thresholds(spec.link, spec.units, spec.noise)
    ratio = float(n) / int(d)
    guide, reason = _decide(spec, ratio, found.information, found.algorithmic)
    return GuideAdvice(spec, float(n), int(d), ratio, guide, found, reason, caveats(spec, ratio, int(d), guide, found))


def written(threshold: float | None) -> str:
    """A threshold in words: its value, "none" where it is infinite, "not known"."""
    if threshold is None:
        return "not known"
    return f"{threshold:.4g}" if math.isfinite(threshold) else "none (infinite)"


def _decide(
    spec: CommitteeSpec, ratio: float, information: float | None, algorithmic: float | None
) -> tuple[Guide, str]:
    """The guide and the reason."""
    if spec.copies == 1:
        return (
            "tied",
            "one unit, whose sign the data show: there is no symmetry to break, and any usual guide does.",
        )
    if spec.degree == 1 and spec.units > 1:
        return "tied", "the activation is linear: only the sum of the weights enters, and units are never told apart."
    if information is not None and algorithmic is not None:
        information = min(information, algorithmic)
    what = "find the weights"
    low, high = "information-theoretic threshold", "algorithmic threshold"
    if spec.units > 1:
        what = "find the space that the units span" if spec.degree == 2 else "tell the units apart"
        low, high = f"estimated {low}", high if spec.link.parity == "even" else f"heuristic {high}"
    if algorithmic is not None and ratio >= algorithmic:
        return "orbit-mixture", (
            f"n/d = {ratio:.4g} lies above the {high} {written(algorithmic)}: message passing is expected to {what} "
            "without knowing anything. Start a guide at the spectral estimate (spectral_estimator): from random starts "
            "gradient ascent on a mean-field guide was seen to need several times that n/d."
        )
    if information is not None and ratio < information:
        return "tied", (
            f"n/d = {ratio:.4g} lies below the {low} {written(information)}: the data are not expected to suffice to "
            f"{what}, so that breaking the symmetry gains little or fits noise{_centred(spec)}."
        )
    start = "Start it at weights that are specialised (of a fit to more or cleaner data, of a tempered run)."
    if information is not None:
        return "orbit-mixture, informed start", (
            f"n/d = {ratio:.4g} lies above the {low} {written(information)} and below the {high} "
            f"({written(algorithmic)}): the data are expected to suffice to {what}, but random starts are not expected "
            f"to find the optimum that does. {start}"
        )
    where = "The algorithmic threshold is not known"
    if algorithmic is not None:
        where = f"n/d = {ratio:.4g} lies below the {high} ({written(algorithmic)})"
    return "orbit-mixture, informed start", (
        f"{where}, and whether the data suffice to {what} is not known. Fit the tied guide too, and keep the one that "
        f"predicts data kept back better. {start}"
    )


def _centred(spec: CommitteeSpec) -> str:
    """For even activations the fixed points of the whole group have no mean."""
    return "; keep the means at 0, as TiedGuide(centred=True) does" if spec.link.parity == "even" else ""


def _check(spec: object, n: object, d: object, thresholds: Any) -> None:
    if not isinstance(spec, CommitteeSpec):
        raise TypeError(f"expected a CommitteeSpec, got {type(spec).__name__}; try CommitteeSpec('relu', 4, 0.5)")
    if isinstance(d, bool) or not isinstance(d, Integral):
        raise TypeError(f"expected d as an integer, got {d!r}; try d=x.shape[-1]")
    if isinstance(n, bool) or not isinstance(n, Real):
        raise TypeError(f"expected n as a number, got {n!r}; try n=len(y)")
    if not (math.isfinite(n) and float(n) > 0):
        raise ValueError(f"expected n > 0 samples, got {n}; try n=len(y)")
    if d < spec.units:
        raise ValueError(
            f"expected d >= {spec.units}, one input a unit at least, got d = {d}, because the weights of the units are "
            "taken to be nearly orthogonal"
        )
    if thresholds is not None:
        wanted = (spec.link.name, int(spec.units), float(spec.noise))
        got = (thresholds.activation, thresholds.units, thresholds.noise)
        if got != wanted:
            raise ValueError(
                f"expected thresholds of this committee (activation, units, noise: {wanted}), got those of {got}; try "
                "committee_thresholds(spec.activation, spec.units, spec.noise)"
            )
