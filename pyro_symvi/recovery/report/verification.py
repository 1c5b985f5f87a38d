"""Does a saved certificate speak of this target? Everything that can be computed again is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ...density import LogDensity
from ...groups import PointReflection
from ..evidence.witness import recompute_witness
from ..verdicts import Evidence, Verdict
from .entry import Entry, StatisticReport, Witness
from .layout import Layout
from .record import Probe
from .table import is_directional

if TYPE_CHECKING:
    from .certificate import Certificate

_TOLERANCE = 1e-9
_POINTS = 64
_RESOLUTION = 2e-6


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes:
        name: What was compared.
        holds: Whether it agrees.
        detail: In words.
    """

    name: str
    holds: bool
    detail: str

    def __str__(self) -> str:
        return f"{'agrees' if self.holds else 'DIFFERS'}: {self.name} ({self.detail})"


@dataclass(frozen=True)
class Verification:
    """What `Certificate.verify` compared; true if everything agrees."""

    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether every check agrees."""
        return all(check.holds for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that do not."""
        return tuple(check for check in self.checks if not check.holds)

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        head = (
            "The certificate speaks of this target." if self.holds else "The certificate does not speak of this target."
        )
        return "\n".join([head, *(f"- {check}" for check in self.checks)])


def verification(certificate: Certificate, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Verification:
    """`Certificate.verify`."""
    if is_directional(certificate.statistics):
        density: Any = _directional(target, args, kwargs)
    else:
        density = _density(target, args, kwargs)
    layout = _layout(certificate, density)
    checks = [layout]
    if layout.holds:
        checks += _target(certificate, density)
        checks += _proofs(certificate, density)
        checks += _symmetries(certificate, density)
        checks += _witnesses(certificate, density)
    return Verification(tuple(checks))


def _density(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LogDensity:
    if isinstance(target, LogDensity):
        if args or kwargs:
            raise TypeError(
                "expected no further arguments beside a LogDensity, got some, because its data are inside it; try "
                "certificate.verify(density)"
            )
        return target
    if not callable(target):
        raise TypeError(
            f"expected a Pyro model or a LogDensity, got {type(target).__name__}, because the certificate is compared "
            "with a target; try certificate.verify(model, *data)"
        )
    return LogDensity.from_model(target, *args, **kwargs)


def _directional(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from ..sphere import SphereDensity

    return target if isinstance(target, SphereDensity) else SphereDensity.from_model(target, *args, **kwargs)


def _fingerprint(density: Any) -> str:
    from ..analysis import analyze
    from ..sphere import SphereDensity, fingerprint

    return fingerprint(density) if isinstance(density, SphereDensity) else analyze(density).fingerprint


def _layout(certificate: Certificate, density: LogDensity) -> Check:
    here = Layout.of(density)
    same = here == certificate.layout
    detail = f"{len(here.names)} sites, {here.dim} coordinates"
    if not same:
        detail = f"{list(certificate.layout.coordinates)} in the certificate, {list(here.coordinates)} here"
    return Check("sites and coordinates", same, detail)


def _target(certificate: Certificate, density: LogDensity) -> Iterator[Check]:
    saved = certificate.provenance.fingerprint
    if saved:
        found = _fingerprint(density)
        yield Check("hash of graph and constants", found == saved, f"{saved[:12]} saved, {found[:12] or 'none'} here")
    probe = certificate.provenance.probe
    if probe.points:
        yield _probed(probe, density)
    elif not saved:
        yield Check("the target", False, "neither a hash nor values were saved to recognise it by")


def _probed(probe: Probe, density: LogDensity) -> Check:
    values, gradients = density.value_and_grad(torch.tensor(probe.points, dtype=torch.float64))
    saved_values = torch.tensor(probe.log_p, dtype=torch.float64)
    saved_gradients = torch.tensor(probe.gradient, dtype=torch.float64)
    gaps = [_relative(values, saved_values), _relative(gradients, saved_gradients)]
    gap = math.nan if any(math.isnan(x) for x in gaps) else max(gaps)
    return Check(
        f"log density and gradient at {len(probe.points)} points", gap <= _TOLERANCE, f"largest difference {gap:.1e}"
    )


def _relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(((a - b).abs() / (1 + b.abs())).nan_to_num(nan=math.inf).max())


def _proofs(certificate: Certificate, density: LogDensity) -> Iterator[Check]:
    """Proved premises and proved numbers, made again by static analysis alone."""
    proved = {name: _proved(report) for name, report in certificate.reports.items()}
    names = tuple(name for name, entries in proved.items() if entries)
    if not names:
        return
    from ..certification import certify

    contrasts = {k: torch.tensor(v, dtype=torch.float64) for k, v in certificate.provenance.contrasts.items()}
    again = certify(density, statistics=names, numerics=False, contrasts=contrasts or None)
    for name in names:
        now = {entry.label.partition(" of ")[2]: entry for entry in again[name].entries}
        wrong = [entry.label for entry in proved[name] if not _agree(entry, now.get(entry.label.partition(" of ")[2]))]
        detail = (
            f"{len(proved[name])} numbers" if not wrong else f"not proved, or another number: {', '.join(wrong[:5])}"
        )
        yield Check(f"proofs of the {name}", not wrong, detail)


def _proved(report: StatisticReport) -> list[Entry]:
    """Entries of which the target's number is proved, whatever the fitted one."""
    out = []
    for entry in report.entries:
        target = [p for p in entry.premises if p.name != "fitted value"]
        invariance = [p for p in target if p.name in ("invariance", "definition")]
        if entry.verdict is Verdict.PROVED or (
            invariance and not math.isnan(entry.exact) and all(p.evidence is Evidence.PROVED for p in invariance)
        ):
            out.append(entry)
    return out


def _agree(saved: Entry, now: Entry | None) -> bool:
    """The same exact number; and what is called proved is proved again, the fitted value being that number."""
    if now is None or math.isnan(now.exact) or math.isnan(saved.exact):
        return False
    near = abs(saved.exact - now.exact) <= 1e-12 * (1 + abs(now.exact))
    if saved.verdict is not Verdict.PROVED:
        return near
    return near and now.verdict is Verdict.PROVED and abs(saved.value - now.exact) <= 1e-5 * (1 + abs(now.exact))


def _symmetries(certificate: Certificate, density: LogDensity) -> Iterator[Check]:
    """Reflections that were verified, at fresh points near their centre."""
    for record in certificate.symmetries:
        if record["evidence"] != "verified" or record["action"] != "PointReflection" or not record["center"]:
            continue
        action = PointReflection(coordinates=record["coordinates"]).bind(density.dim, center=record["center"])
        center = torch.zeros(density.dim, dtype=torch.float64)
        if certificate.provenance.probe.points:
            center = torch.tensor(certificate.provenance.probe.points[0], dtype=torch.float64)
        moved = torch.tensor(record["coordinates"])
        at = torch.tensor(record["center"], dtype=torch.float64)
        generator = torch.Generator().manual_seed(5)
        step = 0.1 * (1 + at.abs()) * torch.randn(_POINTS, len(at), dtype=torch.float64, generator=generator)
        z = center.repeat(_POINTS, 1)
        z[:, moved] = at + step
        residual = density(action.act(-torch.ones(_POINTS, 1, dtype=torch.float64), z)) - density(z)
        size = residual.detach().abs()
        size = size[torch.isfinite(size)]
        largest = float(size.max()) if len(size) else math.nan
        yield Check(
            f"reflection of coordinates {list(record['coordinates'])}",
            largest <= _RESOLUTION + _TOLERANCE * float(density(z).detach().abs().nan_to_num(0, 0, 0).max()),
            f"residuals at most {largest:.1e} at {len(size)} fresh points",
        )


def _witnesses(certificate: Certificate, density: LogDensity) -> Iterator[Check]:
    """Residuals at the saved witnesses."""
    seen: set[tuple[float, ...]] = set()
    for report in certificate.reports.values():
        for entry in report.entries:
            if entry.witness is not None and entry.violation is not None and entry.witness not in seen:
                seen.add(entry.witness)
                yield _witness(entry, entry.violation, density)


def _witness(entry: Entry, violation: Witness, density: LogDensity) -> Check:
    found = recompute_witness(density, entry)
    near = abs(found - violation.residual) <= 1e-6 * abs(violation.residual) + 1e-12
    return Check(f"witness against {entry.label}", near, f"residual {violation.residual:.6g} saved, {found:.6g} here")
