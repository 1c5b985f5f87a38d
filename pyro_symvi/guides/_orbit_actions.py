"""Label switching as an action on the flat vector, from the names of the sites that carry labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pyro.infer.autoguide import AutoContinuous
from torch import Tensor
from torch.distributions import biject_to

from ..density import LogDensity
from ..groups import CoordinatePermutation, PermutationLike

_TOLERANCE = 1e-6


@dataclass(frozen=True)
class _Layout:
    """Shapes of the sites on both scales, in the order of the flat vector, and the map between the scales."""

    shapes: dict[str, torch.Size]
    unconstrained: dict[str, torch.Size]
    unpack: Callable[[Tensor], dict[str, Tensor]]


def label_permutation(
    density_or_guide: LogDensity | AutoContinuous, sites: Sequence[str], permutations: PermutationLike | None = None
) -> CoordinatePermutation:
    """The permutations of K labels as an action on the flat vector: the K entries of each site move together.

    Label k of a mixture model owns entry k (a row, where entries are vectors) of each of ``sites``, whose leading
    length is K. Sites that are not named stay. Whether the *posterior* is invariant is the user's to know: priors and
    likelihood must treat the labels alike.

    Args:
        density_or_guide: A `LogDensity`, or a guide on the flat vector that has been called once.
        sites: Names of the sites that carry labels.
        permutations: The group on the K labels; all permutations by default.

    Raises:
        TypeError: Neither a density nor such a guide; ``sites`` no sequence of names.
        ValueError: A guide never called, an unknown site or none, leading lengths that differ, or a site whose
            unconstrained coordinates are not permuted as its entries are (a simplex, an ordered vector, bounds that
            differ between labels).

    Example:
        >>> density = LogDensity.from_callable(lambda z: -0.5 * (z**2).sum(-1), dim=3)
        >>> label_permutation(density, ["z"]).group.order
        6
    """
    layout = _layout_of(density_or_guide)
    names = _checked_names(sites, layout)
    count = _label_count(names, layout)
    starts = dict(zip(layout.unconstrained, _starts(layout), strict=True))
    blocks: list[list[int]] = [[] for _ in range(count)]
    for name in names:
        size = layout.unconstrained[name].numel() // count
        for k, block in enumerate(blocks):
            block.extend(range(starts[name] + k * size, starts[name] + (k + 1) * size))
    dim = sum(shape.numel() for shape in layout.unconstrained.values())
    action = CoordinatePermutation(dim, blocks, permutations)
    _refuse_unequal_labels(action, names, layout, dim)
    return action


def _layout_of(source: Any) -> _Layout:
    if isinstance(source, LogDensity):
        shapes = {site.name: site.shape for site in source.sites}
        return _Layout(shapes, {site.name: site.unconstrained_shape for site in source.sites}, source.unpack)
    if not isinstance(source, AutoContinuous):
        raise TypeError(
            f"expected a LogDensity or a guide on the flat vector, got {type(source).__name__}, because sites have "
            "places in a flat vector only there; try LogDensity.from_model(model, *args)"
        )
    if source.prototype_trace is None:
        raise ValueError(
            "expected a guide that has been called once, got one that does not know its sites, because an autoguide "
            "reads the model at its first call; try guide(*args), or LogDensity.from_model(model, *args)"
        )
    shapes = {name: site["value"].shape for name, site in source.prototype_trace.iter_stochastic_nodes()}

    def unpack(z: Tensor) -> dict[str, Tensor]:
        return {site["name"]: biject_to(site["fn"].support)(value) for site, value in source._unpack_latent(z)}

    return _Layout(shapes, dict(source._unconstrained_shapes), unpack)


def _checked_names(sites: Any, layout: _Layout) -> list[str]:
    if isinstance(sites, str) or not isinstance(sites, Sequence) or not all(isinstance(name, str) for name in sites):
        raise TypeError(
            f'expected sites as a list of names, got {sites!r}, because they are moved together; try ["loc"]'
        )
    unknown = [name for name in sites if name not in layout.shapes]
    if not sites or unknown or len(set(sites)) != len(sites):
        raise ValueError(
            f"expected distinct names among {list(layout.shapes)}, got {list(sites)}, because these are the latent "
            "sites of the model; try those that have one entry for each label"
        )
    return list(sites)


def _label_count(names: list[str], layout: _Layout) -> int:
    lengths = {}
    for name in names:
        shape, free = layout.shapes[name], layout.unconstrained[name]
        if len(shape) == 0:
            raise ValueError(
                f"expected sites with one entry for each label, got the scalar '{name}', because it has no labels to "
                "permute; try leaving it out: sites that are not named stay"
            )
        if shape[0] != free[0]:
            raise ValueError(_unequal(name, f"{shape[0]} entries and {free[0]} unconstrained coordinates"))
        lengths[name] = int(shape[0])
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"expected sites of one leading length, got {lengths}, because label k owns entry k of each; try naming "
            "the sites of one mixture"
        )
    return lengths[names[0]]


def _starts(layout: _Layout) -> list[int]:
    ends = [0]
    for shape in layout.unconstrained.values():
        ends.append(ends[-1] + math.prod(shape))
    return ends[:-1]


def _refuse_unequal_labels(action: CoordinatePermutation, names: list[str], layout: _Layout, dim: int) -> None:
    """Moving the flat vector has to move the entries of the named sites, and nothing else, on the user's scale."""
    z = torch.linspace(-1.0, 1.0, dim, dtype=torch.float64).sin() + 0.3 * torch.arange(dim).cos()
    before = layout.unpack(z)
    for g in action.group.generators():
        moved = layout.unpack(action.act(g, z))
        origin = action.group.as_permutation(g).argsort(-1)
        for name, value in before.items():
            expected = value[origin] if name in names else value
            if not torch.allclose(moved[name], expected, rtol=_TOLERANCE, atol=_TOLERANCE):
                what = "labels that are not alike" if name in names else "a support that depends on a permuted site"
                raise ValueError(_unequal(name, what))


def _unequal(name: str, what: str) -> str:
    return (
        f"expected a site whose entries are permuted when its unconstrained coordinates are, got '{name}' with {what}, "
        "because the action is linear on the flat vector (stick-breaking coordinates of a simplex are not permuted "
        "linearly); try K unnormalised weights (independent Gamma sites, divided by their sum in the model, are "
        "Dirichlet), fixed weights, or one support for all labels"
    )
