"""Which elements of the group are visited, and with what weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .._value import Value, positive_int
from ..groups import Group, Quadrature, UnsupportedError
from ..groups._errors import sentence


@dataclass(frozen=True, eq=False, repr=False)
class MonteCarlo(Value):
    """Independent Haar draws in place of an exact rule, for groups that have none, or as a cross-check.

    Energies and variances are then unbiased estimates (U-statistics) with standard errors, never plug-in values:
    those are too large by d^2/e E|u|^2 / n for an irreducible representation of dimension d (e = 1, 2, 4 by kind).

    Attributes:
        n: number of draws, at least 16.
        seed: of the draws.
    """

    n: int
    seed: int = 0

    def __post_init__(self) -> None:
        positive_int(self.n, "n", 16)
        positive_int(self.seed, "seed", 0)

    def draws(self, group: Group) -> Quadrature:
        """The draws with equal weights; exact to no degree."""
        elements = group.sample(self.n, generator=torch.Generator().manual_seed(self.seed))
        return Quadrature(elements, torch.full((self.n,), 1 / self.n, dtype=torch.float64), -1)


def given_rule(rule: Any) -> Quadrature:
    """A rule of the user's own, checked for what it is."""
    if not isinstance(rule, Quadrature):
        raise TypeError(
            f"expected rule as MonteCarlo(n) or a Quadrature, got {rule!r} of type {type(rule).__name__}; try "
            "degree=n for the group's own rule, rule=MonteCarlo(n) for random elements"
        )
    return rule


def exact_rule(group: Group, needed: int, degree: int | None = None) -> Quadrature:
    """The group's rule of ``degree`` (by default ``needed``), refused where it is less than ``needed``.

    Energies, norms and variances are products of two responses: a band L needs degree 2 L. One degree short is not
    slightly wrong but wrong at order one.
    """
    if degree is not None:
        positive_int(degree, "degree", 0)
        if not group.is_finite and degree < needed:
            raise ValueError(
                sentence(
                    f"degree >= {needed}",
                    degree,
                    f"energies through {needed // 2} are products of two responses, and a rule one degree short is "
                    "wrong at order one",
                    f"degree={needed}, or cutoff={degree // 2}",
                )
            )
    try:
        return group.quadrature(needed if degree is None else degree)
    except UnsupportedError as error:
        raise UnsupportedError(
            sentence(
                "a group with an exact rule", repr(group), "it has none", "rule=MonteCarlo(4096), estimates with errors"
            )
        ) from error
