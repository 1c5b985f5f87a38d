"""Pictures of predictions, identities, marginals and scores, each drawn into a matplotlib axis."""

from ..._figures import save_figure as save_figure
from ._identities import draw_balancedness as draw_balancedness
from ._identities import draw_orbit_law as draw_orbit_law
from ._identities import draw_temperatures as draw_temperatures
from ._marginals import draw_marginals as draw_marginals
from ._predictions import draw_curve as draw_curve
from ._predictions import draw_predictions as draw_predictions
from ._predictions import draw_reliability as draw_reliability
from ._scores import draw_scores as draw_scores

__all__ = [
    "draw_balancedness",
    "draw_curve",
    "draw_marginals",
    "draw_orbit_law",
    "draw_predictions",
    "draw_reliability",
    "draw_scores",
    "draw_temperatures",
    "save_figure",
]
