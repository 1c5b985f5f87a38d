"""What every parametrised family of laws offers: its law, and how groups move its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pyro.distributions import TorchDistribution
from torch import Tensor

from ..groups import Action
from ._closure import Closure

Parameters = dict[str, Tensor]


class Family(ABC):
    """Laws :math:`q_\\theta` on one space, with the action of a group on their parameters.

    To implement one, write a frozen dataclass with ``dim``, ``distribution``, ``_closure`` and ``_push_forward``; test
    it by inheriting the contract of ``tests/contracts/family.py``. A family that claims a closure it does not have
    yields false certificates.
    """

    dim: int
    """Number d of coordinates of one point ``z[..., d]``."""

    @property
    @abstractmethod
    def parameter_names(self) -> tuple[str, ...]:
        """Keys of the family's parameters."""

    @abstractmethod
    def distribution(self, parameters: Parameters) -> TorchDistribution:
        """The law as a Pyro distribution with ``event_shape (d,)``."""

    def log_prob(self, z: Tensor, parameters: Parameters) -> Tensor:
        """Log density at ``z[..., d]``, shape ``[...]``."""
        return self.distribution(parameters).log_prob(z)

    def closure(self, action: Action) -> Closure:
        r"""Whether :math:`g_\#q_\theta` is in the family for every g and every :math:`\theta`, and why.

        Args:
            action: An action on the family's space. An open centre or shape (`PointReflection()`) is read as "any".

        Raises:
            TypeError: Not an action.
            ValueError: An action on a space of another dimension.
        """
        if not isinstance(action, Action):
            raise TypeError(
                f"expected an action of pyro_symvi.groups, got {action!r}, because closure is a property of a family "
                "and an action; try PointReflection()"
            )
        if len(action.event_shape) != 1 or action.event_shape[0] not in (-1, self.dim):
            raise ValueError(
                f"expected an action on vectors of length {self.dim}, got {action!r} on points of shape "
                f"{list(action.event_shape)}, because it has to move the laws of this family; try an action with "
                f"dim={self.dim}"
            )
        return self._closure(action)

    def push_forward(self, parameters: Parameters, action: Action, g: Tensor) -> Parameters:
        r"""Parameters of the law of :math:`g z,\ z\sim q_\theta`, for one group element ``g``.

        :math:`q_{g\theta}(gz)\,\lvert\det Dg\rvert = q_\theta(z)`, which the contract tests check.

        Raises:
            TypeError: Not an action.
            ValueError: The family is not closed under the action (the reason is in the message), or the action is not
                bound to a centre and a dimension.
        """
        if parameters.keys() != set(self.parameter_names):
            raise ValueError(
                f"expected parameters {list(self.parameter_names)}, got {list(parameters)}, because these make up a "
                f"law of {self!r}; try those that a guide or fit of this family has"
            )
        closure = self.closure(action)
        if not closure:
            raise ValueError(
                f"expected an action that {self!r} is closed under, got {action!r}, because {closure.reason}; try "
                "another base or scale, or guides.OrbitMixture"
            )
        if not getattr(action, "is_bound", True):
            raise ValueError(
                f"expected a bound action, got {action!r}, because laws are moved about a known centre; try "
                f".bind({self.dim}, center=...)"
            )
        return self._push_forward(parameters, action, g)

    @abstractmethod
    def _closure(self, action: Action) -> Closure: ...

    @abstractmethod
    def _push_forward(self, parameters: Parameters, action: Action, g: Tensor) -> Parameters: ...
