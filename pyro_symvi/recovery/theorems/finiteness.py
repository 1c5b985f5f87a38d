r"""Is the divergence finite where it is smallest, and is there a minimiser at all? Worked out from tails.

``finite`` says: finite for some parameters (of the scale; for some centre and hence, by lower semicontinuity, at the
minimum, if that is attained). ``exists`` says that sublevel sets are bounded: parameters that run off to the edge raise
the divergence. All bounds by hand:

* reverse KL: :math:`E_q[-\log p]` with -log p growing at most like a polynomial, or like exp(linear).
* 0 < alpha < 1: never above 1 / (alpha (1 - alpha)).
* forward KL (cross-entropy): the moments of p that -log q grows like.
* alpha > 1: :math:`p^\alpha q^{1-\alpha}`, p log-concave (it falls exponentially) or strongly so (like a normal law).
"""

from __future__ import annotations

from ...distributions.bases import Tail
from .facts import Fact, all_of, proved, refuted, unknown
from .setting import Setting, once


@once
def finite(setting: Setting) -> Fact:
    """Whether the objective is finite at its optimum."""
    o = setting.o
    if o.finite is not None:
        return o.finite
    if o.alpha is None:
        return unknown("whether the divergence is finite is not worked out outside the alpha family")
    if setting.p.on_sphere:
        return _on_sphere(setting, o.alpha)
    tail = setting.g.tail()
    if o.kind == "tuples":
        return all_of(
            setting.p.positive,
            _finite(setting, 0.0, tail, "the tuple bound is finite if the ELBO is: "),
        )
    return _finite(setting, o.alpha, tail)


def _finite(setting: Setting, alpha: float, tail: Tail | None, prefix: str = "") -> Fact:
    if 0 < alpha < 1:
        return proved("for 0 < alpha < 1 the divergence is at most 1 / (alpha (1 - alpha))")
    if tail is None and alpha == 1 and setting.g.least_df is not None:
        moment = setting.p.log_moment
        return Fact(moment.evidence, f"the cross-entropy needs E log(1 + |z|): {moment.words}")
    if tail is None:
        return unknown(f"{prefix}the tails of a {setting.g.name} guide are not one law's")
    found = _below(setting, alpha, tail) if alpha <= 0 else _above(setting, alpha, tail)
    return Fact(found.evidence, prefix + found.words)


def _below(setting: Setting, alpha: float, tail: Tail) -> Fact:
    """Alpha <= 0: how fast -log p grows, against the tail of q."""
    p, growth = setting.p, setting.p.growth
    if alpha < 0 and tail.kind == "power" and p.log_concave.is_proved and p.proper.is_proved:
        return refuted(f"p falls exponentially and q like a power: infinite for every guide at alpha = {alpha:g}")
    if not p.positive.is_proved:
        return unknown("p was not shown to be positive wherever the guide is")
    if tail.kind == "compact" and (growth is not None or p.log_concave.is_proved):
        return proved("the guide is bounded, and log p is on bounded sets")
    if growth is None:
        return unknown("no bound on the growth of -log p is known")
    narrow = tail.exponent > 1 or (tail.exponent == 1 and not setting.g.scale_is_fixed)
    if growth.kind == "exponential":
        if alpha == 0 and tail.kind == "exponential" and narrow:
            return proved("-log p grows at most like exp(linear), which a guide of exponential tails integrates")
        return unknown("-log p may grow like exp(linear)")
    if tail.kind == "power":
        room = tail.exponent - (setting.g.dim if setting.g.law is not None and setting.g.law.spherical else 1)
        if alpha == 0 and growth.degree < room:
            return proved(f"-log p grows at most like |z|^{growth.degree:g}, and the guide has moments below {room:g}")
        return unknown(f"-log p may grow like |z|^{growth.degree:g}, and the guide has moments below {room:g} only")
    wide = growth.degree == tail.exponent and not setting.g.scale_is_fixed
    if alpha == 0 or growth.degree < tail.exponent or wide:
        return proved(
            f"-log p grows at most like |z|^{growth.degree:g}, the guide falls like exp(-|z|^{tail.exponent:g})"
        )
    return unknown(f"-log p may grow faster than |z|^{tail.exponent:g}")


def _above(setting: Setting, alpha: float, tail: Tail) -> Fact:
    """Alpha >= 1: how fast p falls, against the tail of q."""
    p = setting.p
    light = p.log_concave.is_proved and p.proper.is_proved
    if tail.kind == "compact":
        if p.positive.is_proved:
            return refuted("p is positive where the guide is zero: infinite for every guide")
        return unknown("p may be positive where the guide is zero")
    if alpha == 1:
        if tail.kind == "power":
            return Fact(p.log_moment.evidence, f"the cross-entropy needs E log(1 + |z|): {p.log_moment.words}")
        if light or tail.exponent > 2:
            return proved("p is log-concave, so it has all moments") if light else unknown("moments beyond the second")
        moment = p.first_moment if tail.exponent <= 1 else p.second_moment
        return Fact(moment.evidence, f"the cross-entropy needs E |z|^{tail.exponent:g}: {moment.words}")
    free = not setting.g.scale_is_fixed
    if light and (tail.kind == "power" or tail.exponent < 1 or (tail.exponent == 1 and free)):
        return proved("p is log-concave, so it falls exponentially, and the guide no faster if wide enough")
    if p.strongly_log_concave.is_proved and (tail.exponent < 2 or (tail.exponent == 2 and free)):
        return proved("p is strongly log-concave, and the guide falls no faster if wide enough")
    return unknown(f"p was not shown to fall as fast as alpha = {alpha:g} needs beside the guide's tails")


def _on_sphere(setting: Setting, alpha: float) -> Fact:
    p = setting.p
    if 0 < alpha < 1:
        return proved("for 0 < alpha < 1 the divergence is at most 1 / (alpha (1 - alpha))")
    if alpha >= 1 and setting.g.is_von_mises_fisher:
        return Fact(p.bounded.evidence, f"p^alpha is integrable if p is bounded: {p.bounded.words}")
    return Fact(p.positive.evidence, f"log p has to be bounded below on the sphere: {p.positive.words}")


@once
def exists(setting: Setting, fixed_scale: bool = False) -> Fact:
    """Whether a minimiser exists: over location and scale, or over the location at every fixed scale.

    As the scale degenerates or location or scale run off, the law concentrates on small sets or spreads out, and the
    divergence rises beyond bounds (alpha <= 0 with log-concave p: -log p grows linearly; alpha >= 1: -log q does, and
    -log|C^{-1}| does) or to its largest value (0 < alpha < 1: the affinity of singular laws is zero).
    """
    o, p, q = setting.o, setting.p, setting.g
    if o.exists is not None:
        return o.exists
    limits = proved("the location is free") if fixed_scale or q.scale_is_fixed else _closed_scales(setting)
    if p.on_sphere:
        ok = q.is_von_mises_fisher and p.proper.is_proved
        return proved("concentrations without bound are no better") if ok else unknown("not shown on this sphere")
    if o.kind == "climbing" or o.alpha is None:
        return unknown("existence of a minimiser is shown for the alpha family only")
    if o.alpha <= 0 or o.kind == "tuples":
        curved = all_of(p.proper, p.log_concave)
        return all_of(limits, curved) if curved.is_proved else unknown("existence was not shown: p is not log-concave")
    has_density = Fact(p.proper.evidence, f"P has a density: {p.proper.words}")
    if o.alpha >= 1 and not q.log_concave.is_proved and not q.df_above_one:
        return unknown("existence was not shown for this base law at alpha >= 1")
    return all_of(limits, has_density)


def _closed_scales(setting: Setting) -> Fact:
    q = setting.g
    if q.scales_are_closed:
        return proved("limits of scales are scales")
    return unknown(f"the limit of {q.name} scales need not be one")
