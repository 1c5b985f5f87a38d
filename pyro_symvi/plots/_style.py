"""The one style of the package's pictures: colours, sizes, plain axes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from .._figures import FAINT, INK, METHODS, REFERENCE
from ..recovery.report.page import COLOURS

PALETTE = {"ink": INK, "faint": FAINT, "target": REFERENCE, "guide": METHODS[0], "good": METHODS[2], "bad": METHODS[4]}
"""What colours mean: the target is pale blue and filled, the guide a dark blue line, green holds, red fails."""

VERDICT_COLOURS = {name: ink for name, (ink, _) in COLOURS.items()}
"""A colour for each verdict; pictures always write the word beside it."""


def _settings() -> dict[str, Any]:
    from matplotlib.rcsetup import cycler

    return {
        "axes.edgecolor": FAINT,
        "axes.labelsize": 10,
        "axes.prop_cycle": cycler(color=list(METHODS)),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "figure.constrained_layout.use": True,
        "figure.dpi": 100,
        "figure.figsize": (7.0, 3.2),
        "font.size": 10,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "savefig.dpi": 160,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
    }


def use_style() -> None:
    """Set matplotlib's defaults for the rest of the process, as tutorials do; `style` sets them for one block."""
    import matplotlib

    matplotlib.rcParams.update(_settings())


def style() -> AbstractContextManager[None]:
    """The settings of `use_style` within a ``with`` block."""
    import matplotlib

    return matplotlib.rc_context(_settings())
