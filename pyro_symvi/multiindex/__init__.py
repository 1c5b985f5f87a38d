"""Noise sensitivity of multi-index models: when the units of a network can specialise, and which guide then fits."""

from .channels import FreeEntropy as FreeEntropy
from .channels import GaussianChannel as GaussianChannel
from .instability import CommitteeELBO as CommitteeELBO
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
from .sensitivity import NoiseSensitivity as NoiseSensitivity
from .sensitivity import noise_sensitivity as noise_sensitivity

__all__ = [
    "ACTIVATIONS",
    "CommitteeELBO",
    "FreeEntropy",
    "GaussianChannel",
    "Instability",
    "Link",
    "NoiseSensitivity",
    "TiedGuide",
    "activation_named",
    "break_symmetry_init",
    "committee_elbo",
    "committee_machine",
    "committee_mean",
    "hermite_functions",
    "irrep_instability",
    "noise_sensitivity",
    "project_irrep",
    "random_start",
    "specialised_guide",
    "standard_curvature",
    "symmetrised",
    "unit_moments",
]
