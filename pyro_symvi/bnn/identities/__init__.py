"""Exact statements about the posterior of a network, as checks that need no ground truth."""

from ._balancedness import Balancedness as Balancedness
from ._balancedness import LayerBalance as LayerBalance
from ._balancedness import balancedness as balancedness
from ._conformity import Conformity as Conformity
from ._conformity import LayerConformity as LayerConformity
from ._conformity import Marginal as Marginal
from ._conformity import conformity as conformity
from ._conformity import prior_ks as prior_ks
from ._conformity import prior_wasserstein as prior_wasserstein
from ._equipartition import Equipartition as Equipartition
from ._equipartition import equipartition as equipartition
from ._evidence import Evidence as Evidence
from ._evidence import tempered_evidence as tempered_evidence
from ._hidden import UnitLayer as UnitLayer
from ._linear_balance import LinearBalance as LinearBalance
from ._linear_balance import linear_balance as linear_balance
from ._norm_law import NormLaw as NormLaw
from ._norm_law import norm_law as norm_law
from ._orbit_cdf import orbit_cdf as orbit_cdf
from ._orbit_law import LayerOrbits as LayerOrbits
from ._orbit_law import OrbitLaw as OrbitLaw
from ._orbit_law import orbit_law as orbit_law
from ._radius_law import RadiusLaw as RadiusLaw
from ._reallocation import Reallocation as Reallocation
from ._reallocation import reallocation as reallocation
from ._shares import ShareTest as ShareTest
from ._shares import duplicate_contrasts as duplicate_contrasts
from ._shares import share_test as share_test
from ._standard_errors import ZeroMean as ZeroMean
from ._standard_errors import zero_mean as zero_mean

__all__ = [
    "Balancedness",
    "Conformity",
    "Equipartition",
    "Evidence",
    "LayerBalance",
    "LayerConformity",
    "LayerOrbits",
    "LinearBalance",
    "Marginal",
    "NormLaw",
    "OrbitLaw",
    "RadiusLaw",
    "Reallocation",
    "ShareTest",
    "UnitLayer",
    "ZeroMean",
    "balancedness",
    "conformity",
    "duplicate_contrasts",
    "equipartition",
    "linear_balance",
    "norm_law",
    "orbit_cdf",
    "orbit_law",
    "prior_ks",
    "prior_wasserstein",
    "reallocation",
    "share_test",
    "tempered_evidence",
    "zero_mean",
]
