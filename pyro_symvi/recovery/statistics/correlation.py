"""The verdict on each fitted correlation."""

from __future__ import annotations

import math

import torch

from ..evidence.exploration import Exploration
from ..report.certificate import Entry, StatisticReport
from ..theorems import ELLIPTICAL_CORRELATION, FITTED, INVARIANCE, REFLECTION_MEAN, Theorem, pinned_shape
from ..verdicts import Evidence, Premise, Verdict, weakest
from .mean import ESTABLISHED, FITTED_RESOLUTION, gap_text

WIDEST = 0.05
"""A correlation farther than this from the exact one is refuted, not bounded."""


def correlation_report(found: Exploration) -> StatisticReport:
    """One entry a pair; the diagonal is one by definition."""
    dim = found.subject.density.dim
    fitted = found.subject.correlation
    entries = tuple(_entry(found, i, j, float(fitted[i, j])) for i in range(dim) for j in range(dim))
    return StatisticReport("correlation", entries, (dim, dim), found.subject.density, tuple(range(dim)))


def _entry(found: Exploration, i: int, j: int, value: float) -> Entry:
    names = found.subject.density.coordinates
    label = f"correlation of {names[i]}, {names[j]}"
    if i == j:
        return Entry(label, Verdict.PROVED, 1.0, math.nan, "one by definition", exact=1.0)
    block = found.proofs.ellipse((i, j))
    matrix = block.correlation if block is not None else None
    if block is not None and matrix is not None:
        group = found.names(block.coordinates)
        exact = matrix[block.coordinates.index(i)][block.coordinates.index(j)]
        invariance = found.proofs.rotated(group)
        moments = found.proofs.moments(block.moments[2], 2)
        return _pinned(
            found, label, value, exact, (i, j), f"elliptical in ({group})", invariance, ELLIPTICAL_CORRELATION, moments
        )
    separating = found.proofs.separating((i, j))
    if separating is not None:
        group = found.names(tuple(separating.center))
        invariance = found.proofs.reflected(separating, group)
        moments = found.proofs.moments(found.proofs.analysis.moments.get(2), 2)
        return _pinned(found, label, value, 0.0, (i, j), f"even in ({group})", invariance, REFLECTION_MEAN, moments)
    for test in found.ellipses:
        inside = list(test.action.coordinates or ())
        if i in inside and j in inside and pinned_shape(test.action):
            shape = torch.as_tensor(getattr(test.action, "shape"))  # noqa: B009
            a, b = inside.index(i), inside.index(j)
            exact = float(shape[a, b] / (shape[a, a].sqrt() * shape[b, b].sqrt()))
            invariance = test.premise(INVARIANCE, f"rotations of ({found.names(inside)})")
            why = f"elliptical in ({found.names(inside)})"
            return _pinned(found, label, value, exact, (i, j), why, invariance, ELLIPTICAL_CORRELATION)
    for test in found.reflections:
        inside = list(test.action.coordinates or ())
        if (i in inside) != (j in inside):
            invariance, moments = test.premise(INVARIANCE, f"reflection of ({found.names(inside)})"), None
            proof = found.proofs.reflection(test, found.sd)
            if proof is not None:
                invariance = found.proofs.reflected(proof, found.names(inside))
                moments = found.proofs.moments(found.proofs.analysis.moments.get(2), 2)
            why = f"even in ({found.names(inside)})"
            return _pinned(found, label, value, 0.0, (i, j), why, invariance, REFLECTION_MEAN, moments)
    return Entry(label, Verdict.UNKNOWN, value, math.nan, "no verified symmetry pins this pair")


def _pinned(
    found: Exploration,
    label: str,
    value: float,
    exact: float,
    pair: tuple[int, int],
    why: str,
    invariance: Premise,
    theorem: Theorem,
    proved_moments: Premise | None = None,
) -> Entry:
    gap = abs(value - exact)
    moments = proved_moments or found.moments(2, pair)
    if gap <= FITTED_RESOLUTION:
        close = Evidence.PROVED if invariance.evidence is Evidence.PROVED else Evidence.VERIFIED
        fitted = Premise(FITTED, close, f"within {FITTED_RESOLUTION:g} of the symmetric value")
    else:
        fitted = Premise(FITTED, Evidence.REFUTED, f"the fitted value is {gap:.2g} from the symmetric one, {exact:.6g}")
    premises = (invariance, moments, fitted)
    verdict, bound, reason = weakest(premises), math.nan, f"{why}; gap {gap_text(gap)}"
    if fitted.evidence is Evidence.REFUTED:
        reason = f"{why}, which gives {exact:.6g}"
        if moments.evidence not in ESTABLISHED:
            verdict = Verdict.UNKNOWN
        elif gap <= WIDEST:
            verdict, bound = Verdict.BOUNDED, gap + FITTED_RESOLUTION
    elif verdict is Verdict.CONDITIONAL:
        reason += "; if second moments exist"
    return Entry(label, verdict, value, bound, reason, theorem.name, premises, exact=exact)
