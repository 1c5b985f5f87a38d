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
        error: of the output at the same inputs; without it neither the floor nor wrong copies can be seen. Of a model
            with several outputs, the error of the one to look at: ``errors["energy"]``.
        target: the label of the output's irrep, or several; see :func:`target_labels`.
        history: epochs and relative errors of a training, as pairs, or with ``epochs`` and ``errors``.
        converged: whether the numbers stay where the rule is two degrees longer: a bool, or what
            :func:`~pyro_symvi.equivariance.converge` returns; None where that is unknown.
        feeding: the layer that feeds the head; by default the last one before the output.
        modes: the rules asked.

    Raises:
        ValueError: a target beyond the cutoff, a layer that isn't there, an output left open.
    """
    if not isinstance(spectrum, Spectrum):
        raise TypeError(f"expected a Spectrum, got {type(spectrum).__name__}; try spectrum(model, x, group, cutoff)")
    labels = checked_target(target, spectrum.labels)
    output = _output(spectrum, error)
    if feeding is not None and (feeding not in spectrum.layers or is_output(feeding)):
        raise ValueError(f"expected feeding among the layers {list(spectrum)}, got {feeding!r}")
    verdict = converged if converged is None or isinstance(converged, bool) else bool(converged.converged)
    evidence = Evidence(
        spectrum,
        labels,
        error,
        feeding_layer(spectrum, output) if feeding is None else feeding,
        verdict,
        errors_of(history),
        output,
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


def _output(spectrum: Spectrum, error: EquivarianceError | None) -> str:
    """The output that is looked at: the one there is, or that of the error."""
    known = [name for name in spectrum if is_output(name)]
    if error is not None and not isinstance(error, EquivarianceError):
        raise TypeError(
            f"expected the error of one output, got {type(error).__name__}, because a diagnosis is of one; "
            f"try error[{known[0]!r}]"
        )
    if error is not None and error.name in known:
        return error.name
    if len(known) > 1:
        raise ValueError(
            f"expected an error of one of the outputs {', '.join(known)}, got "
            f"{'none' if error is None else error.name}, because a diagnosis is of one; try "
            f"equivariance_error(...)[{known[0]!r}]"
        )
    return known[0]


def errors_of(history: Any) -> tuple[tuple[float, float], ...]:
    """Pairs of epoch and relative error; none where a history is of spectra alone."""
    if history is None or (hasattr(history, "outputs") and not history.outputs):
        return ()
    if hasattr(history, "epochs"):
        return tuple((float(a), float(b)) for a, b in zip(history.epochs, history.errors, strict=True))
    return tuple((float(a), float(b)) for a, b in history)
