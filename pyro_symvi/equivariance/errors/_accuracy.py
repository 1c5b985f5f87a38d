"""How much of a model's error against targets is broken symmetry: the Pythagoras identity, checked as it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...groups import Group, Quadrature
from .._capture import OUTPUT, tensors
from .._rules import MonteCarlo
from ._error import Whole, errors_of
from ._outputs import is_structure
from ._result import ByOutput, EquivarianceError
from ._sums import OutputSums


@dataclass(frozen=True)
class Accuracy:
    """Errors by component, root mean squares over samples, copies and the d components of an object.

    ``oriented^2 = averaged^2 + equivariance^2``: the equivariance error is what averaging over the group takes
    off the error, and a lower bound on it.

    Attributes:
        as_given: RMSE of the model at the samples as they are.
        oriented: root of the mean over orientations of its squared error, targets moved along.
        averaged: RMSE of the averaged prediction E z.
        equivariance: A / sqrt(d), pooled.
        discrepancy: |oriented^2 - averaged^2 - equivariance^2| / oriented^2, rounding.
        error: the equivariance error in full.
    """

    as_given: float
    oriented: float
    averaged: float
    equivariance: float
    discrepancy: float
    error: EquivarianceError

    @property
    def share(self) -> float:
        """Part of the squared error that broken symmetry makes: 0.01 is little, above 0.25 averaging pays."""
        return self.equivariance**2 / self.oriented**2 if self.oriented > 0 else 0.0

    def __str__(self) -> str:
        return (
            f"{self.error.name}: RMSE {self.oriented:.4g} over orientations ({self.as_given:.4g} as given) = "
            f"{self.averaged:.4g} of the averaged prediction and {self.equivariance:.4g} of broken symmetry, in "
            f"quadrature ({self.share:.1%} of the square)"
        )


class Accuracies(ByOutput[Accuracy]):
    """Accuracies of the outputs of a model, by name."""


def accuracy(
    model: Any,
    x: Any,
    targets: Any,
    group: Group,
    rho_in: Any = None,
    rho_out: Any = None,
    *,
    degree: int | None = None,
    rule: Quadrature | MonteCarlo | None = None,
    mask: Tensor | None = None,
    batch: int = 256,
    allow_training: bool = False,
) -> Any:
    """Error against targets, averaged over orientations, and the part of it that broken symmetry makes.

    With z(g) = rho_out(g^-1) f(g x) and y the target at x: E|f(g x) - rho_out(g) y|^2 = |E z - y|^2 + A^2 for every y,
    since rho_out keeps lengths. The two sides are accumulated apart and compared.

    Args:
        targets: at x, in the structure of rho_out: tensors ``[B, *rest]`` of the shapes of the outputs.
        model, x, group, rho_in, rho_out, degree, rule, mask, batch, allow_training: as in
            :func:`~pyro_symvi.equivariance.equivariance_error`.

    Returns:
        An :class:`Accuracy`; :class:`Accuracies` by name for a structure of outputs.

    Raises:
        ArithmeticError: where the identity fails by more than 1e-6, which rounding cannot do.

    >>> from pyro_symvi.groups import SpecialOrthogonal
    >>> x = torch.tensor([[1.0, 2.0, 2.0]], dtype=torch.float64)
    >>> found = accuracy(lambda r: r[:, 2], x, torch.ones(1), SpecialOrthogonal(3))
    >>> [round(value, 6) for value in (found.oriented, found.averaged, found.equivariance)]  # 4 = 1 + 3
    [2.0, 1.0, 1.732051]
    """
    whole = Whole(model, x, group, rho_in, rho_out, degree, rule, mask, batch, allow_training)
    truth = _targets(targets, whole)
    identity = group.identity(device=whole.inputs.device)[None]
    given = whole.sweep.responses(identity)
    for name, value in truth.items():
        if name in given and given[name].shape[1:] != value.shape:
            raise ValueError(
                f"expected targets of shape {list(given[name].shape[1:])} for {name}, got {list(value.shape)}, because "
                "they are compared entry by entry; try targets[..., None] where the model keeps an axis of size one"
            )
    sums = whole.sums(truth)
    errors = errors_of(whole, sums, True)
    found = {name: _accuracy(s, errors[name], truth[name], given[name][0]) for name, s in sums.items()}
    return Accuracies(found) if is_structure(rho_out) else next(iter(found.values()))


def _targets(targets: Any, whole: Whole) -> dict[str, Tensor]:
    found = {
        name: value.detach().to(whole.inputs.device, torch.float64) for name, value in tensors(targets, OUTPUT).items()
    }
    missing = [name for name in whole.actions if name not in found]
    if missing:
        raise ValueError(
            f"expected targets in the structure of rho_out, got none for {', '.join(missing)}; try a tensor of a "
            "floating dtype for each output that rho_out declares"
        )
    for name in whole.actions:
        if not bool(torch.isfinite(found[name]).all()):
            raise ValueError(f"expected finite targets, got nan or inf for {name}; try mask= over values of 0")
    return {name: found[name] for name in whole.actions}


def _accuracy(sums: OutputSums, error: EquivarianceError, truth: Tensor, given: Tensor) -> Accuracy:
    d = sums.dimension
    oriented = sums.pooled(sums.summed(sums.missed)) / d
    equivariance = sums.pooled(error.squared) / d
    averaged = sums.pooled(sums.summed((error.mean - truth).square())) / d
    if sums.draws:
        averaged -= equivariance / sums.draws  # the mean over draws carries A^2 / N of its own
    rounding = 1e-24 * sums.pooled(sums.summed(truth.square()) + error.norm) / d
    apart = abs(oriented - averaged - equivariance)
    discrepancy = apart / max(oriented, rounding) if apart > 0 else 0.0
    if discrepancy > 1e-6:
        raise ArithmeticError(
            f"the squared error over orientations, {oriented:.6g}, is not that of the mean plus the equivariance "
            f"error, {averaged:.6g} + {equivariance:.6g}: rho_out does not keep lengths, or the rule's weights are "
            "no probability"
        )
    at_identity = sums.pooled(sums.summed((given - truth).square())) / d
    return Accuracy(at_identity**0.5, oriented**0.5, max(averaged, 0.0) ** 0.5, equivariance**0.5, discrepancy, error)
