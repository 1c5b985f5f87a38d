"""Pictures of a conditioning: into a matplotlib axis (``draw_...``) or as a figure (``plot_...``)."""

from ..._figures import save_figure as save_figure
from ._conditioning import draw_scales as draw_scales
from ._conditioning import draw_spread as draw_spread
from ._conditioning import plot_conditioning as plot_conditioning

__all__ = ["draw_scales", "draw_spread", "plot_conditioning", "save_figure"]
