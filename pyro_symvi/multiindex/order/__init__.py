"""Overlaps of units with a reference, modulo the group that exchanges and turns them."""

from ._align import align_units as align_units
from ._order_parameters import OrderParameters as OrderParameters
from ._order_parameters import order_parameters as order_parameters
from ._overlap import overlap_matrix as overlap_matrix
from ._symmetry import symmetry_of as symmetry_of
from ._symmetry import unit_action as unit_action

__all__ = ["OrderParameters", "align_units", "order_parameters", "overlap_matrix", "symmetry_of", "unit_action"]
