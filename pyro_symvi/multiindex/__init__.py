"""Noise sensitivity of multi-index models: when the units of a network can specialise, and which guide then fits."""

from .advice import CommitteeSpec as CommitteeSpec
from .advice import GuideAdvice as GuideAdvice
from .advice import advise_guide as advise_guide
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
from .pictures import plot_phase_diagram as plot_phase_diagram
from .sensitivity import NoiseSensitivity as NoiseSensitivity
from .sensitivity import noise_sensitivity as noise_sensitivity
from .simulate import CommitteeData as CommitteeData
from .simulate import FixedPoint as FixedPoint
from .simulate import GampResult as GampResult
from .simulate import SingleIndexData as SingleIndexData
from .simulate import SpectralEstimate as SpectralEstimate
from .simulate import SpectralPrediction as SpectralPrediction
from .simulate import StateEvolution as StateEvolution
from .simulate import committee_data as committee_data
from .simulate import fixed_points as fixed_points
from .simulate import gamp as gamp
from .simulate import optimal_preprocessing as optimal_preprocessing
from .simulate import single_index_data as single_index_data
from .simulate import spectral_estimator as spectral_estimator
from .simulate import spectral_prediction as spectral_prediction
from .simulate import state_evolution as state_evolution
from .thresholds import CommitteeThresholds as CommitteeThresholds
from .thresholds import HierarchicalThresholds as HierarchicalThresholds
from .thresholds import SingleIndexThresholds as SingleIndexThresholds
from .thresholds import SpecialisationExponent as SpecialisationExponent
from .thresholds import committee_thresholds as committee_thresholds
from .thresholds import hierarchical_exponents as hierarchical_exponents
from .thresholds import sign_committee_constant as sign_committee_constant
from .thresholds import single_index_thresholds as single_index_thresholds
from .thresholds import specialisation_exponent as specialisation_exponent

__all__ = [
    "ACTIVATIONS",
    "CommitteeData",
    "CommitteeSpec",
    "CommitteeThresholds",
    "FixedPoint",
    "FreeEntropy",
    "GampResult",
    "GaussianChannel",
    "GuideAdvice",
    "GuideELBO",
    "HierarchicalThresholds",
    "Instability",
    "Link",
    "NoiseSensitivity",
    "OrderParameters",
    "SingleIndexData",
    "SingleIndexThresholds",
    "SpecialisationExponent",
    "SpectralEstimate",
    "SpectralPrediction",
    "StateEvolution",
    "TiedGuide",
    "activation_named",
    "advise_guide",
    "align_units",
    "break_symmetry_init",
    "committee_data",
    "committee_elbo",
    "committee_machine",
    "committee_mean",
    "committee_thresholds",
    "fixed_points",
    "gamp",
    "hermite_functions",
    "hierarchical_exponents",
    "irrep_instability",
    "noise_sensitivity",
    "optimal_preprocessing",
    "order_parameters",
    "overlap_matrix",
    "plot_phase_diagram",
    "project_irrep",
    "random_start",
    "sign_committee_constant",
    "single_index_data",
    "single_index_thresholds",
    "specialisation_exponent",
    "specialised_guide",
    "spectral_estimator",
    "spectral_prediction",
    "standard_curvature",
    "state_evolution",
    "symmetrised",
    "symmetry_of",
    "unit_action",
    "unit_moments",
]
