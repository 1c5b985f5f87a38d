"""Spectra: how the energy of a response divides among the irreducible representations of a group."""

from ._result import LayerSpectrum as LayerSpectrum
from ._result import Spectrum as Spectrum
from ._spectrum import spectrum as spectrum

__all__ = ["LayerSpectrum", "Spectrum", "spectrum"]
