"""A Pyro model, or a plain function, as one flat log density ``z[..., d] -> log p(z)``."""

from ._log_density import LogDensity
from ._sites import Site

__all__ = ["LogDensity", "Site"]
