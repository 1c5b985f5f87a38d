"""How much of a symmetry a model has learnt: spectra of its layers, errors of its outputs, and what to do about them.

``u(g) = f(g x)`` is the response of a model or a layer along the orbit of an input; its energy divides among the
irreducible representations of the group (:func:`spectrum`, for any layer). ``z(g) = rho(g^-1) f(g x)`` is the response
turned back; its spread is the error of an output whose behaviour is declared (:func:`equivariance_error`).
"""

from ._inputs import Shared as Shared
from ._rules import MonteCarlo as MonteCarlo
from .diagnosis import Diagnosis as Diagnosis
from .diagnosis import diagnose as diagnose
from .diagnosis import target_labels as target_labels
from .errors import EquivarianceError as EquivarianceError
from .errors import equivariance_error as equivariance_error
from .lie import CentralDifferences as CentralDifferences
from .lie import DoubleBackward as DoubleBackward
from .lie import ForwardMode as ForwardMode
from .lie import LieError as LieError
from .lie import lie_error as lie_error
from .spectra import LayerSpectrum as LayerSpectrum
from .spectra import Spectrum as Spectrum
from .spectra import spectrum as spectrum

__all__ = [
    "CentralDifferences",
    "Diagnosis",
    "DoubleBackward",
    "EquivarianceError",
    "ForwardMode",
    "LayerSpectrum",
    "LieError",
    "MonteCarlo",
    "Shared",
    "Spectrum",
    "diagnose",
    "equivariance_error",
    "lie_error",
    "spectrum",
    "target_labels",
]
