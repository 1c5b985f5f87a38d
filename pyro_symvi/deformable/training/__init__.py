"""Training of frames: a loop that can be killed and resumed, and files of trained models."""

from ..._schedules import Constant as Constant
from ..._schedules import Cosine as Cosine
from ..._schedules import Schedule as Schedule
from ._best_gauge import best_gauge as best_gauge
from ._model import FrameModel as FrameModel
from ._model_files import load_model as load_model
from ._recipe import Recipe as Recipe
from ._result import History as History
from ._result import TrainingError as TrainingError
from ._result import TrainingStatus as TrainingStatus
from ._train import train_frame as train_frame
from ._train_relaxed import train_relaxed_frame as train_relaxed_frame

__all__ = [
    "Constant",
    "Cosine",
    "FrameModel",
    "History",
    "Recipe",
    "Schedule",
    "TrainingError",
    "TrainingStatus",
    "best_gauge",
    "load_model",
    "train_frame",
    "train_relaxed_frame",
]
