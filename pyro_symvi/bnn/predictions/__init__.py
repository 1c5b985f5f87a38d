"""What draws of weights predict, and how well: log density, error, calibration, diversity of functions."""

from ._classes import CalibrationBins as CalibrationBins
from ._classes import calibration_bins as calibration_bins
from ._diversity import FunctionalDiversity as FunctionalDiversity
from ._diversity import functional_diversity as functional_diversity
from ._diversity import pairwise_wasserstein as pairwise_wasserstein
from ._evaluate import evaluate as evaluate
from ._evaluate import predictive_mixture as predictive_mixture
from ._mixture import NormalMixture as NormalMixture
from ._scores import ClassificationScores as ClassificationScores
from ._scores import RegressionScores as RegressionScores
from ._scores import Scores as Scores

__all__ = [
    "CalibrationBins",
    "ClassificationScores",
    "FunctionalDiversity",
    "NormalMixture",
    "RegressionScores",
    "Scores",
    "calibration_bins",
    "evaluate",
    "functional_diversity",
    "pairwise_wasserstein",
    "predictive_mixture",
]
