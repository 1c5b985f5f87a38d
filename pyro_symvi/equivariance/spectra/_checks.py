"""Checks of a spectrum: of its mask, of the sum of its energies, of its change with the degree."""

from __future__ import annotations

from torch import Tensor

from ...groups._errors import sentence
from .._settle import model_rounding, rounding
from ._result import LayerSpectrum
from ._spectra import Spectrum

LARGEST_CHANGE = 0.01
"""Of an energy, relative to the energy that varies along the orbit, when the degree grows by 2."""
_FLOAT32 = 1e-12


class ConvergenceWarning(UserWarning):
    """A response has a band that the rule does not resolve: energies change with the degree."""


def checked_mask(mask: Tensor | None, samples: int) -> Tensor | None:
    """A mask ``[B, ...]`` of zeros and ones, as booleans."""
    if mask is None:
        return None
    if not isinstance(mask, Tensor):
        raise TypeError(f"expected mask to be a tensor, got {type(mask).__name__}")
    if mask.ndim == 0 or len(mask) != samples:
        raise ValueError(f"expected a mask of shape [{samples}, ...], samples first, got {list(mask.shape)}")
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise ValueError("expected a mask of zeros and ones, got other values, because it says which points count")
    return mask.bool()


def require_use(mask: Tensor | None, responses: dict[str, Tensor]) -> None:
    """A mask that no output has the shape for is a mistake."""
    if mask is not None and not any(value.shape[1 : 1 + mask.ndim] == mask.shape for value in responses.values()):
        shapes = ", ".join(f"{name} {list(value.shape[1:])}" for name, value in responses.items())
        raise ValueError(f"expected a mask of the first axes of an output, got {list(mask.shape)} for {shapes}")


def masked(value: Tensor, mask: Tensor | None) -> Tensor:
    """Responses ``[k, B, *sites, channels]`` with 0 where a site does not count; others as they are."""
    if mask is None or value.shape[1 : 1 + mask.ndim] != mask.shape:
        return value
    return value * mask.to(value).reshape(*mask.shape, *(1,) * (value.ndim - 1 - mask.ndim))


def require_bessel(layer: LayerSpectrum, evaluations: int) -> None:
    """Bessel's inequality: energies add up to no more than E|u|^2, in every sample and channel.

    It holds for every response under a rule with positive weights that integrates products of the irreps, and fails
    beyond rounding where weights are negative and the response has a band beyond the rule.
    """
    excess = layer.energies.sum(0) - layer.total
    allowed = rounding(evaluations) * layer.total + model_rounding(layer.total)
    if bool((excess > allowed).any()):
        worst = float((excess / layer.total.clamp(min=1e-300)).max())
        raise ValueError(
            sentence(
                f"energies that add up to at most E|u|^2 in layer {layer.name!r}",
                f"an excess of {worst:.2g} of it",
                "the rule does not resolve the response (with negative weights even sums of squares go wrong)",
                "a larger degree, or the group's own rule, whose weights are positive",
            )
        )


def change(coarse: LayerSpectrum, fine: LayerSpectrum) -> float:
    """Largest difference of pooled energies and totals, relative to the energy that varies along the orbit."""
    varying = max(fine.varying, coarse.varying)  # a band may vanish on either of two rules
    if varying <= _FLOAT32 * max(fine.square, coarse.square):
        return 0.0
    largest = max(float((coarse.pooled - fine.pooled).abs().max()), abs(coarse.square - fine.square))
    return largest / varying


def convergence_text(spectrum: Spectrum) -> str | None:
    """What to warn of, or None."""
    moved = {name: value for name, value in (spectrum.changes or {}).items() if value > LARGEST_CHANGE}
    if not moved:
        return None
    worst = max(moved, key=lambda name: moved[name])
    return sentence(
        f"energies that a rule of degree {spectrum.degree:g} resolves",
        f"a change by {moved[worst]:.1%} of what varies in layer {worst!r} at degree + 2 ({len(moved)} layers in all)",
        "the response has a larger band",
        f"degree={int(2 * spectrum.degree)}",
    )
