"""The strongest guarantee for each statistic: every theorem tried on every symmetry of the target."""

from __future__ import annotations

from collections.abc import Iterator

from ...groups import ConditionalReflection
from ..verdicts import Evidence, Premise, Verdict, weakest
from . import (
    contrasts,
    counterexamples,
    elliptical,
    exponential_families,
    general,
    log_concave,
    moments,
    partial,
    refusals,
    sphere,
    student,
    unimodal,
)
from .guarantees import Guarantee, Item
from .setting import Setting
from .subgroups import subgroups
from .target import Symmetry
from .theorem import APriori, Refusal, Theorem

A_PRIORI: tuple[APriori, ...] = (
    *log_concave.THEOREMS,
    *exponential_families.THEOREMS,
    *student.THEOREMS,
    *unimodal.THEOREMS,
    *elliptical.THEOREMS,
    *partial.THEOREMS,
    *contrasts.THEOREMS,
    *moments.THEOREMS,
    *sphere.THEOREMS,
    *general.THEOREMS,
)
"""Theorems on the minimiser of a divergence, those with the fewest demands on the reader first."""
REFUSALS: tuple[Refusal, ...] = (*refusals.THEOREMS, *counterexamples.THEOREMS)
"""Where nothing may be certified."""

_FLAT = ("mean", "correlation")
_SPHERE = ("axis", "direction")
_ALIASES = {"centre": "mean", "shape": "correlation"}
Key = tuple[str, Item]


def guarantees(setting: Setting) -> tuple[Guarantee, ...]:
    """What theory says of the minimiser, for every statistic: the strongest applicable theorem, premise by premise.

    It speaks of the minimiser of the divergence over the family, *before* any fit. A fitted value is another matter: an
    optimiser may stop elsewhere, and a sample average has a minimiser of its own; `certify` is for that.

    Returns:
        Proved ones first; for statistics without a theorem an ``UNKNOWN`` that says what is missing.

    Example:
        >>> from pyro_symvi.divergences import ForwardKL
        >>> from pyro_symvi.families import LocationScale
        >>> from pyro_symvi.recovery.theorems import Target, proved
        >>> target = Target(2, proper=proved("given"), second_moment=proved("given"))
        >>> sorted((g.statistic, g.verdict.name) for g in guarantees(Setting(target, LocationScale(2), ForwardKL())))
        [('correlation', 'PROVED'), ('covariance', 'PROVED'), ('mean', 'PROVED')]
    """
    for refusal in REFUSALS:
        reason = refusal.applies(setting) if refusal.blocking and refusal.statistic == "any" else None
        if reason is not None:
            names = _SPHERE if setting.p.on_sphere else _FLAT
            return tuple(Guarantee(name, (), refusal.verdict, refusal, (), reason) for name in names)
    best: dict[Key, tuple[Verdict, APriori, tuple[Premise, ...]]] = {}
    for theorem, symmetry, premises in _attempts(setting):
        if any(premise.evidence is Evidence.REFUTED for premise in premises):
            continue
        verdict = weakest(premises)
        for key in _claims(theorem, setting, symmetry):
            if key not in best or verdict > best[key][0]:
                best[key] = (verdict, theorem, premises)
    blocked = tuple(_blocked(setting))
    for told in blocked:
        for key in [k for k in best if _ALIASES.get(k[0], k[0]) == told.statistic]:
            if not told.items or key[1] in told.items:
                del best[key]
    found = [*_merged(best), *_unrecovered(setting, best), *blocked]
    silenced = {g.statistic for g in blocked}
    found = [g for g in found if g.verdict is not Verdict.UNKNOWN or g.statistic not in silenced]
    return tuple(sorted(found, key=lambda g: -g.verdict.value))


def _attempts(setting: Setting) -> Iterator[tuple[APriori, Symmetry | None, tuple[Premise, ...]]]:
    """Every theorem on every symmetry it speaks of, with premises."""
    symmetries = subgroups(setting.target)
    for theorem in A_PRIORI:
        for symmetry in symmetries if theorem.symmetric else (None,):
            premises = theorem.judge(setting, symmetry)
            if premises is not None:
                yield theorem, symmetry, premises


def _claims(theorem: APriori, setting: Setting, symmetry: Symmetry | None) -> Iterator[Key]:
    """What a theorem says under one symmetry: computed from what the action pins."""
    dim, name = setting.p.dim, theorem.statistic
    if symmetry is None:
        for statistic in {"covariance": ("covariance", "correlation")}.get(name, (name,)):
            whole = statistic in ("mean", "variances")
            yield from (((statistic, (i,)) for i in range(dim)) if whole else [(statistic, ())])
        return
    pinned = symmetry.pins(dim)
    if name == "mean":
        exists = setting.p.first_moment.is_proved
        yield from (("mean" if exists else "centre", (i,)) for i in pinned.mean)
    elif name == "correlation":
        exists = setting.p.second_moment.is_proved
        pairs = pinned.pairs.tril().nonzero().tolist()
        yield from (("correlation" if exists else "shape", (j, i)) for i, j in pairs)
    elif name == "contrasts":
        yield from (("contrasts", orbit) for orbit in pinned.orbits)
    elif name == "slope" and isinstance(symmetry.action, ConditionalReflection):
        given = symmetry.action.given
        rest = tuple(i for i in range(dim) if i not in symmetry.action.coordinates)
        yield ("slope", (tuple(symmetry.action.coordinates), rest if given is None else tuple(given)))
    elif name in ("axis", "escort direction"):
        yield (name, ())


def _merged(best: dict[Key, tuple[Verdict, APriori, tuple[Premise, ...]]]) -> Iterator[Guarantee]:
    """Items with one theorem and one set of premises, as one guarantee; unknown ones are told by `_unrecovered`."""
    groups: dict[tuple[str, str, tuple[Premise, ...]], list[Item]] = {}
    entries: dict[tuple[str, str, tuple[Premise, ...]], tuple[Verdict, APriori]] = {}
    for (statistic, item), (verdict, theorem, premises) in best.items():
        if verdict is Verdict.UNKNOWN:
            continue
        key = (statistic, theorem.name, premises)
        groups.setdefault(key, []).append(item)
        entries[key] = (verdict, theorem)
    for key, items in groups.items():
        verdict, theorem = entries[key]
        named = tuple(item for item in items if item)
        yield Guarantee(key[0], named, verdict, theorem, key[2], theorem.statement)


def _unrecovered(
    setting: Setting, best: dict[Key, tuple[Verdict, APriori, tuple[Premise, ...]]]
) -> Iterator[Guarantee]:
    """An UNKNOWN for each statistic (for means: the coordinates) without a theorem: the nearest miss and why."""
    on_sphere = setting.p.on_sphere
    known = {(s, item) for (s, item), (verdict, _, _) in best.items() if verdict is not Verdict.UNKNOWN}
    covered = {_ALIASES.get(s, s) for s, _ in known}
    for statistic in _SPHERE if on_sphere else _FLAT:
        left: tuple[Item, ...] = ()
        if statistic == "mean":
            done = {item[0] for s, item in known if s in ("mean", "centre")}
            left = tuple((i,) for i in range(setting.p.dim) if i not in done)
            if not left:
                continue
        elif statistic in covered:
            continue
        yield _miss(setting, statistic, left, best)
    for (statistic, item), (verdict, theorem, premises) in best.items():
        if verdict is Verdict.UNKNOWN and statistic in ("contrasts", "slope"):
            yield Guarantee(statistic, (item,), verdict, theorem, premises, _reason(setting, statistic, premises))


def _miss(
    setting: Setting,
    statistic: str,
    left: tuple[Item, ...],
    best: dict[Key, tuple[Verdict, APriori, tuple[Premise, ...]]],
) -> Guarantee:
    aliases = {"mean": ("mean", "centre"), "correlation": ("correlation", "shape")}.get(statistic, (statistic,))
    near = [(t, p) for (s, item), (_, t, p) in best.items() if s in aliases and (not left or item in left)]
    premises: tuple[Premise, ...] = ()
    theorem: Theorem | None = None
    if near:
        theorem, premises = min(near, key=lambda pair: _gap(pair[1]))
    return Guarantee(statistic, left, Verdict.UNKNOWN, theorem, premises, _reason(setting, statistic, premises))


def _gap(premises: tuple[Premise, ...]) -> int:
    return sum(premise.evidence is not Evidence.PROVED for premise in premises)


def _reason(setting: Setting, statistic: str, premises: tuple[Premise, ...]) -> str:
    told = [r.applies(setting) for r in REFUSALS if not r.blocking and r.statistic in (statistic, "any")]
    known = [words for words in told if words]
    if known:
        return known[0]
    open_ones = [f"{p.name}: {p.statement}" for p in premises if p.evidence is not Evidence.PROVED]
    if open_ones:
        return "; ".join(open_ones)
    held = [s for s in setting.p.symmetries if not s.fact.is_refuted]
    if not held:
        false = [s.fact.words for s in setting.p.symmetries]
        return false[0] if false else "no symmetry of the target that pins it was shown"
    return "no theorem applies"


def _blocked(setting: Setting) -> Iterator[Guarantee]:
    """Statistics that are known not to be recovered."""
    for refusal in REFUSALS:
        if refusal.blocking and refusal.statistic != "any":
            reason = refusal.applies(setting)
            if reason is not None:
                yield Guarantee(refusal.statistic, refusal.items(setting), refusal.verdict, refusal, (), reason)
