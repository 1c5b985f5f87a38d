"""Sample ratios at which units of a multi-index model are found and told apart."""

from ._sign import sign_committee_constant as sign_committee_constant
from ._single import SingleIndexThresholds as SingleIndexThresholds
from ._single import single_index_thresholds as single_index_thresholds

__all__ = ["SingleIndexThresholds", "sign_committee_constant", "single_index_thresholds"]
