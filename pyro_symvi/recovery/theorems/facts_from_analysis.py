"""From what static analysis proves of a model to the facts that theorems ask for: the one place that reads a report."""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis import Analysis
from .growth import growth_of
from .symmetries_from_analysis import Reader, is_diagonal
from .target import NOT_KNOWN, Decreasing, Target


def target_of(analysis: Analysis) -> Target:
    """The target as theorems look at it, from a static analysis."""
    read = Reader(analysis)
    if analysis.refusal:
        return Target(read.dim)
    concavity, moments = analysis.concavity, analysis.moments
    symmetries = tuple(read.symmetries())
    first, second = (moments[k].exists if k in moments else False for k in (1, 2))
    reason = next((moments[k].reason for k in (2, 1) if k in moments), "moments were not looked at")
    obstacle = (
        f"log p was not shown to be concave: {concavity.obstacle}" if concavity else "concavity was not looked at"
    )
    joint, strict = (concavity.joint, concavity.strict) if concavity else (False, False)
    growth = growth_of(*analysis.reading) if analysis.reading is not None and not analysis.idealisations else None
    falls = next((s.profile for s in symmetries if s.profile.is_proved), NOT_KNOWN)
    strictly = next((s.strict_profile for s in symmetries if s.strict_profile.is_proved), NOT_KNOWN)
    return Target(
        read.dim,
        symmetries,
        proper=read.said(first or second, "p is proper", reason),
        positive=read.said(read.positive, "p is positive everywhere"),
        log_concave=read.said(joint, "log p is concave", obstacle),
        strictly_log_concave=read.said(joint and strict, "log p is strictly concave"),
        strongly_log_concave=read.said(
            joint and concavity is not None and concavity.modulus > 0, "log p is strongly concave"
        ),
        first_moment=read.said(first, "first moments exist", reason),
        second_moment=read.said(second, "second moments exist", reason),
        convex_levels=falls,
        decreasing=strictly,
        coordinates=tuple(_coordinates(read)),
        growth=growth if read.positive else None,
    )


def _coordinates(read: Reader) -> Iterator[Decreasing]:
    """Coordinates that are even alone and never rise away from their centre; those of Gaussian blocks of diagonal "
    "shape."""
    analysis, seen = read.analysis, set(read.analysis.unimodal)
    for j in analysis.unimodal:
        words = f"log p is even in {read.names([j])} and never rises away from its centre, whatever the rest"
        strict = read.positive and j in analysis.strictly_unimodal
        yield Decreasing(j, read.said(True, words), read.said(strict, f"{words}; it falls strictly, and p is positive"))
    for block in analysis.blocks:
        shape = block.block.shape if block.is_elliptical and block.is_gaussian else None
        for j in block.coordinates if shape is not None and is_diagonal(shape) else ():
            if j not in seen:
                seen.add(j)
                words = f"{read.names([j])} is normal given the rest, about a centre free of them"
                yield Decreasing(j, read.said(True, words), read.said(read.positive, words))
