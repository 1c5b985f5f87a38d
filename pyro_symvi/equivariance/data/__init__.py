"""Data with exact labels and known symmetry: molecules with energies and dipoles, decorated clouds."""

from ._clouds import CloudDataset as CloudDataset
from ._clouds import decorated_clouds as decorated_clouds
from ._dataset import Dataset as Dataset
from ._molecules import MoleculeDataset as MoleculeDataset
from ._molecules import molecules as molecules
from ._targets import CloudTarget as CloudTarget
from ._targets import CrossProduct as CrossProduct
from ._targets import HarmonicMoment as HarmonicMoment
from ._targets import HarmonicOfDipole as HarmonicOfDipole
from ._targets import SoftCoulomb as SoftCoulomb
from ._targets import TripleProduct as TripleProduct

__all__ = [
    "CloudDataset",
    "CloudTarget",
    "CrossProduct",
    "Dataset",
    "HarmonicMoment",
    "HarmonicOfDipole",
    "MoleculeDataset",
    "SoftCoulomb",
    "TripleProduct",
    "decorated_clouds",
    "molecules",
]
