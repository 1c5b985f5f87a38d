"""Pictures of spectra and errors: into a matplotlib axis (``draw_...``) or as a figure (``plot_...``)."""

from ..._figures import save_figure as save_figure
from ._epochs import draw_epochs as draw_epochs
from ._epochs import plot_epochs as plot_epochs
from ._heat_map import draw_spectrum as draw_spectrum
from ._heat_map import plot_spectrum as plot_spectrum
from ._samples import draw_samples as draw_samples
from ._samples import plot_samples as plot_samples
from ._training import draw_training as draw_training
from ._training import plot_training as plot_training

__all__ = [
    "draw_epochs",
    "draw_samples",
    "draw_spectrum",
    "draw_training",
    "plot_epochs",
    "plot_samples",
    "plot_spectrum",
    "plot_training",
    "save_figure",
]
