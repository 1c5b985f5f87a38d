"""Inference: a loss for ``pyro.infer.SVI`` that minimises a chosen divergence, and a deterministic fit."""

from pyro_symvi.infer.compiled_svi import CompiledSVI
from pyro_symvi.infer.data_parallel import DataParallelELBO, synchronize_parameters
from pyro_symvi.infer.elbo import DivergenceELBO
from pyro_symvi.infer.fitting import fit
from pyro_symvi.infer.result import Fit, FitStatus, Optima

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
