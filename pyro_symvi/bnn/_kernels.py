"""Evaluating one network with many parameter vectors at once."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from .._layout import Layout
from ._perceptron import Perceptron

_logger = logging.getLogger("pyro_symvi.bnn")
#: From outputs [C, n, K] to the log likelihood [C] and its gradient in the outputs.
OutputScore = Callable[[Tensor], tuple[Tensor, Tensor]]


class Kernel(ABC):
    """Outputs of the network for parameters ``[C, network_dim]`` on inputs ``[n, ...]``: ``[C, n, K]``."""

    @abstractmethod
    def outputs(self, theta: Tensor, x: Tensor) -> Tensor:
        """Differentiable outputs ``[C, n, K]``."""

    def pull_back(self, theta: Tensor, x: Tensor, score: OutputScore) -> tuple[Tensor, Tensor]:
        """Value ``[C]`` of ``score`` at the outputs and its gradient in theta, ``[C, network_dim]``."""
        with torch.enable_grad():
            leaf = theta.detach().requires_grad_()
            outputs = self.outputs(leaf, x)
            value, cotangent = score(outputs.detach())
            (gradient,) = torch.autograd.grad(outputs, leaf, cotangent)
        return value, gradient

    def block(self, chains: int, x: Tensor) -> int:
        """How many of ``chains`` to evaluate at once."""
        return chains


class ModuleKernel(Kernel):
    """Any module, through ``torch.func``: slower, and one weight vector after another where vmap cannot go (LSTM)."""

    def __init__(self, network: nn.Module, layout: Layout) -> None:
        self.network, self.layout = network, layout
        self._names = layout.names[: len(layout.names) - layout.extras]
        self._looped = False

    def outputs(self, theta: Tensor, x: Tensor) -> Tensor:
        def one(vector: Tensor) -> Tensor:
            views = {
                name: vector[self.layout.slices[name]].reshape(shape)
                for name, shape in zip(self._names, self.layout.shapes, strict=False)
            }
            return functional_call(self.network, views, (x,))

        if not self._looped:
            try:
                return vmap(one)(theta)
            except RuntimeError as error:
                found = torch.stack([one(vector) for vector in theta])
                self._looped = True
                _logger.info("weight vectors are taken one by one, because vmap fails: %s", error)
                return found
        return torch.stack([one(vector) for vector in theta])


def kernel_for(network: nn.Module, layout: Layout) -> Kernel:
    """The fastest kernel that computes this network."""
    from ._perceptron_kernel import PerceptronKernel

    perceptron = Perceptron.of(network)
    return ModuleKernel(network, layout) if perceptron is None else PerceptronKernel(perceptron, layout)
