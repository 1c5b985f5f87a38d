"""Groups and their actions: elements, Haar measure, orbits, and what a symmetry pins down.

A :class:`Group` is algebra and measure: ``compose``, ``inverse``, ``sample`` (Haar), ``elements``, ``generators``,
``quadrature``, ``irreps``. An :class:`Action` is a group moving the points of a space: ``act``, ``orbit``, ``average``,
and the geometry of orbits, all of it derived from ``vertical_basis`` unless a closed form is known. A
:class:`LinearAction` adds the answer to this project's first question: if a law is invariant, its mean lies in
``fixed_subspace()`` and its covariance in ``symmetric_square_fixed_subspace()``, whatever the law.

>>> import torch
>>> S = CoordinatePermutation(3).symmetric_square_fixed_subspace()
>>> len(S)  # exchangeable coordinates: one common variance, one common covariance
2

Finite groups: Trivial, Cyclic, Dihedral, Symmetric, PermutationGroup, SignFlips, SignedPermutations,
FiniteMatrixGroup, PolyhedralGroup, PointGroup. Compact: Orthogonal, SpecialOrthogonal, Unitary, SpecialUnitary,
Torus. Not compact: Translation, PositiveScaling, SpecialEuclidean. Products: DirectProduct, SemidirectProduct,
WreathProduct.
"""

from ._action import Action as Action
from ._affine_action import AffineAction as AffineAction
from ._axis_flips import AxisFlips as AxisFlips
from ._characters import CharacterTable as CharacterTable
from ._complex_actions import PhaseAction as PhaseAction
from ._complex_actions import TorusAction as TorusAction
from ._complex_actions import UnitaryAction as UnitaryAction
from ._composed_action import ComposedAction as ComposedAction
from ._conditional_reflection import ConditionalReflection as ConditionalReflection
from ._conjugation import Conjugation as Conjugation
from ._conjugation import HermitianConjugation as HermitianConjugation
from ._cyclic_groups import Cyclic as Cyclic
from ._cyclic_groups import Dihedral as Dihedral
from ._elliptical_rotation import EllipticalRotation as EllipticalRotation
from ._errors import InfiniteGroupError as InfiniteGroupError
from ._errors import NonCompactGroupError as NonCompactGroupError
from ._errors import UnsupportedError as UnsupportedError
from ._fourier_translation import FourierTranslation as FourierTranslation
from ._gig import GeneralizedInverseGaussian as GeneralizedInverseGaussian
from ._grid_actions import GridRotations as GridRotations
from ._grid_actions import GridTranslation as GridTranslation
from ._group import Group as Group
from ._group import Quadrature as Quadrature
from ._harmonics import solid_harmonics as solid_harmonics
from ._harmonics import spherical_harmonics as spherical_harmonics
from ._hidden_units import HiddenLayer as HiddenLayer
from ._hidden_units import HiddenUnitPermutation as HiddenUnitPermutation
from ._hidden_units import HiddenUnitRescaling as HiddenUnitRescaling
from ._hidden_units import HiddenUnitSignFlip as HiddenUnitSignFlip
from ._image_flip import ImageFlip as ImageFlip
from ._irreps import Irrep as Irrep
from ._linear_action import LinearAction as LinearAction
from ._matrix_groups import FiniteMatrixGroup as FiniteMatrixGroup
from ._matrix_groups import PolyhedralGroup as PolyhedralGroup
from ._matrix_representation import MatrixRepresentation as MatrixRepresentation
from ._natural_action import Antipodal as Antipodal
from ._natural_action import AxialRotation as AxialRotation
from ._natural_action import NaturalAction as NaturalAction
from ._natural_action import SphereRotation as SphereRotation
from ._network_rescaling import NetworkRescaling as NetworkRescaling
from ._noncompact import PositiveScaling as PositiveScaling
from ._noncompact import SpecialEuclidean as SpecialEuclidean
from ._noncompact import Translation as Translation
from ._orthogonal import Orthogonal as Orthogonal
from ._permutation_actions import BlockSigns as BlockSigns
from ._permutation_actions import CoordinatePermutation as CoordinatePermutation
from ._permutation_actions import SignedCoordinatePermutation as SignedCoordinatePermutation
from ._permutation_groups import PermutationGroup as PermutationGroup
from ._permutation_groups import PermutationLike as PermutationLike
from ._permutation_groups import Symmetric as Symmetric
from ._point_clouds import PointCloudAction as PointCloudAction
from ._point_groups import PointGroup as PointGroup
from ._point_reflection import PointReflection as PointReflection
from ._products import DirectProduct as DirectProduct
from ._representations import InvariantAction as InvariantAction
from ._representations import IrrepAction as IrrepAction
from ._sign_flips import SignFlips as SignFlips
from ._signed_permutations import SignedPermutations as SignedPermutations
from ._signed_units import SignedUnitPermutation as SignedUnitPermutation
from ._special_orthogonal import SpecialOrthogonal as SpecialOrthogonal
from ._tensor_actions import DirectSumAction as DirectSumAction
from ._tensor_actions import TensorAction as TensorAction
from ._torus import Torus as Torus
from ._translation_action import TranslationAction as TranslationAction
from ._trivial import Trivial as Trivial
from ._twisted_products import SemidirectProduct as SemidirectProduct
from ._twisted_products import WreathProduct as WreathProduct
from ._unitary import SpecialUnitary as SpecialUnitary
from ._unitary import Unitary as Unitary
from ._wigner import wigner_d as wigner_d

__all__ = [
    "Action",
    "AffineAction",
    "Antipodal",
    "AxialRotation",
    "AxisFlips",
    "BlockSigns",
    "CharacterTable",
    "ComposedAction",
    "ConditionalReflection",
    "Conjugation",
    "CoordinatePermutation",
    "Cyclic",
    "Dihedral",
    "DirectProduct",
    "DirectSumAction",
    "EllipticalRotation",
    "FiniteMatrixGroup",
    "FourierTranslation",
    "GeneralizedInverseGaussian",
    "GridRotations",
    "GridTranslation",
    "Group",
    "HermitianConjugation",
    "HiddenLayer",
    "HiddenUnitPermutation",
    "HiddenUnitRescaling",
    "HiddenUnitSignFlip",
    "ImageFlip",
    "InfiniteGroupError",
    "InvariantAction",
    "Irrep",
    "IrrepAction",
    "LinearAction",
    "MatrixRepresentation",
    "NaturalAction",
    "NetworkRescaling",
    "NonCompactGroupError",
    "Orthogonal",
    "PermutationGroup",
    "PermutationLike",
    "PhaseAction",
    "PointCloudAction",
    "PointGroup",
    "PointReflection",
    "PolyhedralGroup",
    "PositiveScaling",
    "Quadrature",
    "SemidirectProduct",
    "SignFlips",
    "SignedCoordinatePermutation",
    "SignedPermutations",
    "SignedUnitPermutation",
    "SpecialEuclidean",
    "SpecialOrthogonal",
    "SpecialUnitary",
    "SphereRotation",
    "Symmetric",
    "TensorAction",
    "Torus",
    "TorusAction",
    "Translation",
    "TranslationAction",
    "Trivial",
    "Unitary",
    "UnitaryAction",
    "UnsupportedError",
    "WreathProduct",
    "solid_harmonics",
    "spherical_harmonics",
    "wigner_d",
]
