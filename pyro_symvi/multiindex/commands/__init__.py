"""The command line of multi-index models: ``python -m pyro_symvi multiindex ACTIVATION``."""

from ._arguments import add_arguments as add_arguments

__all__ = ["add_arguments"]
