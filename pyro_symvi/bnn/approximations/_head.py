"""The last linear layer of a network: where its weights lie, and the features that it multiplies."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .._posterior import NetworkPosterior


@dataclass(frozen=True)
class Head:
    """outputs = features W^T + b, as a linear map of the weights that are inferred.

    Attributes:
        places: where row k of (W, b) lies in theta, ``[outputs, r]``.
        name: of the layer.
        bias: whether b is among them (the last column of ``places``).
        offset: a bias that is not inferred, ``[outputs]``, else zeros.
    """

    places: Tensor
    name: str
    bias: bool
    offset: Tensor

    @staticmethod
    def of(posterior: NetworkPosterior) -> Head:
        """That of the last ``torch.nn.Linear`` of the posterior's network.

        Raises:
            ValueError: there is none, or its weights are not inferred.
        """
        layout, found = posterior.layout, None
        for name, module in posterior.network.named_modules():
            if isinstance(module, nn.Linear):
                found = (name, module)
        if found is None or f"{found[0]}.weight".lstrip(".") not in layout.slices:
            raise ValueError(
                f"expected a network that ends in a trainable torch.nn.Linear, got {type(posterior.network).__name__}, "
                "because its last layer is what is inferred; try MeanField()"
            )
        name, module = found
        prefix = f"{name}." if name else ""
        rows, columns = module.out_features, module.in_features
        index = torch.arange(layout.dim)
        places = index[layout.slices[f"{prefix}weight"]].reshape(rows, columns)
        bias = f"{prefix}bias" in layout.slices
        if bias:
            places = torch.cat([places, index[layout.slices[f"{prefix}bias"], None]], 1)
        frozen = module.bias is not None and not bias
        offset = module.bias.detach().double() if frozen else torch.zeros(rows, dtype=torch.float64)
        return Head(places.to(posterior.x.device), name, bias, offset.to(posterior.x.device))

    @torch.no_grad()
    def features(self, posterior: NetworkPosterior, theta: Tensor) -> Tensor:
        """The design matrix ``[n, r]`` of the data under the other weights of theta ``[dim]``, float64.

        Raises:
            ValueError: outputs are not the last layer's, so that they are not linear in its weights.
        """
        network = copy.deepcopy(posterior.network).double()
        seen: list[Tensor] = []
        network.get_submodule(self.name).register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        names = posterior.layout.names[: len(posterior.layout.names) - posterior.layout.extras]
        here = theta.double()
        elsewhere = here.clone()  # what is linear at one point may be cut off at another
        elsewhere[self.places] = -3 * here[self.places] - torch.linspace(1, 2, self.places.numel()).to(here).reshape(
            self.places.shape
        )
        designs = []
        for point in (here, elsewhere):
            seen.clear()
            weights = {k: v for k, v in posterior.layout.unflatten(point).items() if k in names}
            outputs = functional_call(network, weights, (posterior.x.double(),))
            design = seen[-1]
            if self.bias and design.ndim == 2:
                design = torch.cat([design, design.new_ones(len(design), 1)], 1)
            expected = design @ point[self.places].T + self.offset if design.ndim == 2 else None
            designs.append(design)
            if (
                len(seen) != 1
                or expected is None
                or expected.shape != outputs.shape
                or not torch.allclose(expected, outputs, rtol=1e-8, atol=1e-8)
                or not torch.equal(design, designs[0])
            ):
                raise ValueError(
                    f"expected a network whose outputs are those of {self.name!r}, got others, because they have to be "
                    "linear in the last layer's weights; try MeanField()"
                )
        return design
