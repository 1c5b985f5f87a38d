"""The command ``deformable train | show``."""

from ._arguments import add_arguments as add_arguments

__all__ = ["add_arguments"]
