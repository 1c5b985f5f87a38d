"""The command line of shapes: ``python -m pyro_symvi quotient train | sample | evaluate``."""

from ._arguments import add_commands as add_commands

__all__ = ["add_commands"]
