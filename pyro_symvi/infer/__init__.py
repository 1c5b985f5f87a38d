"""Inference: a loss for ``pyro.infer.SVI`` that minimises a chosen divergence, and a deterministic fit."""

from pyro_symvi.infer.fitting._fit import fit
from pyro_symvi.infer.fitting.result import Fit, FitStatus, Optima
from pyro_symvi.infer.svi.compiled_svi import CompiledSVI
from pyro_symvi.infer.svi.data_parallel import DataParallelELBO, synchronize_parameters
from pyro_symvi.infer.svi.elbo import DivergenceELBO

__all__ = [
    "CompiledSVI",
    "DataParallelELBO",
    "DivergenceELBO",
    "Fit",
    "FitStatus",
    "Optima",
    "fit",
    "synchronize_parameters",
]
