"""Simulated data, spectral estimates, message passing, and the state evolution that predicts it."""

from ._data import CommitteeData as CommitteeData
from ._data import SingleIndexData as SingleIndexData
from ._data import committee_data as committee_data
from ._data import single_index_data as single_index_data
from ._evolution import FixedPoint as FixedPoint
from ._evolution import StateEvolution as StateEvolution
from ._evolution import fixed_points as fixed_points
from ._evolution import state_evolution as state_evolution
from ._gamp import GampResult as GampResult
from ._gamp import gamp as gamp
from ._prediction import SpectralPrediction as SpectralPrediction
from ._prediction import spectral_prediction as spectral_prediction
from ._spectral import SpectralEstimate as SpectralEstimate
from ._spectral import optimal_preprocessing as optimal_preprocessing
from ._spectral import spectral_estimator as spectral_estimator

__all__ = [
    "CommitteeData",
    "FixedPoint",
    "GampResult",
    "SingleIndexData",
    "SpectralEstimate",
    "SpectralPrediction",
    "StateEvolution",
    "committee_data",
    "fixed_points",
    "gamp",
    "optimal_preprocessing",
    "single_index_data",
    "spectral_estimator",
    "spectral_prediction",
    "state_evolution",
]
