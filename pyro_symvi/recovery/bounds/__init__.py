"""How far a statistic can be off where the symmetry is only approximate."""

from .reflection import ReflectionBound, reflection_bound

__all__ = ["ReflectionBound", "reflection_bound"]
