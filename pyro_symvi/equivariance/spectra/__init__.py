"""Spectra: how the energy of a response divides among the irreducible representations of a group."""

from ._checks import ConvergenceWarning as ConvergenceWarning
from ._gram import gram_error as gram_error
from ._lebedev import lebedev_rule as lebedev_rule
from ._result import LayerSpectrum as LayerSpectrum
from ._spectra import Spectrum as Spectrum
from ._spectrum import spectrum as spectrum

__all__ = ["ConvergenceWarning", "LayerSpectrum", "Spectrum", "gram_error", "lebedev_rule", "spectrum"]
