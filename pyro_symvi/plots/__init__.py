"""Pictures of certificates, symmetries and guides: one style, colours that colour-blind readers can tell apart."""

from ._certificate import plot_certificate, plot_forest
from ._failures import plot_failure
from ._orbits import plot_orbits
from ._reference import plot_against_reference
from ._residuals import plot_residuals
from ._style import PALETTE, VERDICT_COLOURS, style, use_style

__all__ = [
    "PALETTE",
    "VERDICT_COLOURS",
    "plot_against_reference",
    "plot_certificate",
    "plot_failure",
    "plot_forest",
    "plot_orbits",
    "plot_residuals",
    "style",
    "use_style",
]
