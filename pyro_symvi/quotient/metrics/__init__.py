"""Metrics of sampled shapes: geometry, coverage, populations, distances of laws, and differences with intervals.

Local figures (bonds, angles, one torsion at a time) can look best for a model whose populations are worst: report
``well_populations`` and a joint law (``energy_test``) beside them.
"""

from ._alignment import rmsd as rmsd
from ._alignment import rmsd_matrix as rmsd_matrix
from ._alignment import symmetric_rmsd as symmetric_rmsd
from ._comparison import Comparison as Comparison
from ._comparison import compare as compare
from ._coverage import Coverage as Coverage
from ._coverage import coverage as coverage
from ._distances import circular_wasserstein1 as circular_wasserstein1
from ._distances import jensen_shannon as jensen_shannon
from ._distances import wasserstein1 as wasserstein1
from ._ensembles import ensemble_coverage as ensemble_coverage
from ._internal import bond_angles as bond_angles
from ._internal import bond_lengths as bond_lengths
from ._internal import chirality as chirality
from ._internal import defined as defined
from ._internal import graph_angles as graph_angles
from ._internal import graph_bonds as graph_bonds
from ._internal import graph_torsions as graph_torsions
from ._internal import pairwise_distances as pairwise_distances
from ._internal import radius_of_gyration as radius_of_gyration
from ._internal import signed_volumes as signed_volumes
from ._internal import torsions as torsions
from ._joint import EnergyTest as EnergyTest
from ._joint import energy_test as energy_test
from ._joint import shape_features as shape_features
from ._paired import PairedDifference as PairedDifference
from ._paired import paired_differences as paired_differences
from ._populations import ClopperPearson as ClopperPearson
from ._populations import IntervalRule as IntervalRule
from ._populations import WellPopulations as WellPopulations
from ._populations import Wilson as Wilson
from ._populations import well_populations as well_populations
from ._symmetry import automorphisms as automorphisms
from ._symmetry import graph_automorphisms as graph_automorphisms
from ._table import Interval as Interval

__all__ = [
    "bond_lengths",
    "bond_angles",
    "torsions",
    "defined",
    "radius_of_gyration",
    "pairwise_distances",
    "signed_volumes",
    "chirality",
    "graph_bonds",
    "graph_angles",
    "graph_torsions",
    "rmsd",
    "rmsd_matrix",
    "symmetric_rmsd",
    "automorphisms",
    "graph_automorphisms",
    "Coverage",
    "coverage",
    "ensemble_coverage",
    "WellPopulations",
    "well_populations",
    "IntervalRule",
    "Wilson",
    "ClopperPearson",
    "wasserstein1",
    "circular_wasserstein1",
    "jensen_shannon",
    "EnergyTest",
    "energy_test",
    "shape_features",
    "Interval",
    "PairedDifference",
    "paired_differences",
    "Comparison",
    "compare",
]
