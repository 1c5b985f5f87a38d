"""Training of denoisers: a loop that can be killed and resumed, one process or several, and files of trained models."""

from ..._schedules import Constant as Constant
from ..._schedules import Cosine as Cosine
from ..._schedules import Schedule as Schedule
from ._model_files import SavedModel as SavedModel
from ._model_files import load_model as load_model
from ._model_files import save_model as save_model
from ._result import History as History
from ._result import TrainingError as TrainingError
from ._result import TrainingResult as TrainingResult
from ._result import TrainingStatus as TrainingStatus
from ._times import LogitNormalTimes as LogitNormalTimes
from ._times import Times as Times
from ._times import UniformTimes as UniformTimes
from ._train import train as train

__all__ = [
    "Constant",
    "Cosine",
    "History",
    "LogitNormalTimes",
    "SavedModel",
    "Schedule",
    "Times",
    "TrainingError",
    "TrainingResult",
    "TrainingStatus",
    "UniformTimes",
    "load_model",
    "save_model",
    "train",
]
