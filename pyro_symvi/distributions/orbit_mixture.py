"""The average of a law over a set of group elements."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution, constraints
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from ..groups import Action, LinearAction, UnsupportedError

_NUMBERS_PER_CALL = 2**22
"""Images of points are made in pieces of at most this many numbers (32 MiB in float64)."""


class OrbitMixtureLaw(TorchDistribution):
    r"""The equal mixture of a law's images under m elements of a group that acts on :math:`\mathbb R^d`,

    .. math:: q_G(z) = \frac1m\sum_{j=1}^m q(g_j^{-1}z)\,\lvert\det D g_j^{-1}(z)\rvert .

    With all elements of a finite group it is invariant under the group (the Reynolds operator applied to q); with any
    other set of elements it is a probability density all the same. The log density is exact, by log-sum-exp; draws are
    :math:`g_J x` with :math:`x\sim q` and J uniform. J does not depend on parameters, so that gradients through
    ``rsample`` are unbiased.

    Shapes: ``batch_shape`` is that of ``base``, ``event_shape (d,)``. ``log_prob`` evaluates ``base`` at m points for
    each z, all at once, or in pieces where these are more than 4 million numbers.

    Args:
        base: The law q: ``event_shape (d,)``, any batch shape, with a density on all of R^d.
        action: An action on vectors of length d (bound, if it is affine).
        elements: ``[m, *element_shape]``, m >= 1: elements of ``action.group`` (membership is not checked).

    Raises:
        TypeError: ``base`` is no ``TorchDistribution``, ``action`` no action, ``elements`` no tensor.
        ValueError: A base that is not over vectors, an action on other points or one not bound, elements of a wrong
            shape.

    Example:
        >>> from pyro_symvi.groups import PointReflection
        >>> import pyro.distributions as dist
        >>> q = dist.Normal(torch.tensor([3.0]), 1.0).to_event(1)
        >>> flip = PointReflection(center=0.0).bind(1)
        >>> law = OrbitMixtureLaw(q, flip, flip.group.elements())
        >>> bool(law.log_prob(torch.tensor([3.0])) == law.log_prob(torch.tensor([-3.0])))
        True
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector

    def __init__(
        self, base: TorchDistribution, action: Action, elements: Tensor, validate_args: bool | None = None
    ) -> None:
        _check(base, action, elements)
        self.base, self.action, self.elements = base, action, elements
        super().__init__(base.batch_shape, base.event_shape, validate_args=validate_args)

    @property
    def num_elements(self) -> int:
        """The number m of copies."""
        return len(self.elements)

    @property
    def has_rsample(self) -> bool:
        """As the base."""
        return bool(self.base.has_rsample)

    def expand(self, batch_shape: Any, _instance: Any = None) -> OrbitMixtureLaw:
        """The same law with another batch shape."""
        new: OrbitMixtureLaw = self._get_checked_instance(OrbitMixtureLaw, _instance)
        new.base = self.base.expand(torch.Size(batch_shape))
        new.action, new.elements = self.action, self.elements
        super(OrbitMixtureLaw, new).__init__(new.base.batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    # -- draws -------------------------------------------------------------------------------------------------

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Draws ``[*sample, *batch, d]``, differentiable in the base's parameters."""
        return self._move(self.base.rsample(torch.Size(sample_shape)))

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Draws ``[*sample, *batch, d]``."""
        with torch.no_grad():
            return self._move(self.base.sample(torch.Size(sample_shape)))

    def _move(self, x: Tensor) -> Tensor:
        index = torch.randint(self.num_elements, x.shape[:-1], device=x.device)
        return self.action.act(self.elements.to(x.device)[index], x)

    # -- densities ---------------------------------------------------------------------------------------------

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density at ``value[..., d]``, shape ``[...]`` broadcast with the batch shape."""
        if self._validate_args:
            self._validate_sample(value)
        return self._components(value).logsumexp(0) - math.log(self.num_elements)

    def component_log_prob(self, value: Tensor) -> Tensor:
        r"""Log densities ``[..., m]`` of the copies, :math:`\log q(g_j^{-1}z) + \log\lvert\det D g_j^{-1}(z)\rvert`."""
        return self._components(value).movedim(0, -1)

    def responsibilities(self, value: Tensor) -> Tensor:
        """Probability that a point is from copy j, given that it is from the mixture: ``[..., m]``, summing to one."""
        return self.component_log_prob(value).softmax(-1)

    def relabel(self, value: Tensor) -> tuple[Tensor, Tensor]:
        r"""Each point moved to the base's copy: :math:`g_j^{-1}z` for the copy j it belongs to most likely, and j.

        Returns ``([..., d], [...])``. On draws of label-switching posteriors this undoes the switching, as far as the
        copies do not overlap; ties go to the first.
        """
        index = self.component_log_prob(value).argmax(-1)
        inverses = self.action.group.inverse(self.elements.to(value.device))
        return self.action.act(inverses[index], value), index

    def _components(self, value: Tensor) -> Tensor:
        """Log densities of the copies, copies first: ``[m, ...]``."""
        inverses = self.action.group.inverse(self.elements.to(value.device))
        points = max(1, math.prod(torch.broadcast_shapes(value.shape[:-1], self.batch_shape)))
        rows = max(1, _NUMBERS_PER_CALL // (points * self.event_shape[0]))
        return torch.cat([self._images_log_prob(some, value) for some in inverses.split(rows)])

    def _images_log_prob(self, inverses: Tensor, value: Tensor) -> Tensor:
        ones = (1,) * (max(value.ndim - 1, len(self.batch_shape)))
        g = inverses.reshape(len(inverses), *ones, *inverses.shape[1:])
        return self.base.log_prob(self.action.act(g, value)) + self.action.log_abs_det(g, value)

    # -- moments -----------------------------------------------------------------------------------------------

    @property
    def mean(self) -> Tensor:
        """The average of the images of the base's mean, ``[*batch, d]``; for affine actions, where the base has one.

        Raises:
            UnsupportedError: An action that is not affine: the mean of an image is not the image of the mean.
        """
        return self._images_of(self.base.mean).mean(0)

    @property
    def variance(self) -> Tensor:
        """Variances of the coordinates ``[*batch, d]``; for affine actions, where the base has a covariance.

        By total variance: the average of the diagonals of :math:`A_j\\Sigma A_j^T`, and the variance of the locations.
        """
        images = self._images_of(self.base.mean)
        matrices = self.action.matrix(self.elements).to(images)  # type: ignore[attr-defined]
        matrices = matrices.reshape(len(matrices), *(1,) * len(self.batch_shape), *matrices.shape[1:])
        within = (matrices @ _covariance(self.base) @ matrices.mT).diagonal(dim1=-2, dim2=-1).mean(0)
        return within + images.var(0, correction=0)

    def _images_of(self, x: Tensor) -> Tensor:
        if not isinstance(self.action, LinearAction):
            raise UnsupportedError(
                f"expected an affine action, got {self.action!r}, because the mean of an image is the image of the "
                "mean for affine maps alone; try the average of draws"
            )
        g = self.elements.to(x.device)
        return self.action.act(g.reshape(len(g), *(1,) * len(self.batch_shape), *g.shape[1:]), x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base}, {self.action!r}, {self.num_elements} elements)"


def _covariance(base: Any) -> Tensor:
    """Covariance matrices ``[*batch, d, d]`` of a law that has them, or has independent coordinates."""
    covariance: Tensor | None = getattr(base, "covariance_matrix", None)
    if covariance is not None:
        return covariance
    if isinstance(base, torch.distributions.Independent) and base.base_dist.event_shape == ():
        return torch.diag_embed(base.variance)
    raise UnsupportedError(
        f"expected a base with a covariance matrix, got {base}, because it is moved by the group's matrices; try the "
        "variance of draws"
    )


def _check(base: Any, action: Any, elements: Any) -> None:
    if not isinstance(base, TorchDistributionMixin):
        raise TypeError(
            f"expected base as a Pyro distribution, got {type(base).__name__}, because it is drawn from and evaluated; "
            "try pyro.distributions.MultivariateNormal"
        )
    if not isinstance(action, Action):
        raise TypeError(
            f"expected action as an action of pyro_symvi.groups, got {action!r}, because it moves the law; try "
            "CoordinatePermutation(dim)"
        )
    if not isinstance(elements, Tensor):
        raise TypeError(
            f"expected elements as a tensor, got {type(elements).__name__}, because copies are made in one batch; try "
            "action.group.elements()"
        )
    if len(base.event_shape) != 1:
        raise ValueError(
            f"expected a base over vectors, got event shape {list(base.event_shape)}, because the action moves "
            "vectors; try base.to_event(1)"
        )
    if len(action.event_shape) != 1 or action.event_shape[0] not in (-1, base.event_shape[0]):
        raise ValueError(
            f"expected an action on vectors of length {base.event_shape[0]}, got {action!r} on points of shape "
            f"{list(action.event_shape)}, because it has to move the base's draws; try dim={base.event_shape[0]}"
        )
    if not getattr(action, "is_bound", True):
        raise ValueError(
            f"expected a bound action, got {action!r}, because laws are moved about a known centre; try "
            f".bind({base.event_shape[0]}, center=...)"
        )
    shape = action.group.element_shape
    if elements.shape[1:] != shape or elements.ndim != len(shape) + 1 or len(elements) == 0:
        raise ValueError(
            f"expected elements of shape [m, {', '.join(map(str, shape))}] with m >= 1, got {list(elements.shape)}, "
            f"because that is the shape of an element of {action.group!r}; try action.group.elements()"
        )
