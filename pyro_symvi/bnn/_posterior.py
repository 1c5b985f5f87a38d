"""The posterior of a network's weights as a batched log density on flat vectors."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from .._layout import Layout
from .._value import positive_int
from ._checks import check_dtype, check_function, check_inputs, check_module, check_rows, count_outputs
from ._kernels import ModuleKernel, kernel_for
from ._likelihoods import Likelihood
from ._priors import NetworkPrior, WeightPrior
from ._pyro_model import PyroModel, pyro_model
from ._streams import on_the_cpu


class NetworkPosterior:
    """Log posterior density of the weights of ``network`` given rows (x, y), for many weight vectors at once.

    log p(theta | x, y) = sum_i log p(y_i | f_theta(x_i)) + log p(theta) up to the evidence. A vector theta
    ``[*batch, dim]`` holds the trainable parameters in the order of ``layout``, then those of the likelihood.
    Nothing of the module but its shapes is kept: current weights are no part of the posterior.

    Args:
        network: a module mapping ``[n, ...]`` to ``[n, outputs]``, deterministic (in ``eval()`` mode where it has
            dropout or batch normalisation).
        likelihood: for example ``LearnedGaussianNoise()`` or ``Categorical(3)``.
        prior: a :class:`NetworkPrior`, or one :class:`WeightPrior` for all weights.
        x: inputs ``[n, ...]``; n = 0 leaves the prior alone.
        y: targets ``[n]`` or ``[n, m]``, ints for classes.
        dtype: of all computations; that of x unless told otherwise.

    Raises:
        TypeError: unless network, likelihood and prior are a module, a likelihood and a prior of weights.
        ValueError: for data that are not finite, or not as many inputs as targets.
    """

    def __init__(
        self,
        network: nn.Module,
        likelihood: Likelihood,
        prior: NetworkPrior | WeightPrior,
        x: Tensor,
        y: Tensor,
        *,
        dtype: torch.dtype | None = None,
    ) -> None:
        if not isinstance(network, nn.Module):
            raise TypeError(f"expected a torch.nn.Module, got {type(network).__name__}")
        if not isinstance(likelihood, Likelihood):
            raise TypeError(f"expected a likelihood, got {likelihood!r}; try LearnedGaussianNoise()")
        if isinstance(prior, WeightPrior):
            prior = NetworkPrior(prior)
        if not isinstance(prior, NetworkPrior):
            raise TypeError(f"expected a prior of weights, got {prior!r}; try NormalPrior(1.0)")
        check_rows(x, y)
        check_module(network)
        self.dtype = check_dtype(x.dtype if dtype is None else dtype)
        self.network = copy.deepcopy(network).to(device=x.device, dtype=self.dtype)
        self.likelihood, self.prior = likelihood, prior
        self.layout = Layout.of(self.network, likelihood.extra_names)
        self.parameter_prior = prior.of(self.layout)
        self.kernel = kernel_for(self.network, self.layout)
        self.x = x.to(self.dtype)
        outputs = count_outputs(self.network, self.x)
        self.y = likelihood.check(y.to(self.dtype) if y.is_floating_point() else y, outputs).to(x.device)
        if len(self.x) != len(self.y):
            raise ValueError(f"expected as many inputs as targets, got {len(self.x)} and {len(self.y)}")
        for name, values in (("x", self.x), ("y", self.y)):
            bad = ~torch.isfinite(values if values.ndim > 1 else values[:, None]).flatten(1).all(-1)
            if bool(bad.any()):
                raise ValueError(
                    f"expected finite {name}, got nan or infinity in row {int(bad.nonzero()[0])} and "
                    f"{int(bad.sum()) - 1} others; try to drop or impute them"
                )
        if isinstance(self.kernel, ModuleKernel):
            check_function(self.network, self.kernel, self.x)

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return self.layout.dim

    def __getstate__(self) -> dict[str, Any]:
        """Without the kernel, which holds memory of its own and is made anew."""
        return {name: value for name, value in self.__dict__.items() if name != "kernel"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.kernel = kernel_for(self.network, self.layout)

    def __repr__(self) -> str:
        return (
            f"NetworkPosterior({type(self.network).__name__} of {self.layout.network_dim} weights, "
            f"{self.likelihood!r}, {self.prior!r}, rows={len(self.x)})"
        )

    # -- densities -------------------------------------------------------------------------------------------------
    def outputs(self, theta: Tensor, x: Tensor | None = None) -> Tensor:
        """Outputs of the network, ``[*batch, n, outputs]``, on ``x`` (the data's unless given)."""
        flat, batch = self._flat(theta)
        inputs = self.x if x is None else check_inputs(x, self.x)
        try:
            found = self.kernel.outputs(self._weights(flat), inputs)
        except RuntimeError as error:
            if x is None or x.shape[1:] == self.x.shape[1:]:
                raise
            raise ValueError(
                f"expected inputs [n, {', '.join(map(str, self.x.shape[1:]))}] like the data, got {list(x.shape)}, "
                f"because the network says: {error}"
            ) from error
        return found.reshape(*batch, *found.shape[1:])

    def pointwise_log_likelihood(self, theta: Tensor, x: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        """The log p(y_i | x_i, theta) of each row, ``[*batch, n]``, on the data unless other rows are given."""
        if (x is None) != (y is None):
            raise ValueError("expected both x and y or neither, got one of them")
        outputs = self.outputs(theta, x)
        if y is None:
            y = self.y
        else:
            y = self.likelihood.check(y.to(self.x) if y.is_floating_point() else y.to(self.x.device), outputs.shape[-1])
        return self.likelihood.log_prob(outputs, y, self.extra(theta))

    def log_likelihood(self, theta: Tensor) -> Tensor:
        """Sum over the rows, ``[*batch]``."""
        return self.pointwise_log_likelihood(theta).sum(-1)

    def log_prior(self, theta: Tensor) -> Tensor:
        """Log prior density (normalised unless an entry is flat), ``[*batch]``."""
        self.layout.check(theta)
        return self.parameter_prior.log_prob(theta) + self.likelihood.log_prior(self.extra(theta))

    def log_prob(self, theta: Tensor) -> Tensor:
        """Log likelihood plus log prior, ``[*batch]``; differentiable."""
        return self.log_likelihood(theta) + self.log_prior(theta)

    def value_and_grad(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Log density ``[*batch]`` and its gradient ``[*batch, dim]``; nothing is left for autograd."""
        flat, batch = self._flat(theta.detach())
        with torch.no_grad():
            value, gradient = self.parameter_prior.value_and_score(flat)
            if self.layout.extras:
                value += self.likelihood.log_prior(self.extra(flat))
                self.extra(gradient).copy_(self.likelihood.prior_score(self.extra(flat)))
            size = max(1, self.kernel.block(len(flat), self.x))
            for start in range(0, len(flat), size):
                part = slice(start, start + size) if size < len(flat) else slice(None)
                self._add_likelihood(flat[part], value[part], gradient[part])
        return value.reshape(batch), gradient.reshape(theta.shape)

    def _add_likelihood(self, theta: Tensor, value: Tensor, gradient: Tensor) -> None:
        """Log likelihoods are added to ``value`` ``[C]`` and their gradients to ``gradient`` ``[C, dim]``."""

        def score(outputs: Tensor) -> tuple[Tensor, Tensor]:
            found, cotangent, own = self.likelihood.scores(outputs, self.y, self.extra(theta))
            if self.layout.extras:
                self.extra(gradient).add_(own)
            return found, cotangent

        found, by_weights = self.kernel.pull_back(self._weights(theta), self.x, score)
        value += found
        self._weights(gradient).add_(by_weights)

    def predictive(self, theta: Tensor, x: Tensor | None = None) -> dist.TorchDistribution:
        """The law of the targets given each theta, batch ``[*batch, n]``."""
        return self.likelihood.predictive(self.outputs(theta, x), self.extra(theta))

    def sample_prior(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draws ``[n, dim]`` from the prior."""
        positive_int(n, "n", 0)
        generator = on_the_cpu(generator)
        theta = self.parameter_prior.sample(n, dtype=self.dtype, generator=generator)
        if self.layout.extras:
            extra = self.likelihood.sample_extra(n, dtype=self.dtype, generator=generator)
            theta[:, self.layout.network_dim :] = extra
        return theta.to(self.x.device)

    def compile(self, chains: int | Sequence[int] = 12, level: str = "auto") -> NetworkPosterior:
        """This posterior with ``value_and_grad`` compiled for batches of ``chains`` (several sizes, if given).

        Worth it for long runs of small networks, where most of the time goes between small operations: compiling takes
        some 10 to 40 seconds a size (less once it is in inductor's cache on disk). Other batches are cut and padded,
        so ``chains`` should be the number a pack has. Numbers agree with those of this posterior up to rounding (which
        is checked), so that chains of the two go apart in time as all chaotic paths do; equal batches give equal bits.

        Args:
            chains: sizes of batches.
            level: ``"auto"`` and ``"inductor"``: machine code; ``"graph"``: one torch operator after another, as
                recorded, which needs no compiler and gains little.

        Returns:
            The compiled posterior; this one where there is no C++ compiler or the network cannot be compiled (the
            logger ``pyro_symvi.bnn`` says why).
        """
        from ._compiled_posterior import compile_posterior

        return compile_posterior(self, chains, level)

    def to_pyro(self) -> PyroModel:
        """This posterior as a Pyro model: a site for each parameter tensor, named as in ``layout``, and ``"y"``.

        ``model()`` observes the data; ``model(x)`` samples targets at inputs ``[m, ...]`` instead. The rows are a plate
        at dimension -1, and particles may lie left of it (``max_plate_nesting=1``). For Pyro's NUTS, for ``AutoNormal``
        with SVI, and for ``pyro_symvi.fit``; without rows the model has no site ``"y"``.

        Raises:
            ValueError: The likelihood has parameters of its own and does not say their laws (``extra_law``).
        """
        return pyro_model(self)

    # -- parts -----------------------------------------------------------------------------------------------------
    def extra(self, theta: Tensor) -> Tensor:
        """The likelihood's own parameters, ``[*batch, extras]``."""
        return theta[..., self.layout.network_dim :]

    def _weights(self, theta: Tensor) -> Tensor:
        return theta[..., : self.layout.network_dim]

    def _flat(self, theta: Tensor) -> tuple[Tensor, torch.Size]:
        if self.layout.check(theta).dtype != self.dtype:
            raise ValueError(
                f"expected parameters in {self.dtype}, got {theta.dtype}, because the posterior computes in that; try "
                "theta.to(posterior.dtype), or NetworkPosterior(..., dtype=)"
            )
        return theta.reshape(-1, self.dim), theta.shape[:-1]
