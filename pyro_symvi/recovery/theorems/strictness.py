r"""Packs of conditions under which the minimiser in the location is unique, not only convex.

Convexity alone leaves plateaus (a uniform target under a uniform guide: every location inside is as good). Each pack is
a sufficient condition; that it fails refutes nothing but the pack. Proofs: a midpoint of two minimisers would be
strictly better.
"""

from __future__ import annotations

from ..verdicts import Premise
from .facts import Fact, all_of, any_of, decided
from .setting import Setting, once
from .target import Symmetry
from .theorem import STRICT


@once
def s_minus(setting: Setting) -> Fact:
    """S- (alpha <= 0): p log-concave, and p > 0 everywhere with q0 > 0 almost everywhere, or p strictly log-concave.

    Equality at a midpoint makes log p affine on the segments between nu_0 + C xi and nu_1 + C xi for almost every xi;
    with q0 > 0 everywhere, on whole lines, along which p would not be integrable.
    """
    p = setting.p
    whole = all_of(p.positive, setting.g.positive)
    return all_of(p.proper, p.log_concave, any_of(p.strictly_log_concave, whole))


@once
def s_plus(setting: Setting) -> Fact:
    """S+ (alpha >= 1): q0 log-concave, and one of three.

    Finite log q0 everywhere with p > 0 almost everywhere; or q0 strictly log-concave; or q0 spherical with a strictly
    decreasing profile, P with a density, and d >= 2 or alpha > 1 (a Laplace guide in one dimension under forward KL is
    flat on the gap of a target with one).
    """
    p, q, alpha = setting.p, setting.g, setting.o.alpha
    profile = all_of(
        decided(q.spherical, "the base is spherical", "the base is not spherical"),
        q.decreasing,
        p.proper,
        decided(
            q.dim >= 2 or (alpha is not None and alpha > 1),
            "d >= 2 or alpha > 1",
            "in one dimension at alpha = 1 a decreasing profile is not enough",
        ),
    )
    return all_of(
        q.log_concave,
        any_of(q.strictly_log_concave, profile, all_of(q.positive, p.proper, p.positive_almost_everywhere)),
    )


@once
def s_between(setting: Setting) -> Fact:
    """S01 (0 < alpha < 1): p and q0 log-concave, and both positive everywhere, or one strictly and positive everywhere.

    The equality case of the Prekopa-Leindler inequality makes log p affine along v and log q0 along v - nu.
    """
    p, q = setting.p, setting.g
    return all_of(
        p.proper,
        p.log_concave,
        q.log_concave,
        any_of(
            all_of(p.positive, q.positive),
            all_of(p.strictly_log_concave, p.positive),
            all_of(q.strictly_log_concave, q.positive),
        ),
    )


@once
def s_unimodal(setting: Setting) -> Fact:
    """SU: p and q0 positive, continuous, strictly decreasing along rays; f'' > 0."""
    return all_of(decreasing_target(setting), setting.g.decreasing, setting.o.strictly_convex)


def s_elliptical(setting: Setting, symmetry: Symmetry) -> Fact:
    """SE: one radial profile strictly decreasing and positive, the other never increasing and not constant; f'' > 0."""
    q = setting.g
    profile = any_of(symmetry.profile, all_of(symmetry.fact, setting.p.proper, setting.p.log_concave))
    strict = any_of(symmetry.strict_profile, all_of(symmetry.fact, decreasing_target(setting)))
    return all_of(setting.o.strictly_convex, any_of(all_of(q.decreasing, profile), all_of(strict, q.non_increasing)))


def decreasing_target(setting: Setting) -> Fact:
    """Whether p is positive, continuous and strictly decreasing along rays: as given, or even and strictly log-concave.

    The evenness itself is a premise of its own wherever this is used.
    """
    p = setting.p
    return any_of(p.decreasing, all_of(p.strictly_log_concave, p.positive, p.proper))


def pack(setting: Setting) -> Premise:
    """The pack of the setting's regime as a premise."""
    return location_strict(setting).premise(STRICT)


@once
def location_strict(setting: Setting) -> Fact:
    """S-, S01 or S+, by alpha; unknown outside the alpha family."""
    if setting.regime == "reverse":
        return s_minus(setting)
    if setting.regime == "between":
        return s_between(setting)
    if setting.regime == "forward":
        return s_plus(setting)
    return decided(False, "", "no exponent alpha, or an objective that is not minimised")
