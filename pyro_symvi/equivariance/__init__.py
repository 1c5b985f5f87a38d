"""How much of a symmetry a model has learnt: spectra of its layers, errors of its outputs, and what to do about them.

``u(g) = f(g x)`` is the response of a model or a layer along the orbit of an input; its energy divides among the
irreducible representations of the group (:func:`spectrum`, for any layer). ``z(g) = rho(g^-1) f(g x)`` is the response
turned back; its spread is the error of an output whose behaviour is declared (:func:`equivariance_error`).
"""

from ._inputs import Shared as Shared
from ._rules import MonteCarlo as MonteCarlo
from .biases import Augmentation as Augmentation
from .biases import EquivariancePenalty as EquivariancePenalty
from .biases import HarmonicFeatures as HarmonicFeatures
from .biases import OrbitPenalty as OrbitPenalty
from .biases import SectorPenalty as SectorPenalty
from .biases import TensorBasis as TensorBasis
from .biases import TensorBasisHead as TensorBasisHead
from .converging import Convergence as Convergence
from .converging import converge as converge
from .data import CloudDataset as CloudDataset
from .data import CloudTarget as CloudTarget
from .data import CrossProduct as CrossProduct
from .data import Dataset as Dataset
from .data import HarmonicMoment as HarmonicMoment
from .data import HarmonicOfDipole as HarmonicOfDipole
from .data import MoleculeDataset as MoleculeDataset
from .data import SoftCoulomb as SoftCoulomb
from .data import TripleProduct as TripleProduct
from .data import decorated_clouds as decorated_clouds
from .data import molecules as molecules
from .diagnosis import Diagnosis as Diagnosis
from .diagnosis import diagnose as diagnose
from .diagnosis import target_labels as target_labels
from .errors import Accuracies as Accuracies
from .errors import Accuracy as Accuracy
from .errors import EquivarianceError as EquivarianceError
from .errors import EquivarianceErrors as EquivarianceErrors
from .errors import ParitySplit as ParitySplit
from .errors import Rounding as Rounding
from .errors import accuracy as accuracy
from .errors import equivariance_error as equivariance_error
from .errors import translation_error as translation_error
from .images import AngleError as AngleError
from .images import ImageError as ImageError
from .images import image_error as image_error
from .images import inscribed_disc as inscribed_disc
from .images import rotated_images as rotated_images
from .inference import GuideSymmetry as GuideSymmetry
from .inference import Symmetry as Symmetry
from .inference import Thresholds as Thresholds
from .inference import guide_equivariance as guide_equivariance
from .inference import law_invariance as law_invariance
from .lie import CentralDifferences as CentralDifferences
from .lie import DoubleBackward as DoubleBackward
from .lie import ForwardMode as ForwardMode
from .lie import LieError as LieError
from .lie import lie_error as lie_error
from .models import MaxPooling as MaxPooling
from .models import MeanPooling as MeanPooling
from .models import PointCloudTransformer as PointCloudTransformer
from .models import PointNet as PointNet
from .models import SumPooling as SumPooling
from .report import EquivarianceReport as EquivarianceReport
from .report import report as report
from .spectra import ConvergenceWarning as ConvergenceWarning
from .spectra import LayerSpectrum as LayerSpectrum
from .spectra import Spectrum as Spectrum
from .spectra import gram_error as gram_error
from .spectra import lebedev_rule as lebedev_rule
from .spectra import spectrum as spectrum
from .symmetrizing import Symmetrized as Symmetrized
from .symmetrizing import symmetrize as symmetrize
from .training import Recipe as Recipe
from .training import SpectrumHistory as SpectrumHistory
from .training import SpectrumLogger as SpectrumLogger
from .training import Trained as Trained
from .training import train as train

__all__ = [
    "Accuracies",
    "Accuracy",
    "AngleError",
    "Augmentation",
    "CentralDifferences",
    "CloudDataset",
    "CloudTarget",
    "Convergence",
    "ConvergenceWarning",
    "CrossProduct",
    "Dataset",
    "Diagnosis",
    "DoubleBackward",
    "EquivarianceError",
    "EquivarianceErrors",
    "EquivariancePenalty",
    "EquivarianceReport",
    "ForwardMode",
    "GuideSymmetry",
    "HarmonicFeatures",
    "HarmonicMoment",
    "HarmonicOfDipole",
    "ImageError",
    "LayerSpectrum",
    "LieError",
    "MaxPooling",
    "MeanPooling",
    "MoleculeDataset",
    "MonteCarlo",
    "OrbitPenalty",
    "ParitySplit",
    "PointCloudTransformer",
    "PointNet",
    "Recipe",
    "Rounding",
    "SectorPenalty",
    "Shared",
    "SoftCoulomb",
    "Spectrum",
    "SpectrumHistory",
    "SpectrumLogger",
    "SumPooling",
    "Symmetrized",
    "Symmetry",
    "TensorBasis",
    "TensorBasisHead",
    "Thresholds",
    "Trained",
    "TripleProduct",
    "accuracy",
    "converge",
    "decorated_clouds",
    "diagnose",
    "equivariance_error",
    "gram_error",
    "guide_equivariance",
    "image_error",
    "inscribed_disc",
    "law_invariance",
    "lebedev_rule",
    "lie_error",
    "molecules",
    "report",
    "rotated_images",
    "spectrum",
    "symmetrize",
    "target_labels",
    "train",
    "translation_error",
]
