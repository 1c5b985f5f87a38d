"""Sample ratios at which units of a multi-index model are found and told apart."""

from ._committee import CommitteeThresholds as CommitteeThresholds
from ._committee import committee_thresholds as committee_thresholds
from ._hierarchical import HierarchicalThresholds as HierarchicalThresholds
from ._hierarchical import hierarchical_exponents as hierarchical_exponents
from ._sign import sign_committee_constant as sign_committee_constant
from ._single import SingleIndexThresholds as SingleIndexThresholds
from ._single import single_index_thresholds as single_index_thresholds
from ._specialisation import SpecialisationExponent as SpecialisationExponent
from ._specialisation import specialisation_exponent as specialisation_exponent

__all__ = [
    "CommitteeThresholds",
    "HierarchicalThresholds",
    "SingleIndexThresholds",
    "SpecialisationExponent",
    "committee_thresholds",
    "hierarchical_exponents",
    "sign_committee_constant",
    "single_index_thresholds",
    "specialisation_exponent",
]
