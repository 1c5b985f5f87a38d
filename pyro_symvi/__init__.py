"""Which numbers of a simple variational guide are right? Symmetry certificates for Pyro models."""

__version__ = "0.1.0"
