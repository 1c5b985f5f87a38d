"""Pictures of frames: colours, correspondences, midlines, symmetrised images."""

from ..._figures import save_figure as save_figure
from ._correspondences import draw_correspondences as draw_correspondences
from ._correspondences import grid_of_points as grid_of_points
from ._flip_energy import draw_flip_energy as draw_flip_energy
from ._frames import draw_frames as draw_frames
from ._frames import frame_colours as frame_colours
from ._midline import draw_midline as draw_midline
from ._symmetrized import draw_symmetrized as draw_symmetrized

__all__ = [
    "draw_correspondences",
    "draw_flip_energy",
    "draw_frames",
    "draw_midline",
    "draw_symmetrized",
    "frame_colours",
    "grid_of_points",
    "save_figure",
]
