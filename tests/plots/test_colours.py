"""Colours of verdicts and lines: told apart by colour-blind readers, words legible on their background.

Colour blindness: Machado, Oliveira & Fernandes (2009), severity 1, on linear RGB. Distance: CIE 1976 L*a*b*, D65, of
which 2.3 is just noticeable side by side (Mahy, Van Eycken & Oosterlinck, 1994). Contrast: WCAG 2.
"""

from itertools import combinations

import numpy as np
import pytest

from pyro_symvi._figures import METHODS
from pyro_symvi.plots import PALETTE, VERDICT_COLOURS
from pyro_symvi.recovery import Verdict
from pyro_symvi.recovery.report.page import COLOURS

BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = TO_XYZ.sum(1)


def linear(colour: str) -> np.ndarray:
    """Linear RGB of a "#rrggbb"."""
    c = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a linear RGB."""
    t = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def least_distance(colours: list[str], matrix: np.ndarray) -> float:
    """The two nearest of the colours, as seen through ``matrix``."""
    seen = [lab(np.asarray(matrix) @ linear(c)) for c in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))


def contrast(ink: str, paper: str) -> float:
    """The WCAG contrast ratio, 1 to 21."""
    low, high = sorted(float(TO_XYZ[1] @ linear(c)) for c in (ink, paper))
    return (high + 0.05) / (low + 0.05)


def test_the_measures_agree_with_published_values():
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)  # Lindbloom's tables of sRGB
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)  # WCAG's own example of a passing grey
    assert least_distance(["#ff0000", "#00ff00"], np.eye(3)) > 150
    for names in ("protanopia", "deuteranopia"):  # what these readers confuse
        assert least_distance(["#7a6a00", "#b05a00"], BLINDNESS[names]) < 25


@pytest.mark.parametrize("seen_by", BLINDNESS)
def test_any_two_verdicts_and_lines_are_told_apart(seen_by):
    assert least_distance(list(VERDICT_COLOURS.values()), BLINDNESS[seen_by]) > 20
    assert least_distance(list(METHODS), BLINDNESS[seen_by]) > 15
    assert least_distance(list(PALETTE.values()), BLINDNESS[seen_by]) > 15


def test_the_former_greens_would_be_refused():
    assert least_distance(["#14532d", "#166534"], np.eye(3)) < 10


@pytest.mark.parametrize("verdict", [v.name for v in Verdict])
def test_words_of_verdicts_are_legible(verdict):
    ink, paper = COLOURS[verdict]
    assert min(contrast(ink, paper), contrast(ink, "#ffffff")) > 4.5
    assert VERDICT_COLOURS[verdict] == ink
