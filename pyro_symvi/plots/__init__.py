"""Pictures of certificates, symmetries and guides: one style, colours that colour-blind readers can tell apart."""

from ._failures import plot_failure
from ._style import PALETTE, VERDICT_COLOURS, style, use_style

__all__ = ["PALETTE", "VERDICT_COLOURS", "plot_failure", "style", "use_style"]
