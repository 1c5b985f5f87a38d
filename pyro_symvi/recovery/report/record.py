"""A certificate as plain data, with what is needed to reproduce it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pyro
import torch

from ... import __version__
from ...density import LogDensity
from ..evidence.residuals import ResidualTest
from .entry import number, real

if TYPE_CHECKING:
    from .certificate import Certificate

FORMAT = 1
"""Version of the layout of the record."""


@dataclass(frozen=True)
class Probe:
    """Log density and gradient at a few points: what a target whose graph could not be read is recognised by.

    Attributes:
        points: ``[k, d]``, as rows.
        log_p: At each.
        gradient: At each.
    """

    points: tuple[tuple[float, ...], ...]
    log_p: tuple[float, ...]
    gradient: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, density: LogDensity) -> Probe:
        """At the density's starting points."""
        if not density.starts:
            return cls((), (), ())
        points = torch.stack([start.double() for start in density.starts])
        values, gradients = density.value_and_grad(points)
        return cls(_rows(points), tuple(values.tolist()), _rows(gradients))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "points": [[number(x) for x in row] for row in self.points],
            "log_p": [number(x) for x in self.log_p],
            "gradient": [[number(x) for x in row] for row in self.gradient],
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Probe:
        """The inverse of `to_dict`."""
        rows = {key: tuple(tuple(real(x) for x in row) for row in record[key]) for key in ("points", "gradient")}
        return cls(rows["points"], tuple(real(x) for x in record["log_p"]), rows["gradient"])


def _rows(values: torch.Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())


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
        contrasts: Contrasts that the user named, ``{name: vector}``.
        probe: The target at a few points.
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
    contrasts: Mapping[str, Sequence[float]]
    probe: Probe

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        plain = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("versions", "contrasts", "probe")
        }
        contrasts = {name: list(vector) for name, vector in self.contrasts.items()}
        return {**plain, "versions": dict(self.versions), "contrasts": contrasts, "probe": self.probe.to_dict()}


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
        "provenance": came.to_dict(),
        "sites": certificate.layout.to_dict(),
        "coordinates": list(certificate.layout.coordinates),
        "statistics": {name: report.to_dict() for name, report in certificate.reports.items()},
        "symmetries": [dict(record) for record in certificate.symmetries],
        "region": certificate.region,
        "notes": list(certificate.notes),
    }
