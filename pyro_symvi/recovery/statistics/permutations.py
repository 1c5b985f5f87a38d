"""Sets of coordinates that may be exchanged: proved, or tried with residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from ...groups import CoordinatePermutation
from ..evidence.exploration import Exploration
from ..evidence.residuals import ResidualTest, residual_test
from ..theorems import INVARIANCE
from ..verdicts import Evidence, Premise
from .facts import Facts

_MOST_TRIED = 24
_QUICK = 48


@dataclass(frozen=True)
class Orbit:
    """Coordinates that permutations carry into one another.

    Attributes:
        coordinates: The set.
        group: The coordinates in words.
        invariance: The premise.
    """

    coordinates: tuple[int, ...]
    group: str
    invariance: Premise


class _Swap(CoordinatePermutation):
    """The exchange of two coordinates, as residual tests take it."""

    @property
    def coordinates(self) -> tuple[int, ...]:
        """The two."""
        return tuple(i for block in self.blocks or () for i in block)

    def resolve_coordinates(self, dim: int) -> torch.Tensor:
        """The two."""
        return torch.tensor(self.coordinates)


def orbits(facts: Facts) -> list[Orbit]:
    """Disjoint sets: the proved ones, and those that residuals verify among neighbours of a site."""
    found = facts.exploration  # first, as it may take proofs back
    proofs, dim = facts.proofs, facts.subject.density.dim
    proved = [] if facts.symmetry is not None else proofs.orbits(dim)
    out = [Orbit(members, facts.names(members), proofs.permuted(facts.names(members))) for members in proved]
    if found is not None and facts.symmetry is None:
        out += _tried(facts, found, {i for members in proved for i in members})
    return out


def _tried(facts: Facts, found: Exploration, covered: set[int]) -> list[Orbit]:
    """Chains of neighbours whose exchange no residual contradicts."""
    out: list[Orbit] = []
    tried = 0
    for site in facts.subject.density.sites:
        members = [i for i in range(site.slice.start, site.slice.stop) if i not in covered]
        chain: list[int] = []
        tests: list[ResidualTest] = []
        for i, j in pairwise(members):
            tried += 1
            test = _test(found, i, j) if tried <= _MOST_TRIED else None
            if test is not None:
                chain = chain or [i]
                chain.append(j)
                tests.append(test)
            if test is None or j == members[-1]:
                out += _orbit(facts, chain, tests)
                chain, tests = [], []
    return out


def _orbit(facts: Facts, chain: Sequence[int], tests: Sequence[ResidualTest]) -> list[Orbit]:
    if len(chain) < 2:
        return []
    group = facts.names(chain)
    worst = max(tests, key=lambda t: t.largest)
    return [Orbit(tuple(chain), group, worst.premise(INVARIANCE, f"exchange of neighbours in ({group})"))]


def _test(found: Exploration, i: int, j: int) -> ResidualTest | None:
    """The residual test of an exchange, if it verifies it."""
    density = found.subject.density
    action = _Swap(density.dim, ((i,), (j,)))
    test = residual_test(density, action, found.scale, num_points=_QUICK, steps=0, generator=found.generator)  # type: ignore[arg-type]
    if test.evidence is Evidence.REFUTED:
        return None
    half = found.num_draws // 2
    draws, log_p = (found.draws.z[:half], found.draws.log_p[:half]) if found.draws.reliable else (None, None)
    test = residual_test(
        density,
        action,  # type: ignore[arg-type]
        found.scale,
        num_points=found.num_points,
        draws=draws,
        log_p=log_p,
        generator=found.generator,
    )
    return test if test.evidence is Evidence.VERIFIED else None
