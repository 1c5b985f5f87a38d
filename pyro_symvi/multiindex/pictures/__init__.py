"""Phase diagrams: into a matplotlib axis (``draw_...``) or as a figure (``plot_...``)."""

from ..._figures import save_figure as save_figure
from ._phases import draw_committee as draw_committee
from ._phases import draw_single_index as draw_single_index
from ._phases import plot_phase_diagram as plot_phase_diagram

__all__ = ["draw_committee", "draw_single_index", "plot_phase_diagram", "save_figure"]
