"""Moves by a uniform element of the finite symmetry group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..samplers import Target
from ._layers import Symmetry, check_function, places, posterior_of
from ._move import Move, uniforms


@dataclass(frozen=True, eq=False, repr=False)
class RandomPermutation(Move):
    """Hidden units permuted uniformly within each layer, their signs flipped with probability 1/2 where phi is odd.

    The posterior is invariant under each element of the group, so the move is exact; it makes the draws of every chain
    exchangeable over units, so that marginals of single weights are those of the whole posterior and not of one
    labelling. Nothing a prediction depends on changes. Momentum is moved along.

    Args:
        symmetry: ``NetworkSymmetry.from_module(network)``.
        every: steps from one move to the next.
    """

    symmetry: Symmetry
    every: int = 1

    def _check(self, target: Target) -> None:
        posterior = posterior_of(target, self.symmetry, "RandomPermutation")
        if not any(layer.permutable or layer.odd for layer in self.symmetry.layers):
            raise ValueError("expected hidden units that can be permuted, got none; try without RandomPermutation")
        prior = posterior.parameter_prior
        for layer in self.symmetry.layers:
            index = torch.cat(places(layer, torch.device("cpu")), 1)
            scale = prior.scale[index]
            kinds = {tuple(prior.kinds[i] for i in row) for row in index.tolist()}
            if layer.permutable and (len(kinds) > 1 or not torch.equal(scale, scale[:1].expand_as(scale))):
                raise ValueError(
                    f"expected the same prior for all units of {layer.name!r}, got different ones, because a "
                    "permutation would change the density; try one prior a tensor"
                )
        check_function(target, self.symmetry, self)

    def _move(
        self, target: Target, position: Tensor, momentum: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        both = torch.stack([position, momentum], 1)
        for layer in self.symmetry.layers:
            index = torch.cat(places(layer, position.device), 1)
            numbers = uniforms(generators, (2, len(index)), position)
            values = both[..., index]
            if layer.permutable:
                order = numbers[:, 0].argsort(-1)[:, None, :, None]
                values = values.gather(-2, order.expand_as(values))
            if layer.odd:
                sign = torch.where(numbers[:, 1] < 0.5, -1.0, 1.0).to(position)
                values = values * sign[:, None, :, None]
            both = both.clone()
            both[..., index.reshape(-1)] = values.flatten(-2)
        return both[:, 0], both[:, 1]
