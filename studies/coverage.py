"""Does a certificate say what is true, and all of it? Random posteriors with exact moments, fitted and certified.

Seventeen kinds of Pyro models take turns, nine with symmetries by construction (flat and conjugate regressions,
hierarchies with known scales, mirrored data, funnels, even sites, exchangeable plates, label switching), eight
without (other priors, unknown scales, logistic and Poisson regressions, Student-t errors, simplices, odd perturbations
of 1e-1 to 1e-4, far light modes). Exact moments come from closed forms and from quadrature. Each posterior is fitted by
`fit` with a full normal guide (one tied by the permutations where members may be exchanged, and `fit` is told so) and
certified for mean, correlation and contrasts. Where `fit` refuses forward KL, because it is infinite with a normal
guide, reverse KL takes its place, as its message says; a line tells which seeds these are.

A verdict is false where a number is PROVED or VERIFIED and off by over 3e-6 posterior sd (correlations: absolute), or
BOUNDED and off by more than its bound, or where the value that symmetry is said to pin is not the true one. A number
that a symmetry pins counts as certified where its verdict is PROVED or VERIFIED; as pinned where at least the pinned
value is told (the fit then has not reached it). All that is pinned counts: numbers of a run that failed are missed.

    python studies/coverage.py [FIRST LAST [WORKERS]]     (seeds; 0 200 by default, about 2 s each)
"""

from __future__ import annotations

import collections
import math
import multiprocessing
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import torch
from posteriors.random_models import Posterior, posterior

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.divergences import Divergence, ForwardKL, ReverseKL
from pyro_symvi.families import LocationScale, Tied

STATISTICS = ("mean", "correlation", "contrast")
EXACT = 3e-6


class Row:
    """One number: what was said of it, what is true, and whether a symmetry pins it."""

    def __init__(self, statistic: str, entry: object, truth: float, unit: float, pinned: bool) -> None:
        self.statistic, self.truth, self.pinned = statistic, truth, pinned
        self.label, self.verdict = entry.label, entry.verdict.name  # type: ignore[attr-defined]
        self.bound = float(entry.bound)  # type: ignore[attr-defined]
        self.error = abs(float(entry.value) - truth) / unit  # type: ignore[attr-defined]
        self.told = abs(float(entry.exact) - truth) / unit  # type: ignore[attr-defined]

    @property
    def certified(self) -> bool:
        return self.verdict in ("PROVED", "VERIFIED")

    @property
    def false(self) -> str:
        """What is false about it, or nothing."""
        if self.certified and not self.error <= EXACT:
            return f"{self.verdict}, but off by {self.error:.3g}"
        if self.verdict == "BOUNDED" and self.error > self.bound + EXACT:
            return f"off by {self.error:.3g}, bound {self.bound:.3g}"
        if self.told > EXACT:
            return f"the value pinned is off by {self.told:.3g}"
        return ""


def fitted(seed: int, given: Posterior, density: LogDensity) -> tuple[symvi.infer.Fit, str]:
    """The fit; and, where the divergence meant for this seed is infinite, what took its place."""
    scale = "full" if given.symmetry is None else Tied(given.symmetry)
    family = LocationScale(density.dim, scale=scale)

    def by(divergence: Divergence) -> symvi.infer.Fit:
        generator = torch.Generator().manual_seed(seed)
        return symvi.fit(
            density, family, divergence=divergence, symmetry=given.symmetry, max_steps=200, generator=generator
        )

    if not (given.multimodal or seed % 2):
        return by(ReverseKL()), ""
    try:
        return by(ForwardKL()), ""
    except ValueError as error:
        if "expected a finite divergence" not in str(error):
            raise
        return by(ReverseKL()), "fit refuses ForwardKL() as infinite; fitted by ReverseKL()"


def rows(given: Posterior, density: LogDensity, fit: symvi.infer.Fit) -> list[Row]:
    """Certify, and compare each number with the truth."""
    certificate = symvi.certify(fit, statistics=STATISTICS)
    sd = given.covariance.diagonal().sqrt()
    found = []
    for i, entry in enumerate(certificate["mean"].entries):
        found.append(Row("mean", entry, float(given.mean[i]), float(sd[i]), i in given.even))
    correlation = given.covariance / torch.outer(sd, sd)
    d = density.dim
    for k, entry in enumerate(certificate["correlation"].entries):
        i, j = divmod(k, d)
        if i < j:
            found.append(Row("correlation", entry, float(correlation[i, j]), 1.0, correlation_pinned(given, i, j)))
    place = {name: k for k, name in enumerate(density.coordinates)}
    told = set()
    for entry in certificate["contrast"].entries:
        first, _, second = entry.label.removeprefix("contrast of ").partition(" - ")
        if first in place and second in place:
            i, j = place[first], place[second]
            a = torch.zeros(d, dtype=torch.float64)
            a[i], a[j] = 1.0, -1.0
            pinned = {i, j} <= set(given.exchangeable) or {i, j} <= set(given.even)
            told.add(frozenset((i, j)))
            found.append(
                Row("contrast", entry, float(a @ given.mean), float((a @ given.covariance @ a).sqrt()), pinned)
            )
    for j in given.exchangeable[1:]:
        if not any(j in pair for pair in told):
            missed = Missed(f"contrast of {density.coordinates[j]}")
            found.append(Row("contrast", missed, 0.0, 1.0, True))
    return found


def correlation_pinned(given: Posterior, i: int, j: int) -> bool:
    """Whether a symmetry pins the correlation of two coordinates."""
    both = i in given.elliptical and j in given.elliptical
    apart = given.apart and (i in given.even) != (j in given.even)
    return both or apart or i in given.single or j in given.single


class Missed:
    """An entry that a certificate does not have."""

    def __init__(self, label: str) -> None:
        self.label, self.verdict = label, symvi.Verdict.UNKNOWN
        self.value = self.bound = self.exact = math.nan


@dataclass
class Outcome:
    """Of one seed.

    Attributes:
        kind: The kind of model.
        rows: What was said of its numbers.
        note: What a reader has to know of the fit.
        trouble: Why it failed, if it did.
        missed: How many pinned numbers it has, if it failed.
    """

    kind: str
    rows: list[Row] = field(default_factory=list)
    note: str = ""
    trouble: str = ""
    missed: int = 0


def outcome(seed: int) -> Outcome:
    """Kind, rows and, if it failed, why, of one seed."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    given = posterior(seed)
    try:
        density = LogDensity.from_model(given.model)
        fit, note = fitted(seed, given, density)
        return Outcome(given.kind, rows(given, density, fit), note)
    except Exception as error:  # a study goes on, and says so
        return Outcome(given.kind, trouble=f"{type(error).__name__}: {str(error)[:160]}", missed=pinned_numbers(given))


def pinned_numbers(given: Posterior) -> int:
    """How many numbers a symmetry pins at least: means, correlations, differences from one exchangeable coordinate."""
    d = len(given.mean)
    correlations = sum(correlation_pinned(given, i, j) for i in range(d) for j in range(i + 1, d))
    return len(given.even) + correlations + max(len(given.exchangeable) - 1, 0)


def outcomes(seeds: Iterable[int], workers: int) -> Iterator[Outcome]:
    """Of all seeds, in order."""
    if workers == 1:
        yield from map(outcome, seeds)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(outcome, seeds)


def main() -> int:
    """Run the seeds; print the tables and each false verdict."""
    first, last = (int(x) for x in sys.argv[1:3]) if len(sys.argv) > 2 else (0, 200)
    workers = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    table: collections.Counter[tuple[str, bool, str]] = collections.Counter()
    kinds: collections.Counter[tuple[str, str]] = collections.Counter()
    false, failed, start = 0, 0, time.perf_counter()
    print(f"python studies/coverage.py {first} {last}", flush=True)
    for seed, result in zip(range(first, last), outcomes(range(first, last), workers), strict=True):
        kind = result.kind
        if result.note:
            print(f"  note: seed {seed}, {kind}: {result.note}", flush=True)
        if result.trouble:
            failed += 1
            kinds[kind, "all"] += result.missed
            lost = f"{result.missed} pinned numbers missed"
            print(f"FAILED: seed {seed}, {kind}: {result.trouble}; {lost}", flush=True)
        for row in result.rows:
            table[row.statistic, row.pinned, row.verdict] += 1
            if row.pinned:
                kinds[kind, "certified"] += row.certified
                kinds[kind, "pinned"] += row.certified or row.told <= EXACT
                kinds[kind, "all"] += 1
                if not row.certified:
                    how = f"{row.verdict} {row.bound:.2g}" if row.verdict == "BOUNDED" else row.verdict
                    print(f"  not certified: seed {seed}, {kind}, {row.label}: {how}", flush=True)
            if row.false:
                false += 1
                print(f"FALSE: seed {seed}, {kind}, {row.label}: {row.false}", flush=True)
    seconds = time.perf_counter() - start
    verdicts = ("PROVED", "VERIFIED", "BOUNDED", "CONDITIONAL", "UNKNOWN", "REFUTED")
    print(f"\n{last - first} posteriors, {sum(table.values())} numbers, {failed} failed runs, {seconds:.0f} s")
    print(f"{false} false verdicts\n")
    print(f"{'statistic':12s} {'truth':22s}" + "".join(f"{v:>12s}" for v in verdicts))
    for statistic in STATISTICS:
        for pinned, words in ((True, "pinned by a symmetry"), (False, "not pinned")):
            counts = "".join(f"{table[statistic, pinned, v]:12d}" for v in verdicts)
            print(f"{statistic:12s} {words:22s}{counts}")
    print(f"\n{'kind':28s}{'pinned numbers':>16s}{'certified':>12s}{'value told':>12s}")
    for kind in sorted({k for k, _ in kinds}):
        print(f"{kind:28s}{kinds[kind, 'all']:16d}{kinds[kind, 'certified']:12d}{kinds[kind, 'pinned']:12d}")
    everything = sum(v for (_, what), v in kinds.items() if what == "all")
    for what, words in (("certified", "certified"), ("pinned", "certified, or the pinned value told")):
        count = sum(v for (_, name), v in kinds.items() if name == what)
        share = f"{count / max(everything, 1):.1%} ({count} of {everything})"
        print(f"share of numbers pinned by a symmetry that are {words}: {share}")
    return 1 if false else 0


if __name__ == "__main__":
    sys.exit(main())
