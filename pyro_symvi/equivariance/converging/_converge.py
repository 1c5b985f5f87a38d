"""The same metric at growing degrees of the rule."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import Accuracy, EquivarianceError
from ..lie import LieError
from ..spectra import Spectrum

#: A value, and the size of what it is a part of: below 1e-6 of that it is not looked at.
Entry = tuple[float, float]


@dataclass(frozen=True)
class Convergence:
    """A metric at growing degrees, and whether it has settled.

    Attributes:
        degrees: of the rules, growing.
        values: by name, one for each degree.
        changes: ``[degrees - 1, names]``, |new - old| / max(|new|, |old|) of each degree but the first against the
            last one that is smaller by two or more; 0 for values that are both negligible, inf where there is none.
        tolerance: a change below it counts as none.
        results: what the metric returned at each degree.
    """

    degrees: tuple[int, ...]
    values: dict[str, tuple[float, ...]]
    changes: Tensor
    tolerance: float
    results: tuple[Any, ...] = field(repr=False)

    @property
    def largest(self) -> tuple[float, ...]:
        """The largest change of any value at each step."""
        return tuple(self.changes.amax(1).tolist())

    @property
    def converged(self) -> bool:
        """Whether the last step changed every value by less than ``tolerance``."""
        return self.largest[-1] < self.tolerance

    @property
    def degree(self) -> int | None:
        """The smallest degree tried after which nothing changed any more; None while it still does."""
        found = None
        for i, change in reversed(list(enumerate(self.largest, 1))):
            before = _before(self.degrees, i)
            if change >= self.tolerance or before is None:
                break
            found = self.degrees[before]
        return found

    @property
    def worst(self) -> str:
        """The value that changed most in the last step."""
        return list(self.values)[int(self.changes[-1].argmax())]

    @property
    def result(self) -> Any:
        """What the metric returned at the largest degree."""
        return self.results[-1]

    def __str__(self) -> str:
        names = list(self.values)
        last = self.changes[-1]
        shown = [names[i] for i in last.argsort(descending=True, stable=True)[:4].tolist()]
        width = [max(10, len(name)) for name in shown]
        head = "degree  " + "  ".join(name.rjust(w) for name, w in zip(shown, width, strict=True)) + "  largest change"
        lines = [head]
        for i, degree in enumerate(self.degrees):
            cells = [f"{self.values[name][i]:.4g}".rjust(w) for name, w in zip(shown, width, strict=True)]
            change = f"{self.largest[i - 1]:.2g}" if i and math.isfinite(self.largest[i - 1]) else "-"
            lines.append(f"{degree:6d}  " + "  ".join(cells) + f"  {change:>14}")
        if len(names) > len(shown):
            lines.append(f"(of {len(names)} values those that changed most)")
        if math.isinf(self.largest[-1]):
            lines.append(f"not converged: nothing to compare degree {self.degrees[-1]} with; try degrees two apart")
        elif self.converged:
            lines.append(f"converged: within {self.tolerance:.2g} from degree {self.degree} on")
        else:
            lines.append(
                f"not converged: {self.worst} still changes by {self.largest[-1]:.2g} in the last step; "
                "try larger degrees, or a model without kinks in its inputs"
            )
        return "\n".join(lines)


def converge(
    metric: Callable[[int], Any],
    degrees: Sequence[int] = (8, 10, 12),
    *,
    tolerance: float = 0.01,
    negligible: float = 1e-6,
) -> Convergence:
    """Evaluate ``metric`` at growing degrees of the rule and compare, for a network has no band limit.

    A rule too short aliases: the number is then wrong at order one without looking odd. Agreement of two rules is
    evidence, not proof; rules one degree apart are not compared, since the second often has the latitudes of the
    first, and the two may agree on a wrong number.

    Args:
        metric: degree -> a :class:`~pyro_symvi.equivariance.Spectrum` (its energies by layer and irrep, as parts of
            the layer's total), an :class:`~pyro_symvi.equivariance.EquivarianceError` (A, and the root of E|z|^2), an
            :class:`~pyro_symvi.equivariance.Accuracy`, a :class:`~pyro_symvi.equivariance.LieError` (L), a mapping of
            these, a number or a tensor.
        degrees: at least two, growing, best by two or more.
        tolerance: converged when the last step changes every value by less.
        negligible: values below this part of the whole (of the layer's total energy, the output's size, the largest
            entry of a tensor), and errors below the noise floor, are not compared.

    Raises:
        ValueError: for degrees that do not grow, and values that are not finite.

    >>> print(converge(lambda degree: 1 + 2.0**-degree, (4, 8, 16)))
    degree       value  largest change
         4       1.062               -
         8       1.004           0.055
        16           1          0.0039
    converged: within 0.01 from degree 8 on
    """
    degrees = tuple(degrees)
    if len(degrees) < 2 or any(b <= a for a, b in itertools.pairwise(degrees)):
        raise ValueError(f"expected at least two growing degrees, got {list(degrees)}; try (8, 10, 12)")
    if not 0 < tolerance < 1:
        raise ValueError(f"expected a tolerance between 0 and 1, got {tolerance}")
    results = tuple(metric(degree) for degree in degrees)
    entries = [_entries(result, "") for result in results]
    names = list(entries[0])
    if any(list(found) != names for found in entries):
        raise ValueError(
            "expected the same values at every degree, got other names or shapes, because they are compared one by "
            "one; try one cutoff for all degrees"
        )
    for degree, found in zip(degrees, entries, strict=True):
        wrong = [name for name, (value, _) in found.items() if not math.isfinite(value)]
        if wrong:
            raise ValueError(f"expected finite values, got nan or inf at degree {degree} in {', '.join(wrong[:3])}")
    changes = []
    for i in range(1, len(degrees)):
        before = _before(degrees, i)
        if before is None:
            changes.append([math.inf] * len(names))
        else:
            changes.append([_change(entries[before][name], entries[i][name], negligible) for name in names])
    values = {name: tuple(found[name][0] for found in entries) for name in names}
    return Convergence(degrees, values, torch.tensor(changes, dtype=torch.float64), tolerance, results)


def _before(degrees: tuple[int, ...], i: int) -> int | None:
    """The place of the last degree that is smaller than the i-th by two or more."""
    return next((j for j in range(i - 1, -1, -1) if degrees[j] <= degrees[i] - 2), None)


def _change(old: Entry, new: Entry, negligible: float) -> float:
    larger = max(abs(old[0]), abs(new[0]))
    if larger == 0 or larger <= negligible * max(old[1], new[1]):
        return 0.0
    return abs(new[0] - old[0]) / larger


def _entries(result: Any, prefix: str) -> dict[str, Entry]:
    """Values by name with the size of their whole."""
    if isinstance(result, Spectrum):
        found = {}
        for name, layer in result.layers.items():
            whole = float(layer.total.sum())
            found[f"{prefix}{name} total"] = (whole, whole)
            for label, energy in zip(layer.labels, layer.energies.sum((1, 2)).tolist(), strict=True):
                found[f"{prefix}{name} {label}"] = (energy, whole)
        return found
    if isinstance(result, EquivarianceError):
        size = float((result.weights * result.norm).sum() / result.weights.sum()) ** 0.5
        # an error within rounding is compared with nothing: it is 0 as far as one can know
        error = result.A if result.A > result.noise_floor else 0.0
        return {f"{prefix}{result.name} A": (error, size), f"{prefix}{result.name} size": (size, size)}
    if isinstance(result, LieError):
        size = float((result.weights * result.norm).sum() / result.weights.sum()) ** 0.5
        return {f"{prefix}L": (result.L if result.L > result.floor else 0.0, size)}
    if isinstance(result, Accuracy):
        names = ("oriented", "averaged", "equivariance")
        return {f"{prefix}{result.error.name} {name}": (getattr(result, name), result.oriented) for name in names}
    if isinstance(result, Tensor):
        flat = result.detach().double().reshape(-1)
        whole = float(flat.abs().max()) if len(flat) else 0.0
        label = prefix or "value"
        if result.ndim == 0:
            return {label: (float(flat[0]), 0.0)}
        return {f"{label}[{i}]": (value, whole) for i, value in enumerate(flat.tolist())}
    if isinstance(result, float | int) and not isinstance(result, bool):
        return {prefix or "value": (float(result), 0.0)}
    if hasattr(result, "items"):
        return {k: v for key, value in result.items() for k, v in _entries(value, f"{prefix}{key} ").items()}
    raise TypeError(
        f"expected the metric to return a spectrum, an error, a number or a tensor, got {type(result).__name__}"
    )
