"""Link functions: activations by name or as callables, with the quadrature of the normal law that fits them."""

from ._hermite import hermite_functions as hermite_functions
from ._link import Link as Link
from ._link import Parity as Parity
from ._named import ACTIVATIONS as ACTIVATIONS
from ._named import activation_named as activation_named

__all__ = ["ACTIVATIONS", "Link", "Parity", "activation_named", "hermite_functions"]
