"""From a model and a group to a page."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..._stages import Progress, stages
from ...groups import Action, Group, InvariantAction, Quadrature
from .._rules import MonteCarlo
from ..diagnosis import MODES, FailureMode, diagnose, target_labels
from ..diagnosis._evidence import feeding_layer
from ..diagnosis._target import checked_target
from ..errors import EquivarianceError, equivariance_error
from ..lie import LieError, lie_error
from ..spectra import ConvergenceWarning, Spectrum, spectrum
from ._picked import picked
from ._result import EquivarianceReport

SPARE = 4
"""Degrees of the rule beyond twice the cutoff: networks have no band limit."""
UNREADABLE = 0.05
"""Changes of the error, or of energies of the output and the layer before it, beyond which no mode can be told."""


def report(
    model: Any,
    x: Any,
    group: Group,
    cutoff: int | None = None,
    *,
    rho_in: Any = None,
    rho_out: Action | None = None,
    target: Any = None,
    layers: Sequence[str] | str | None = None,
    degree: int | None = None,
    rule: Quadrature | MonteCarlo | None = None,
    mask: Tensor | None = None,
    history: Any = None,
    feeding: str | None = None,
    modes: Sequence[FailureMode] = MODES,
    output: str | int | None = None,
    lie: bool = True,
    batch: int = 256,
    allow_training: bool = False,
    title: str = "",
    progress: Progress = False,
) -> EquivarianceReport:
    """Spectrum, error, Lie derivative, convergence and diagnosis of a model at given inputs.

    Args:
        model, x, group, cutoff, rho_in, layers, mask, batch, allow_training: as in
            :func:`~pyro_symvi.equivariance.spectrum`.
        rho_out: the action on the output; None for invariance.
        target: labels of the output's irreps; by default those of ``rho_out``.
        degree: of the rule; by default twice the cutoff plus 4. Everything is done again with two degrees more, so
            that a report costs a little over two sweeps for the spectrum and two for the error.
        rule: :class:`MonteCarlo` or a rule of your own; convergence is then unknown.
        history: of the training, from :class:`~pyro_symvi.equivariance.SpectrumLogger`, or pairs of epoch and error.
        feeding, modes: as in :func:`~pyro_symvi.equivariance.diagnose`.
        output: key or place of the output that is looked at, where the model returns several.
        lie: take the Lie derivative where the group has one and the model can be differentiated.
        title: of the page.
        progress: True for a bar, or a function of parts done, parts in all and the name of the next.

    Raises:
        ValueError, TypeError: as spectrum and equivariance_error do.
    """
    action = InvariantAction(group) if rho_out is None else rho_out
    labels = group.irreps(cutoff)
    aim = (
        target_labels(action, group, cutoff)
        if target is None
        else checked_target(target, [irrep.label for irrep in labels])
    )
    exact = not group.is_finite and rule is None
    if exact and degree is None:
        degree = 2 * (cutoff or 0) + SPARE
    shared: dict[str, Any] = {"mask": mask, "batch": batch, "allow_training": allow_training}
    finer_too = exact and degree is not None
    names = ["spectrum", "error", *(["error at degree + 2"] if finer_too else []), *(["Lie derivative"] if lie else [])]
    with stages(names, progress, "report") as begin, picked(model, output) as alone:
        begin("spectrum")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the report says so itself
            found = spectrum(
                alone, x, group, cutoff, rho_in=rho_in, layers=layers, degree=degree, rule=rule, check=exact, **shared
            )
        begin("error")
        error = equivariance_error(alone, x, group, rho_in, action, degree=degree, rule=rule, **shared)
        change = math.nan
        if finer_too and degree is not None:
            begin("error at degree + 2")
            finer = equivariance_error(alone, x, group, rho_in, action, degree=degree + 2, **shared)
            change = _change(error, finer)
        converged = _converged(found, change) if exact else (True if group.is_finite and rule is None else None)
        if lie:
            begin("Lie derivative")
        derivative, reason = _derivative(alone, x, group, rho_in, action, shared) if lie else (None, "")
    diagnosis = diagnose(found, error, target=aim, history=history, converged=converged, feeding=feeding, modes=modes)
    called = type(model).__name__ if hasattr(model, "parameters") else getattr(model, "__name__", "model")
    name = title or f"{called}{'' if output is None else f' ({output})'} under {group!r}"
    return EquivarianceReport(
        name, found, error, aim, diagnosis, change, converged, derivative, reason, history, output
    )


def _change(error: EquivarianceError, finer: EquivarianceError) -> float:
    """|A' - A| / A', 0 where both are rounding."""
    if not (error.significant or finer.significant):
        return 0.0
    return abs(finer.A - error.A) / max(error.A, finer.A)


def _converged(found: Spectrum, change: float) -> bool:
    """That the error, the output's spectrum and that of the layer before it stay where they are."""
    if change > UNREADABLE:
        return False
    changes = found.changes or {}
    return all(changes.get(name, 0.0) <= UNREADABLE for name in (found.output.name, feeding_layer(found)))


def _derivative(
    model: Any, x: Any, group: Group, rho_in: Any, action: Action, shared: dict[str, Any]
) -> tuple[LieError | None, str]:
    """The Lie derivative, or why there is none: other numbers don't depend on it."""
    if group.is_finite:
        return None, ""
    reason = ""
    for double in (True, False):  # in float64 where the model can be copied: differences check it there
        try:
            return lie_error(model, x, group, rho_in, action, double=double, **shared), ""
        except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
            reason = (str(error).split(";")[0].splitlines() or [type(error).__name__])[0]
    return None, reason
