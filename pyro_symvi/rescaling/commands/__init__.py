"""The command line of rescaling: ``python -m pyro_symvi rescale FILE.py:MODEL``."""

from ._arguments import add_arguments as add_arguments

__all__ = ["add_arguments"]
