"""Parametrised families of laws: what a symmetric guide is, free of any model."""

from .location_scale import LocationScale

__all__ = ["LocationScale"]
