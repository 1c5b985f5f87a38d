"""The equivariance error of a model's outputs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...groups import Action, Group, InvariantAction, Quadrature, UnsupportedError
from ...groups._errors import sentence
from .._inputs import Inputs
from .._rules import MonteCarlo, exact_rule, given_rule
from .._sweep import Sweep
from ..spectra._gram import require_gram
from ._outputs import band_of, declared, is_structure, require_names, require_shape
from ._outputs import turned_back as turned_back
from ._result import EquivarianceError, EquivarianceErrors, ParitySplit
from ._rounding import rounding_of
from ._sums import OutputSums, proper_elements, require_spread


def equivariance_error(
    model: Any,
    x: Any,
    group: Group,
    rho_in: Any = None,
    rho_out: Any = None,
    *,
    degree: int | None = None,
    rule: Quadrature | MonteCarlo | None = None,
    mask: Tensor | None = None,
    batch: int = 256,
    allow_training: bool = False,
    measure_floor: bool = True,
) -> Any:
    """How far f(g x) = rho_out(g) f(x) is from holding, averaged over the group.

    With z(g) = rho_out(g^-1) f(g x): A^2 = E|z|^2 - |E z|^2, summed over components; E z is the equivariant part of
    the model at x. Against any exactly equivariant reference, the mean over orientations of the squared error is
    that of E z plus A^2 (:func:`~pyro_symvi.equivariance.accuracy`). Exact where z has no component beyond
    ``degree`` / 2, the degree of the model's response plus that of rho_out; always for finite groups.

    Args:
        model, x, group, rho_in, batch, allow_training: as in :func:`~pyro_symvi.equivariance.spectrum`.
        rho_out: the action on the output's last axes; None for invariance of every entry. For a model that returns a
            dict, tuple or list: a structure of these (keys of a dict that are left out are not looked at). Actions
            and e3nn's ``Irreps`` (anything with ``D_from_matrix``) are taken, here and in ``rho_in``.
        degree: of the rule, by default 8, and at least twice the degree of rho_out; compare with a larger one
            (:func:`~pyro_symvi.equivariance.converge`).
        rule: :class:`MonteCarlo`, with unbiased values and standard errors, or a rule of your own.
        mask: ``[B]`` or ``[B, N]``, objects that count, for outputs ``[B, N, ...]``.
        measure_floor: compare the model with a copy in another precision at 8 elements to find the noise floor;
            else it is estimated as 8 units of the coarsest dtype.

    Returns:
        An :class:`EquivarianceError`; :class:`EquivarianceErrors` by name for a structure of outputs.

    Raises:
        ValueError: for a rule of one element, a ``rho_out`` that is no action by isometries or does not fit the
            output, a degree below twice that of ``rho_out``, and the guards of a sweep (training mode, chance, ...).

    >>> from pyro_symvi.groups import SpecialOrthogonal
    >>> x = torch.tensor([[1.0, 2.0, 2.0]], dtype=torch.float64)
    >>> error = equivariance_error(lambda r: r[:, 2], x, SpecialOrthogonal(3))
    >>> round(error.A, 6), error.significant  # |x| / sqrt 3
    (1.732051, True)
    """
    whole = Whole(model, x, group, rho_in, rho_out, degree, rule, mask, batch, allow_training)
    sums = whole.sums()
    found = errors_of(whole, sums, measure_floor)
    return EquivarianceErrors(found) if is_structure(rho_out) else next(iter(found.values()))


class Whole:
    """A checked question: model, inputs, declared outputs and rule."""

    def __init__(
        self,
        model: Any,
        x: Any,
        group: Group,
        rho_in: Any,
        rho_out: Any,
        degree: int | None,
        rule: Quadrature | MonteCarlo | None,
        mask: Tensor | None,
        batch: int,
        allow_training: bool,
    ) -> None:
        self.model, self.group, self.mask = model, group, mask
        self.inputs = Inputs.of(x, group, rho_in)
        self.actions = declared(rho_out, group)
        self.rule = chosen_rule(group, self.actions, degree, rule)
        require_spread(self.rule, group.order)
        if isinstance(rule, Quadrature):
            _require_claim(group, rule)
        self.sweep = Sweep(model, self.inputs, self.rule, (), batch, allow_training)

    def sums(self, truth: dict[str, Tensor] | None = None) -> dict[str, OutputSums]:
        """One pass over the rule."""
        proper = proper_elements(self.rule, self.group.element_shape, self.group.element_kind == "real")
        sums: dict[str, OutputSums] = {}
        start = 0
        for elements, weights, responses in self.sweep.blocks():
            if not sums:
                self._require(responses)
                sums = {
                    name: OutputSums(action, self.rule, proper, self.mask, (truth or {}).get(name))
                    for name, action in self.actions.items()
                }
            here = None if proper is None else proper[start : start + len(elements)].to(elements.device)
            start += len(elements)
            for name, output in sums.items():
                output.add(elements, here, weights, responses[name])
        return sums

    def _require(self, responses: dict[str, Tensor]) -> None:
        require_names(self.actions, responses)
        for name, action in self.actions.items():
            require_shape(action, tuple(responses[name].shape[2:]), name)
        if self.mask is not None:
            copies = {
                name: list(responses[name].shape[1 : responses[name].ndim - len(action.event_shape)])
                for name, action in self.actions.items()
            }
            if not any(shape[: self.mask.ndim] == list(self.mask.shape) for shape in copies.values()):
                raise ValueError(
                    sentence(
                        f"a mask on the first axes of an output, {copies}",
                        list(self.mask.shape),
                        "it says which objects count, and the axes that rho_out moves are no objects",
                        "mask=None, or [samples, points]",
                    )
                )


def _require_claim(group: Group, rule: Quadrature) -> None:
    """A rule of one's own keeps what its degree says: products of irreps through half of it, 4 at most, are looked at.

    A rule that claims nothing (a degree below 2) is an average over the elements that were chosen, and no more.
    """
    if rule.degree < 2:
        return
    cutoff = None if group.is_finite else int(min(rule.degree, 8)) // 2
    try:
        require_gram(group, rule, cutoff)
    except UnsupportedError:  # irreps that are not listed
        return


def chosen_rule(
    group: Group, actions: dict[str, Action], degree: int | None, rule: Quadrature | MonteCarlo | None
) -> Quadrature:
    """The rule asked for; by default of degree 8, and at least 2 l + 4 for outputs of degree l."""
    if isinstance(rule, MonteCarlo):
        return rule.draws(group)
    if rule is not None:
        own = given_rule(rule)
        group.require(own.elements)
        return own
    band = max(band_of(action) for action in actions.values())
    return exact_rule(group, 2 * band, max(8, 2 * band + 4) if degree is None else degree)


def errors_of(whole: Whole, sums: dict[str, OutputSums], measure_floor: bool) -> dict[str, EquivarianceError]:
    """The results from the sums."""
    norm = {name: s.summed(s.all.square) for name, s in sums.items()}
    size = {name: s.pooled(norm[name]) ** 0.5 for name, s in sums.items()}
    weights = {name: s.weights for name, s in sums.items()}
    floors = rounding_of(whole.model, whole.inputs, whole.actions, weights, size, whole.rule.elements, measure_floor)
    found = {}
    for name, s in sums.items():
        parity = s.parity
        found[name] = EquivarianceError(
            s.squared,
            norm[name],
            s.all.mean,
            s.dimension,
            s.weights,
            floors[name].floor,
            len(whole.rule.weights),
            _spread(s, whole.rule),
            s.error_of_square,
            None if parity is None else ParitySplit(*parity, s.weights),
            floors[name],
            name,
        )
    return found


def _spread(sums: OutputSums, rule: Quadrature) -> float:
    """Root of the variance over samples of E z about E_g rho(g) c, c its mean over samples.

    For invariant outputs c is fitted, and the variance unbiased. What no constant can be equivariant to (vectors) is
    measured from 0.
    """
    mean, action, weights = sums.all.mean, sums.action, sums.weights
    wide = weights.reshape(*weights.shape, *(1,) * (mean.ndim - weights.ndim))
    number = weights.sum(0)
    centre = (wide * mean).sum(0) / wide.sum(0).clamp(min=1e-300)
    if isinstance(action, InvariantAction):
        factor = torch.where(number > 1, number / (number - 1).clamp(min=1e-300), 0.0)
    elif action.group.is_compact:
        average, factor = torch.zeros_like(centre), (number > 0).to(number)
        ones = (1,) * (centre.ndim - len(action.event_shape))
        for g, w in zip(rule.elements.to(mean.device).split(256), rule.weights.to(mean).split(256), strict=True):
            average += torch.tensordot(w, action.act(g.reshape(len(g), *ones, *g.shape[1:]), centre[None]), dims=1)
        centre = average
    else:
        return math.nan
    if not bool((factor > 0).any()):
        return math.nan
    away = (weights * sums.summed((mean - centre).square())).sum(0)
    found = float((factor * away).sum() / number[factor > 0].sum()) ** 0.5
    return found if found > 1e-14 * sums.pooled(sums.summed(sums.all.square)) ** 0.5 else 0.0
