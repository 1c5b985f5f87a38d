"""Pictures of sampled shapes, their torsions, and how figures change with training."""

from ..._figures import save_figure as save_figure
from ._clouds import draw_clouds as draw_clouds
from ._curves import draw_curves as draw_curves
from ._torsions import draw_ramachandran as draw_ramachandran
from ._torsions import draw_torsions as draw_torsions

__all__ = ["draw_clouds", "draw_curves", "draw_ramachandran", "draw_torsions", "save_figure"]
