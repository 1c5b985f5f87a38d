"""A certificate as plain data, with what is needed to reproduce it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyro
import torch

from ... import __version__
from ..evidence.residuals import ResidualTest
from .entry import number

if TYPE_CHECKING:
    from .certificate import Certificate

FORMAT = 1
"""Version of the layout of the record."""


@dataclass(frozen=True)
class Provenance:
    """Where a certificate comes from.

    Attributes:
        what: What was certified, in words.
        kind: ``"guide"``, ``"draws"`` or ``"target"``.
        guide: The guide, in words.
        divergence: What was minimised, or None.
        symmetry: The symmetry asked for, or None (searched for).
        seed: Seed of the generator at the start.
        num_points: Random points of each residual test.
        num_draws: Weighted draws.
        fingerprint: Hash of the target's graph and constants; empty where it could not be read.
        parameters: Hash of the fitted location and scatter.
        versions: Of pyro_symvi, torch, pyro and python.
    """

    what: str
    kind: str
    guide: str
    divergence: str | None
    symmetry: str | None
    seed: int
    num_points: int
    num_draws: int
    fingerprint: str
    parameters: str
    versions: Mapping[str, str]


def versions() -> dict[str, str]:
    """Of what numbers depend on."""
    return {
        "pyro_symvi": __version__,
        "torch": torch.__version__,
        "pyro": pyro.__version__,
        "python": platform.python_version(),
    }


def hash_of(*tensors: torch.Tensor) -> str:
    """SHA-256 of shapes and float64 values, to 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(tensor.detach().double().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def symmetry_records(tests: Sequence[ResidualTest]) -> tuple[dict[str, Any], ...]:
    """The tests without their points."""
    return tuple(_symmetry(test) for test in tests)


def _symmetry(test: ResidualTest) -> dict[str, Any]:
    center = getattr(test.action, "center", None)
    return {
        "action": type(test.action).__name__,
        "coordinates": list(getattr(test.action, "coordinates", None) or ()),
        "center": None if center is None else [number(x) for x in torch.as_tensor(center).double().tolist()],
        "evidence": test.evidence.value,
        "points": test.points,
        "draws_screened": test.screened,
        "doubt": test.doubt or None,
        "largest_residual": number(test.largest),
        "witness_residual": number(test.witness_residual) if test.witness is not None else None,
        "reach": number(test.reach),
    }


def certificate_record(certificate: Certificate) -> dict[str, Any]:
    """`Certificate.to_dict`."""
    came = certificate.provenance
    return {
        "format": FORMAT,
        "pyro_symvi": came.versions["pyro_symvi"],
        "guide": came.guide,
        "divergence": came.divergence,
        "provenance": {**asdict(came), "versions": dict(came.versions)},
        "sites": certificate.layout.to_dict(),
        "coordinates": list(certificate.layout.coordinates),
        "statistics": {name: report.to_dict() for name, report in certificate.reports.items()},
        "symmetries": [dict(record) for record in certificate.symmetries],
        "region": certificate.region,
        "notes": list(certificate.notes),
    }
