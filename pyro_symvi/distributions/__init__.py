"""Laws on R^d that the families are built from, as Pyro distributions."""

from .bases import BASES, Base, Laplace, Logistic, Normal, StudentT

__all__ = ["BASES", "Base", "Laplace", "Logistic", "Normal", "StudentT"]
