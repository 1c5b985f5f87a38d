"""Markov chains on flat vectors, many at once."""

from ._hmc import HMC as HMC
from ._mams import MAMS as MAMS
from ._mclmc import MCLMC as MCLMC
from ._sampler import ChainState as ChainState
from ._sampler import Sampler as Sampler
from ._sampler import StepInfo as StepInfo
from ._sampler import Target as Target
from ._sampler import Tuning as Tuning
from ._sampler import WarmUp as WarmUp

__all__ = ["HMC", "MAMS", "MCLMC", "ChainState", "Sampler", "StepInfo", "Target", "Tuning", "WarmUp"]
