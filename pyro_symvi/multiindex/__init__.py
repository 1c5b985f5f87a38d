"""Noise sensitivity of multi-index models: when the units of a network can specialise, and which guide then fits."""

from .channels import FreeEntropy as FreeEntropy
from .channels import GaussianChannel as GaussianChannel
from .instability import GuideELBO as GuideELBO
from .instability import Instability as Instability
from .instability import break_symmetry_init as break_symmetry_init
from .instability import irrep_instability as irrep_instability
from .instability import project_irrep as project_irrep
from .instability import symmetrised as symmetrised
from .links import ACTIVATIONS as ACTIVATIONS
from .links import Link as Link
from .links import activation_named as activation_named
from .links import hermite_functions as hermite_functions
from .models import TiedGuide as TiedGuide
from .models import committee_elbo as committee_elbo
from .models import committee_machine as committee_machine
from .models import committee_mean as committee_mean
from .models import random_start as random_start
from .models import specialised_guide as specialised_guide
from .models import standard_curvature as standard_curvature
from .models import unit_moments as unit_moments
from .order import OrderParameters as OrderParameters
from .order import align_units as align_units
from .order import order_parameters as order_parameters
from .order import overlap_matrix as overlap_matrix
from .order import symmetry_of as symmetry_of
from .order import unit_action as unit_action
from .sensitivity import NoiseSensitivity as NoiseSensitivity
from .sensitivity import noise_sensitivity as noise_sensitivity

__all__ = [
    "ACTIVATIONS",
    "FreeEntropy",
    "GaussianChannel",
    "GuideELBO",
    "Instability",
    "Link",
    "NoiseSensitivity",
    "OrderParameters",
    "TiedGuide",
    "activation_named",
    "align_units",
    "break_symmetry_init",
    "committee_elbo",
    "committee_machine",
    "committee_mean",
    "hermite_functions",
    "irrep_instability",
    "noise_sensitivity",
    "order_parameters",
    "overlap_matrix",
    "project_irrep",
    "random_start",
    "specialised_guide",
    "standard_curvature",
    "symmetrised",
    "symmetry_of",
    "unit_action",
    "unit_moments",
]
