"""Paths through a network: their squared norm, and how it depends on each parameter."""

from ._listing import Paths as Paths
from ._listing import path_lifting as path_lifting
from ._listing import paths as paths
from ._mean_field import expected_path_weights as expected_path_weights
from ._mean_field import initial_second_moments as initial_second_moments
from ._weights import log_path_weights as log_path_weights
from ._weights import path_norm as path_norm
from ._weights import path_norm_squared as path_norm_squared
from ._weights import path_weights as path_weights

__all__ = [
    "Paths",
    "expected_path_weights",
    "initial_second_moments",
    "log_path_weights",
    "path_lifting",
    "path_norm",
    "path_norm_squared",
    "path_weights",
    "paths",
]
