"""Residuals of every symmetry that a certificate tested, against the distance from the centre."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ..recovery import Certificate
from ..recovery.sphere.residuals import SphereTest
from ..recovery.verdicts import Evidence
from ._certificate import _checked
from ._style import PALETTE, VERDICT_COLOURS, style

_FLOOR = 1e-16
_MOST_POINTS = 400
_MOST_NAMED = 3
_HELD, _FAILED, _OPEN = "osD^", "x+12", "*"
_WORDS = {
    Evidence.PROVED: "holds",
    Evidence.VERIFIED: "holds",
    Evidence.REFUTED: "fails",
    Evidence.UNKNOWN: "not decided",
}


def plot_residuals(certificate: Certificate, *, axes: Any = None) -> Any:
    """Draw ``|log p(gz) - log p(z)|`` at the points where each symmetry was tested, with what rounding explains.

    Symmetries that hold are green and filled, those that fail red crosses; each is named in the legend with the word
    "holds" or "fails". A grey dash is the rounding bound of the point below or above it, with what the last digits of
    the centre may do: a residual over its dash refutes the symmetry. Residuals of zero are drawn at 1e-16. Beyond the
    farthest point the background is hatched: no residual is known there. On spheres distances are angles, and the whole
    sphere was looked at.

    Args:
        certificate: With its tests, that is, not read from a file.
        axes: Matplotlib axes to draw in; by default those of a new figure.

    Returns:
        The matplotlib figure (not shown; ``figure.savefig(path)`` writes it).

    Raises:
        TypeError: Not a certificate.
        ValueError: No symmetry was tested by residuals, or the certificate was read from a file.
    """
    from matplotlib.figure import Figure

    tests = [t for t in _checked(certificate).tests if len(t.residuals) or t.witness is not None]
    if not tests:
        raise ValueError(
            "expected a certificate with residuals, got none, because it was read from a file or everything was "
            "decided without evaluating log p; try certify again, or print(certificate) for the proofs"
        )
    with style():
        if axes is None:
            axes = Figure(figsize=(8.4, 4.4), layout="constrained").subplots()
        _draw(axes, certificate, tests)
    return axes.figure


def _draw(axes: Any, certificate: Certificate, tests: list[Any]) -> None:
    on_sphere = isinstance(tests[0], SphereTest)
    order = (Evidence.REFUTED, Evidence.UNKNOWN, Evidence.VERIFIED, Evidence.PROVED)
    held = [t for t in tests if t.evidence in (Evidence.VERIFIED, Evidence.PROVED)]
    axes.set_xscale("linear" if on_sphere else "log")
    axes.set_yscale("log")
    counts: dict[str, int] = {}
    for evidence in order:
        for test in (t for t in tests if t.evidence is evidence):
            word = _WORDS[evidence]
            counts[word] = counts.get(word, 0) + 1
            _scatter(axes, test, word, counts[word], _name(certificate, test))
    for word, count in counts.items():
        if count > _MOST_NAMED:
            axes.plot([], [], " ", label=f"and {count - _MOST_NAMED} more: {word}")
    axes.plot([], [], "_", color=PALETTE["ink"], alpha=0.5, ms=7, label="most that rounding explains there")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, _FLOOR / 4), min(high, 1e6))
    if on_sphere:
        axes.set_xlabel("angle from the axis (radians)")
        spacing = tests[0].reach
        gaps = f"gaps of {spacing:.2g} rad between points" if math.isfinite(spacing) else "random points"
        axes.set_title(f"The whole sphere was looked at; nothing was seen in the {gaps}", fontsize=10)
    else:
        _mark_region(axes, held or tests)
        axes.set_xlabel("distance from the centre (scales of the posterior)")
    axes.set_ylabel("|log p(gz) - log p(z)|  (nats)")
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _scatter(axes: Any, test: Any, word: str, number: int, name: str) -> None:
    """One symmetry: its residuals, and their bounds as dashes."""
    holds, fails = word == "holds", word == "fails"
    colour = VERDICT_COLOURS["PROVED" if holds else "REFUTED" if fails else "UNKNOWN"]
    markers = _HELD if holds else _FAILED if fails else _OPEN
    every = max(1, len(test.residuals) // _MOST_POINTS)
    kept = torch.argsort(test.residuals.abs(), descending=True)[::every]  # the largest is always among them
    distance = test.distances[kept].numpy()
    size = np.clip(test.residuals.abs()[kept].numpy(), _FLOOR, 1e5)
    shown = number <= _MOST_NAMED
    axes.plot(
        distance if isinstance(test, SphereTest) else np.clip(distance, 1e-4, None),
        size,
        markers[(number - 1) % len(markers)],
        color=colour,
        mfc=colour if holds else "none",
        ms=3.2 if holds else 5,
        mew=0.8,
        alpha=0.75,
        label=f"{name}: {word}" if shown else None,
        zorder=3,
    )
    if len(test.bounds) == len(test.residuals):
        bound = np.clip(test.bounds[kept].numpy(), _FLOOR, 1e5)
        axes.plot(np.clip(distance, 1e-4, None), bound, "_", color=PALETTE["ink"], alpha=0.35, ms=5, mew=0.8, zorder=2)


def _mark_region(axes: Any, tests: list[Any]) -> None:
    """How far anything was seen, and what that leaves open."""
    reach = max(t.reach for t in tests)
    left, right = axes.get_xlim()
    right = max(right, reach * 30)
    axes.axvspan(reach, right, facecolor="#f2f2f2", edgecolor=PALETTE["faint"], hatch="///", lw=0, zorder=0)
    axes.set_xlim(left, right)
    farthest = f"{reach:.0f}" if reach < 1e4 else f"{reach:.0e}"
    axes.set_title(
        f"No residual beyond {farthest} scales (hatched); a mode that no point came near would not be seen", fontsize=10
    )


def _name(certificate: Certificate, test: Any) -> str:
    """The symmetry and what it moves, in words."""
    if isinstance(test, SphereTest):
        return str(test.action.name)
    moved = test.action.coordinates or ()
    kind = type(test.action).__name__
    if certificate.subject is None or not moved:
        return kind
    left, names, density = set(moved), [], certificate.subject.density
    for site in density.sites:
        inside = [i for i in range(density.dim)[site.slice] if i in left]
        whole = len(inside) > 1 and len(inside) == site.slice.stop - site.slice.start
        names += [site.name] if whole else [density.coordinates[i] for i in inside]
    text = ", ".join(names)
    return f"{kind} of {text if len(text) <= 24 else f'{len(moved)} coordinates'}"
