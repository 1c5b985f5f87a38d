"""The command line of learnt symmetry: ``python -m pyro_symvi equivariance FILE.py:MODEL``."""

from ._arguments import add_arguments as add_arguments

__all__ = ["add_arguments"]
