"""The command line of networks: ``python -m pyro_symvi bnn TABLE``."""

from ._arguments import add_arguments as add_arguments

__all__ = ["add_arguments"]
