"""From numbers to failure modes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import EquivarianceError
from ..spectra import Spectrum
from ._diagnosis import Diagnosis
from ._evidence import Evidence, feeding_layer, is_output
from ._finding import Finding
from ._late_cleanup import LateCleanUp
from ._leakage import Leakage
from ._lost import LostInTraining
from ._missing_degree import MissingDegree
from ._missing_parity import MissingParity
from ._mode import FailureMode
from ._not_converged import NotConverged
from ._not_learnt import NotLearnt
from ._other_sector import OtherSector
from ._rounding_floor import RoundingFloor
from ._target import checked_target
from ._wrong_copy import WrongCopy

MODES: tuple[FailureMode, ...] = (
    NotConverged(),
    RoundingFloor(),
    OtherSector(),
    MissingDegree(),
    MissingParity(),
    LateCleanUp(),
    WrongCopy(),
    Leakage(),
    LostInTraining(),
    NotLearnt(),
)
"""All failure modes with their thresholds, in the order in which they are asked."""


def diagnose(
    spectrum: Spectrum,
    error: EquivarianceError | None = None,
    *,
    target: Any,
    history: Any = None,
    converged: Any = None,
    feeding: str | None = None,
    modes: Sequence[FailureMode] = MODES,
) -> Diagnosis:
    """Which known failure modes a model shows, and what each calls for.

    Rules with documented thresholds, one a class: :class:`MissingDegree`, :class:`MissingParity`,
    :class:`LateCleanUp`, :class:`WrongCopy`, :class:`Leakage`, :class:`OtherSector`, :class:`LostInTraining`;
    :class:`NotLearnt` where the error is large and none of them explains it; :class:`NotConverged` and
    :class:`RoundingFloor`, after which nothing else is said. Other thresholds: pass
    ``modes=(MissingDegree(missing=0.001), ...)``.

    Args:
        spectrum: of the layers and the output, of one group.
        error: of the output at the same inputs; without it neither the floor nor wrong copies can be seen.
        target: the label of the output's irrep, or several; see :func:`target_labels`.
        history: epochs and relative errors of a training, as pairs, or with ``epochs`` and ``errors``.
        converged: whether the numbers stay where the rule is two degrees longer: a bool, or what
            :func:`~pyro_symvi.equivariance.converge` returns; None where that is unknown.
        feeding: the layer that feeds the head; by default the last one before the output.
        modes: the rules asked.

    Raises:
        ValueError: a target beyond the cutoff, a layer that isn't there.
    """
    labels = checked_target(target, spectrum.labels)
    if feeding is not None and (feeding not in spectrum.layers or is_output(feeding)):
        raise ValueError(f"expected feeding among the layers {list(spectrum)}, got {feeding!r}")
    verdict = converged if converged is None or isinstance(converged, bool) else bool(converged.converged)
    evidence = Evidence(
        spectrum, labels, error, feeding_layer(spectrum) if feeding is None else feeding, verdict, errors_of(history)
    )
    for mode in modes:
        found = mode.find(evidence) if mode.alone else None
        if found is not None:
            return Diagnosis((found,), labels, evidence.relative)
    findings: list[Finding] = []
    explained = False
    for mode in sorted((mode for mode in modes if not mode.alone), key=lambda mode: mode.last):
        found = None if mode.last and explained else mode.find(evidence)
        if found is not None:
            findings.append(found)
            explained = explained or mode.explains
    return Diagnosis(tuple(findings), labels, evidence.relative)


def errors_of(history: Any) -> tuple[tuple[float, float], ...]:
    """Pairs of epoch and relative error; none where a history is of spectra alone."""
    if history is None or (hasattr(history, "outputs") and not history.outputs):
        return ()
    if hasattr(history, "epochs"):
        return tuple((float(a), float(b)) for a, b in zip(history.epochs, history.errors, strict=True))
    return tuple((float(a), float(b)) for a, b in history)
