"""Clouds to learn from: chains and tetrahedra with known laws, conformers of molecules, fragments of proteins."""

from ..._common_molecules import common_molecules as common_molecules
from ._chains import ChainLaw as ChainLaw
from ._chains import bent_chains as bent_chains
from ._chains import chain_context as chain_context
from ._chains import chain_dataset as chain_dataset
from ._chains import chain_from_internal as chain_from_internal
from ._chains import chain_internal as chain_internal
from ._chains import torsion_chains as torsion_chains
from ._conformers import MMFF as MMFF
from ._conformers import ConformerDataset as ConformerDataset
from ._conformers import MoleculeProblem as MoleculeProblem
from ._conformers import conformer_ensembles as conformer_ensembles
from ._graphs import EDGE_KINDS as EDGE_KINDS
from ._graphs import NODE_FEATURES as NODE_FEATURES
from ._graphs import molecule as molecule
from ._graphs import molecule_context as molecule_context
from ._graphs import molecules_with as molecules_with
from ._proteins import FragmentDataset as FragmentDataset
from ._proteins import protein_fragments as protein_fragments
from ._tetrahedra import chiral_tetrahedra as chiral_tetrahedra
from ._tetrahedra import tetrahedron_shapes as tetrahedron_shapes

__all__ = [
    "EDGE_KINDS",
    "MMFF",
    "NODE_FEATURES",
    "ChainLaw",
    "ConformerDataset",
    "FragmentDataset",
    "MoleculeProblem",
    "bent_chains",
    "chain_context",
    "chain_dataset",
    "chain_from_internal",
    "chain_internal",
    "chiral_tetrahedra",
    "common_molecules",
    "conformer_ensembles",
    "molecule",
    "molecule_context",
    "molecules_with",
    "protein_fragments",
    "tetrahedron_shapes",
    "torsion_chains",
]
