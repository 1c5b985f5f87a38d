"""A certificate as pictures: rows of means, marginals with the residuals of a symmetry."""

from __future__ import annotations

from typing import Any

import torch

from ..recovery import Certificate
from ..recovery.report.forest import forest_figure
from ..recovery.report.plot import plot_certificate as marginals_figure
from ._style import style


def plot_certificate(
    certificate: Certificate, *, num_draws: int = 8192, generator: torch.Generator | None = None
) -> Any:
    """Draw what a certificate says of means: up to four marginals, and the residuals of a symmetry.

    Each marginal shows the target (importance-weighted draws, pale), the guide (dark line), its location in the colour
    of the verdict, the target's weighted mean (dotted), and the verdict in words. The last panel shows
    |log p(gz) - log p(z)| against the distance from the centre, for a symmetry that holds and for one that fails.

    Args:
        certificate: With means, and with its target.
        num_draws: Weighted draws of the target.
        generator: Random state; a fixed one by default.

    Returns:
        A matplotlib figure (not shown; ``figure.savefig(path)`` writes it).

    Raises:
        TypeError: Not a certificate.
        ValueError: No means, or a certificate read from a file, which has no target.
    """
    with style():
        return marginals_figure(_checked(certificate), num_draws=num_draws, generator=generator)


def plot_forest(certificate: Certificate, *, num_draws: int = 8192, generator: torch.Generator | None = None) -> Any:
    """Draw one row a coordinate, in posterior standard deviations from the fitted mean; what `Certificate.plot` draws.

    Each row has the central 95 % of guide and target, the fitted value, the error bound as a bar, the centre of
    symmetry as a diamond, and the verdict in words. At most 40 rows.

    Args:
        certificate: With means, of a guide or of draws, and with its target.
        num_draws: Weighted draws of the target.
        generator: Random state; a fixed one by default.

    Returns:
        A matplotlib figure (not shown; ``figure.savefig(path)`` writes it).

    Raises:
        TypeError: Not a certificate.
        ValueError: No means, a certificate read from a file, or one of a target by itself.
    """
    with style():
        return forest_figure(_checked(certificate), num_draws=num_draws, generator=generator)


def _checked(certificate: object) -> Certificate:
    if not isinstance(certificate, Certificate):
        raise TypeError(
            f"expected a Certificate, got {type(certificate).__name__}, because its verdicts are drawn; try "
            "symvi.certify(fit)"
        )
    return certificate
