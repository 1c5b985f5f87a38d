"""Training with a look at the symmetry: a callback for any loop, and a small loop of our own."""

from ._history import Record as Record
from ._history import SpectrumHistory as SpectrumHistory
from ._logger import SpectrumLogger as SpectrumLogger
from ._recipe import Constant as Constant
from ._recipe import Cosine as Cosine
from ._recipe import Recipe as Recipe
from ._recipe import Schedule as Schedule
from ._samples import ScaledLoss as ScaledLoss
from ._train import train as train
from ._trained import Trained as Trained
from ._trained import TrainingHistory as TrainingHistory

__all__ = [
    "Constant",
    "Cosine",
    "Recipe",
    "Record",
    "ScaledLoss",
    "Schedule",
    "SpectrumHistory",
    "SpectrumLogger",
    "Trained",
    "TrainingHistory",
    "train",
]
