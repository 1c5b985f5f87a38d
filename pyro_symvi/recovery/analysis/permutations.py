r"""Permutations of coordinates, with signs and shifts, that leave log p unchanged: found by colours, proved exactly.

Candidates: swaps of two coordinates of one colour; of two plate indices in all sites at once; of two whole sites; and
what refinement says once one coordinate is matched with another (components of a mixture with their weights, cyclic
shifts). Values at two random points sort out most; `is_invariant` decides. The symmetric group on n coordinates is
proved from n - 1 swaps that connect them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np

from .expressions import Expressions
from .findings import SignedPermutation
from .invariance import Substitution, is_invariant
from .numerics import Evaluator
from .polynomials import Polynomial
from .refinement import Incidence, balanced
from .refusals import Refused

_MOST_CLUSTERS = 8
_MOST_PAIRS = 400
_MOST_FAILURES = 6
_MOST_AT_ONCE = 300
_MOST_REFINED = 200_000
"""Terms coloured while matching coordinates, about half a second."""
_MOST_STEPS = 6
_LONG = 2000
Sites = tuple[tuple[int, ...], ...]


@dataclass
class Permutations:
    """What was proved.

    Attributes:
        generators: Permutations (and signed ones) that leave log p unchanged.
        exchangeable: Sets of coordinates on which every permutation does.
        blocks: Sets of blocks on which every permutation of whole blocks does.
    """

    generators: list[SignedPermutation] = field(default_factory=list)
    exchangeable: tuple[tuple[int, ...], ...] = ()
    blocks: tuple[tuple[tuple[int, ...], ...], ...] = ()


class _Partition:
    """Union-find."""

    def __init__(self, n: int) -> None:
        self._leader = list(range(n))

    def find(self, i: int) -> int:
        while self._leader[i] != i:
            self._leader[i] = self._leader[self._leader[i]]
            i = self._leader[i]
        return i

    def join(self, i: int, j: int) -> None:
        self._leader[self.find(i)] = self.find(j)

    def parts(self, among: Iterable[int]) -> list[tuple[int, ...]]:
        found: dict[int, list[int]] = {}
        for i in among:
            found.setdefault(self.find(i), []).append(i)
        return [tuple(part) for part in found.values()]


class PermutationSearch:
    """Search in one density without open obligations.

    Args:
        table: Where p lives.
        p: The log density.
        dim: Number of coordinates.
        sites: Flat places of each site.
        center: A point about which signs are changed (a guess).
    """

    def __init__(
        self, table: Expressions, p: Polynomial, dim: int, sites: Sites, center: Sequence[Fraction] | None = None
    ) -> None:
        self.table, self.p, self.dim, self.sites = table, p, dim, sites
        self.center = tuple(center or (Fraction(0),) * dim)
        self.identity = tuple(range(dim))
        self.found = Permutations()
        self._swaps, self._orbits = _Partition(dim), _Partition(dim)
        self._work = _MOST_REFINED

    def run(self) -> Permutations:
        """All stages; the generators in the order found. What was proved before a stage is refused stays proved."""
        try:
            self._stages()
        except (Refused, RecursionError):
            pass
        parts = self._swaps.parts(range(self.dim))
        self.found.exchangeable = tuple(sorted(part for part in parts if len(part) > 1))
        self.found.blocks = self._blocks()
        return self.found

    def _stages(self) -> None:
        incidence = Incidence(self.table, balanced(self.table, self.p, self.dim), self.dim)
        colours = self._colours(incidence)
        classes = _classes(colours)
        self._exchange(classes, colours)
        self._match(incidence, colours, classes, signed=False)
        self._signed()

    # -- single coordinates ------------------------------------------------------------------------------------

    def _exchange(self, classes: list[list[int]], colours: list[int]) -> None:
        """Swaps within a class: clusters around a few of its members, and neighbours of a site (of long expressions,
        those of one colour: canonical terms that are carried onto each other have the same).
        """
        clusters: list[list[int]] = []
        for members in classes:
            left = list(members)
            for _ in range(_MOST_CLUSTERS):
                if len(left) < 2:
                    break
                first, others = left[0], left[1:]
                passed = self._plausible([self._swap(first, b) for b in others])
                cluster = [first, *(b for b, ok in zip(others, passed, strict=True) if ok)]
                left = [b for b in left if b not in set(cluster)]
                if len(cluster) > 1:
                    clusters.append(cluster)
        held = {frozenset(pair) for cluster in clusters for pair in pairwise(cluster)}
        beside = [pair for site in self.sites for pair in pairwise(site) if frozenset(pair) not in held][:_MOST_PAIRS]
        if len(self.p.terms) > _LONG:
            beside = [(a, b) for a, b in beside if colours[a] == colours[b]]
        passed = self._plausible([self._swap(a, b) for a, b in beside])
        clusters += [list(pair) for pair, ok in zip(beside, passed, strict=True) if ok]
        for cluster in clusters:
            for a, b in pairwise(cluster):
                if self._swaps.find(a) != self._swaps.find(b) and self._prove(self._swap(a, b)):
                    self._swaps.join(a, b)

    def _swap(self, a: int, b: int) -> SignedPermutation:
        images = list(self.identity)
        images[a], images[b] = b, a
        return self._map(images)

    def _map(
        self, images: Sequence[int], signs: Sequence[int] | None = None, shifted: bool = False
    ) -> SignedPermutation:
        signs = tuple(signs or (1,) * self.dim)
        if not shifted:
            return SignedPermutation(tuple(images), signs, (Fraction(0),) * self.dim)
        c = self.center
        return SignedPermutation(tuple(images), signs, tuple(c[j] - signs[j] * c[k] for j, k in enumerate(images)))

    # -- several at once ---------------------------------------------------------------------------------------

    def _match(self, incidence: Incidence, colours: list[int], classes: list[list[int]], signed: bool) -> None:
        """Maps of one coordinate of a class to the next that is in no orbit with it."""
        pairs = [pair for members in classes for pair in pairwise(members)][:_MOST_PAIRS]
        pairs = [(a, b) for a, b in pairs if self._orbits.find(a) != self._orbits.find(b)]
        at_once = [self._maps(dict.fromkeys(self._of_sites(a, b)), signed) for a, b in pairs]
        passed = iter(self._plausible([g for maps in at_once for g in maps]))
        plausible = [[g for g in maps if next(passed)] for maps in at_once]
        failures: dict[int, int] = {}
        for (a, b), maps in zip(pairs, plausible, strict=True):
            if failures.get(colours[a], 0) == _MOST_FAILURES or self._orbits.find(a) == self._orbits.find(b):
                continue
            if any(self._prove(g) for g in maps):
                continue
            work = self._work
            maps = self._maps(self._refined(incidence, colours, a, b), signed)
            if any(ok and self._prove(g) for g, ok in zip(maps, self._plausible(maps), strict=True)):
                self._work = work  # only what was in vain counts
            else:
                failures[colours[a]] = failures.get(colours[a], 0) + 1

    def _maps(self, images: Iterable[tuple[int, ...]], signed: bool) -> list[SignedPermutation]:
        """The permutations, or with signs and shifts what may become of them."""
        found = []
        for image in images:
            if not signed:
                found.append(self._map(image))
                continue
            moved = [-1 if j != k else 1 for j, k in enumerate(image)]
            found += [self._map(image, moved, True), self._map(image, [-1] * self.dim, True)]
            found += [self._map(image, signs, True) for signs in self._signs(image)]
            if any(self.center):
                found.append(self._map(image, None, True))
        return found

    def _of_sites(self, a: int, b: int) -> list[tuple[int, ...]]:
        """Swaps of two indices of a plate in all sites of its length (rows or columns of longer ones); of two sites."""
        where = {j: (s, i) for s, site in enumerate(self.sites) for i, j in enumerate(site)}
        found = [self._swap(a, b).images]
        if a not in where or b not in where:
            return found
        (s, i), (t, k) = where[a], where[b]
        if s != t:
            if i == k and len(self.sites[s]) == len(self.sites[t]):
                images = list(self.identity)
                for x, y in zip(self.sites[s], self.sites[t], strict=True):
                    images[x], images[y] = y, x
                found.append(tuple(images))
            return found
        for n in _divisors(len(self.sites[s])):
            width = len(self.sites[s]) // n
            for rows in (True, False):
                u, v = (i // width, k // width) if rows else (i % n, k % n)
                other = (i % width, k % width) if rows else (i // n, k // n)
                if u == v or other[0] != other[1]:
                    continue
                for longer in (None, True, False):
                    found.append(self._plate(n, u, v, {s: rows}, longer))
        return found

    def _plate(self, n: int, u: int, v: int, fixed: dict[int, bool], longer: bool | None) -> tuple[int, ...]:
        images = list(self.identity)
        for s, site in enumerate(self.sites):
            if len(site) % n or (len(site) > n and s not in fixed and longer is None):
                continue
            rows = fixed.get(s, bool(longer))
            table = np.array(site).reshape((n, -1) if rows else (-1, n))
            first, second = (table[u], table[v]) if rows else (table[:, u], table[:, v])
            for x, y in zip(first.tolist(), second.tolist(), strict=True):
                images[x], images[y] = y, x
        return tuple(images)

    def _refined(self, incidence: Incidence, colours: list[int], a: int, b: int) -> list[tuple[int, ...]]:
        """What refinement says when a is matched with b: at once, and after matching more where it leaves a choice."""
        found = []
        first, second = list(colours), list(colours)
        x, y = a, b
        for step in range(_MOST_STEPS):
            self._work -= 6 * incidence.size
            if self._work < 0:
                break
            fresh = -1 - step
            first[x], second[y] = fresh, fresh
            refined = incidence.refine(first, second)
            if refined is None:
                break
            first, second = refined
            cells: dict[int, tuple[list[int], list[int]]] = {}
            for j in range(self.dim):
                cells.setdefault(first[j], ([], []))[0].append(j)
                cells.setdefault(second[j], ([], []))[1].append(j)
            images = list(self.identity)
            unsure = None
            for here, there in cells.values():
                if here != there:
                    for j, k in zip(here, there, strict=True):
                        images[j] = k
                    if len(here) > 1 and (unsure is None or len(here) < len(unsure[0])):
                        unsure = here, there
            if sorted(images) == list(self.identity):
                found.append(tuple(images))
            if unsure is None:
                break
            x, y = unsure[0][0], unsure[1][0]
        return list(dict.fromkeys(found))

    # -- signs -------------------------------------------------------------------------------------------------

    def _signed(self) -> None:
        """Maps that also change signs, about the centre."""
        shifted = self.p
        if any(self.center):
            images = {
                j: self.table.combination([(1, self.table.coordinate(j)), (c, self.table.one)])
                for j, c in enumerate(self.center)
                if c
            }
            recording, self.table.recording = self.table.recording, False
            try:
                shifted = Substitution(self.table, images)(self.p)
            finally:
                self.table.recording = recording
        self._shifted = shifted
        incidence = Incidence(self.table, balanced(self.table, shifted, self.dim), self.dim, signless=True)
        colours = self._colours(incidence)
        self._match(incidence, colours, _classes(colours), signed=True)

    def _signs(self, images: tuple[int, ...]) -> list[list[int]]:
        """Signs that carry the products of coordinates in log p onto each other, by elimination modulo 2."""
        places = {self.table.coordinate_atom(j): j for j in range(self.dim)}
        numbers = {j: a for a, j in places.items()}
        rows: dict[int, int] = {}
        for monomial, numerator in self._shifted.terms.items():
            powers = self.table.monomials[monomial]
            if not powers or any(a not in places or k < 0 for a, k in powers):
                continue
            # the term of g(z): each z_j becomes s_j z_sigma(j)
            image = self.table.monomial(tuple(sorted((numbers[images[places[a]]], k) for a, k in powers)))
            other = self._shifted.terms.get(image, 0)
            if abs(other) != abs(numerator):
                return []
            row = sum(1 << places[a] for a, k in powers if k % 2) | (int(other != numerator) << self.dim)
            for pivot, held in rows.items():
                if row >> pivot & 1:
                    row ^= held
            low = row & ((1 << self.dim) - 1)
            if not low:
                if row:
                    return []
                continue
            pivot = low.bit_length() - 1
            for k in rows:
                if rows[k] >> pivot & 1:
                    rows[k] ^= row
            rows[pivot] = row
        return [[-1 if j in rows and rows[j] >> self.dim & 1 else 1 for j in range(self.dim)]] if rows else []

    # -- checks ------------------------------------------------------------------------------------------------

    def _colours(self, incidence: Incidence) -> list[int]:
        refined = incidence.refine([0] * self.dim)
        return refined[0] if refined is not None else [0] * self.dim

    def _plausible(self, candidates: Sequence[SignedPermutation]) -> list[bool]:
        """Whether values at two random points agree, for each candidate; one evaluation for many."""
        if not candidates:
            return []
        if len(candidates) > _MOST_AT_ONCE:
            return self._plausible(candidates[:_MOST_AT_ONCE]) + self._plausible(candidates[_MOST_AT_ONCE:])
        generator = np.random.default_rng(7)
        z = 0.7 * generator.standard_normal((2, self.dim))
        images = [z]
        for g in candidates:
            offset = np.array([float(b) for b in g.offset])
            images.append(z[:, list(g.images)] * np.array(g.signs) + offset)
        points = np.concatenate(images)
        with np.errstate(all="ignore"):
            value, _, size = Evaluator(self.table, points, np.zeros_like(points))(self.p)
            value, size = value.reshape(-1, 2), size.reshape(-1, 2)
            close = np.abs(value - value[0]) <= 1e-9 * (1 + np.abs(value[0])) + 1e-13 * size
        return [bool(ok.all()) for ok in close[1:]]

    def _prove(self, g: SignedPermutation) -> bool:
        if not g.moved or not is_invariant(self.table, self.p, signed_images(self.table, g)):
            return False
        self.found.generators.append(g)
        for j in g.moved:
            self._orbits.join(j, g.images[j])
        return True

    def _blocks(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Blocks exchanged as wholes: chains of proved involutions that swap one block with the next, in one order."""
        chains: list[list[tuple[int, ...]]] = []
        for g in self.found.generators:
            moved = [j for j in g.moved if j < g.images[j]]
            if not g.is_permutation or len(moved) < 2 or any(g.images[g.images[j]] != j for j in g.moved):
                continue
            first = tuple(moved)
            second = tuple(g.images[j] for j in moved)
            for chain in chains:
                if chain[-1] == first and not set(second) & {j for block in chain for j in block}:
                    chain.append(second)
                    break
            else:
                chains.append([first, second])
        return tuple(tuple(chain) for chain in chains)


def signed_images(table: Expressions, g: SignedPermutation) -> dict[int, Polynomial]:
    """``{j: s_j z_sigma(j) + b_j}`` for the coordinates that move."""
    images = {}
    for j in g.moved:
        images[j] = table.combination([(g.signs[j], table.coordinate(g.images[j])), (g.offset[j], table.one)])
    return images


def find_permutations(
    table: Expressions, p: Polynomial, dim: int, sites: Sites = (), center: Sequence[Fraction] | None = None
) -> Permutations:
    """Proved permutations and signed permutations of a log density without open obligations."""
    return PermutationSearch(table, p, dim, sites, center).run()


def _classes(colours: list[int]) -> list[list[int]]:
    found: dict[int, list[int]] = {}
    for j, colour in enumerate(colours):
        found.setdefault(colour, []).append(j)
    return [members for members in found.values() if len(members) > 1]


def _divisors(n: int) -> list[int]:
    return [k for k in range(2, n + 1) if n % k == 0]
