"""Which irreducible representations make up an output."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch

from ...groups import Action, Group, InvariantAction, LinearAction
from ...groups._errors import sentence
from ...groups._irreps import COMMUTANT_DIMENSION


def target_labels(rho_out: Action | None, group: Group, cutoff: int | None = None) -> tuple[Hashable, ...]:
    """Labels of the irreps in ``rho_out``: those with <chi_rho, chi_beta> > 0 over the group.

    Args:
        rho_out: a linear action; None for invariance.
        group: compact.
        cutoff: of the irreps looked at; those must make up all of ``rho_out``.

    Raises:
        ValueError: an action that is not linear, or one with irreps beyond the cutoff.
    """
    irreps = group.irreps(cutoff)
    if rho_out is None or isinstance(rho_out, InvariantAction):
        return (irreps[0].label,)
    if not isinstance(rho_out, LinearAction):
        raise ValueError(
            sentence(
                "a linear action on the output", repr(rho_out), "only those divide into irreducible parts", "target="
            )
        )
    rule = group.quadrature(0 if cutoff is None else 2 * cutoff)
    trace = rho_out.matrix(rule.elements).double().diagonal(dim1=-2, dim2=-1).sum(-1)
    weights = rule.weights.double()
    found: list[Hashable] = []
    explained = 0.0
    for irrep in irreps:
        kind = COMMUTANT_DIMENSION[irrep.kind]
        copies = float((weights * trace * irrep.character(rule.elements).double()).sum()) / kind
        if copies > 0.5:
            found.append(irrep.label)
            explained += round(copies) * irrep.dimension
    if round(explained) != rho_out.dim:
        raise ValueError(
            sentence(
                "a cutoff that covers rho_out",
                cutoff,
                f"irreps through it make up {round(explained)} of the {rho_out.dim} components of {rho_out!r}",
                "a larger cutoff",
            )
        )
    return tuple(found)


def checked_target(target: Any, labels: Sequence[Hashable]) -> tuple[Hashable, ...]:
    """One label or several of them, all known."""
    if isinstance(target, Hashable) and target in labels:
        return (target,)
    wanted = tuple(target) if isinstance(target, list | tuple | set) else (target,)
    if not wanted or any(label not in labels for label in wanted):
        raise ValueError(
            sentence(
                f"labels among {', '.join(map(repr, labels[:12]))}",
                repr(target),
                "the target is the sector in which the output ought to lie",
                "target_labels(rho_out, group, cutoff), or a larger cutoff",
            )
        )
    return wanted


def ratio(part: torch.Tensor, whole: torch.Tensor) -> float:
    """Part by whole, 0 where there is nothing."""
    return float(part / whole) if float(whole) > 0 else 0.0
