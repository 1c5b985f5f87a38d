"""A Pyro model, or a plain function, as one flat log density ``z[..., d] -> log p(z)``."""

from ._data_parallel import DataParallelDensity
from ._log_density import LogDensity
from ._sites import Site

__all__ = ["DataParallelDensity", "LogDensity", "Site"]
