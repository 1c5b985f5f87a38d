"""The symmetries of a network's weights, read from its layers and activations."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from ..._layout import Layout
from ..._value import Value
from ...groups import Action, GeneralizedInverseGaussian
from .._posterior import NetworkPosterior
from .._priors import ParameterPrior
from . import _verification
from ._balance import balanced
from ._canonical import canonical
from ._gauges import Balanced, ByOutgoingNorm, ScaleGauge, UnitOrder
from ._layer import SymmetricLayer
from ._matching import matched
from ._placing import Unplaced, place_layers
from ._preservation import Preservation
from ._products import FiniteAction, LayerProduct
from ._table import as_table
from ._verification import Check

LayerKey = int | str | SymmetricLayer


@dataclass(frozen=True, eq=False, repr=False)
class NetworkSymmetry(Value):
    """Moves of the weights that leave the function of a network as it is, layer by layer.

    ``NetworkSymmetry.from_module(net)`` reads them; ``print`` shows a table. The finite part (permutations, and signs
    for odd activations) is in ``finite``, ``random`` and ``act``; rescaling of ReLU-like units in ``rescaling``,
    ``balance`` and ``orbit_law``. What each activation allows stands in :class:`SymmetricLayer`.

    Whether the posterior shares a symmetry depends on the prior besides: independent priors with one scale a layer
    keep permutations, those symmetric about zero keep signs, none keeps rescaling; :meth:`preserves` says it for a
    given one. References: Hecht-Nielsen (1990) and Sussmann (1992) for permutations and signs, Neyshabur,
    Salakhutdinov and Srebro (2015) for rescaling, Kobialka et al. (2026, arXiv 2603.22030) for balancedness.

    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    >>> symmetry = NetworkSymmetry.from_module(net)
    >>> symmetry.layers[0].groups, round(symmetry.log_order, 3)  # 4! 2^4 = 384 equal copies
    (('permutations', 'signs'), 5.951)

    Attributes:
        layout: what the entries of the flat vector are.
        layers: the hidden layers that were placed, in the order the network applies them.
        unplaced: hidden layers (or parameters) that were not, each with a name and a reason in words.
    """

    layout: Layout
    layers: Sequence[SymmetricLayer]
    unplaced: Sequence[Unplaced] = ()

    # -- reading ---------------------------------------------------------------------------------------------------
    @staticmethod
    def from_module(network: nn.Module, extras: int | Layout = 0, *, x: Tensor | None = None) -> NetworkSymmetry:
        """The symmetries of a module, in the mode (``eval()`` or not) it is in.

        Sequences and modules with a ``forward`` of their own are followed by symbolic tracing (torch.fx): linear and
        convolutional layers, activations as modules or functions, pooling, flattening and other moves of entries,
        concatenation, batch and layer normalisation. A hidden layer is claimed only where every use of its units is
        understood, and each claim is then checked on numbers with the module itself; whatever fails is in
        ``unplaced`` with the reason. A layer tied to another by a skip connection is not placed.

        Args:
            network: the module; it is copied, not changed.
            extras: how many scalars of the likelihood follow the weights, or the whole layout.
            x: rows to check on, ``[n, ...]``, with random ones of their shape; made up from the first layer unless
                given.
        """
        if not isinstance(network, nn.Module):
            raise TypeError(f"expected a torch.nn.Module, got {type(network).__name__}")
        if isinstance(extras, Layout):
            layout = extras
        elif isinstance(extras, int) and not isinstance(extras, bool) and extras >= 0:
            layout = Layout.of(network, tuple(f"extra.{i}" for i in range(extras)))
        else:
            raise TypeError(f"expected extras as an int >= 0 or a Layout, got {extras!r}")
        trainable = Layout.of(network)
        if (trainable.names, trainable.shapes) != (
            layout.names[: len(layout.names) - layout.extras],
            layout.shapes[: len(layout.names) - layout.extras],
        ):
            raise ValueError(
                f"expected a layout of the trainable parameters {list(trainable.names)}, got {list(layout.names)}; try "
                "Layout.of(network), or the posterior's own"
            )
        network = copy.deepcopy(network).cpu().double()
        generator = torch.Generator().manual_seed(0)
        rows = _verification.example_input(network, generator) if x is None else x[:8].cpu()
        if rows is None or len(rows) == 0:
            raise ValueError(
                f"expected rows to check on, got none for {type(network).__name__}, because no symmetry is claimed "
                "unchecked and the shape of its inputs could not be told; try from_module(network, x=x)"
            )
        rows = _verification.with_random_rows(rows.double(), generator) if rows.is_floating_point() else rows
        try:
            with torch.no_grad():
                outputs = network(rows)
        except (RuntimeError, TypeError) as error:
            raise ValueError(
                f"expected rows that the network takes, got shape {list(rows.shape)}, because it says: {error}"
            ) from error
        if not isinstance(outputs, Tensor):
            raise ValueError(f"expected a network with one tensor as output, got {type(outputs).__name__}")
        layers, unplaced = place_layers(network, layout, rows, generator)
        return NetworkSymmetry(layout, tuple(layers), tuple(unplaced))

    @staticmethod
    def of(posterior: NetworkPosterior) -> NetworkSymmetry:
        """The symmetries of the network of a posterior, on its flat vectors."""
        x = posterior.x if len(posterior.x) else posterior.x.new_zeros(1, *posterior.x.shape[1:])
        return NetworkSymmetry.from_module(posterior.network, posterior.layout, x=x)

    # -- the group -------------------------------------------------------------------------------------------------
    @property
    def dim(self) -> int:
        """Length of the flat vector."""
        return self.layout.dim

    @cached_property
    def finite(self) -> FiniteAction:
        """Permutations, with signs where the activation is odd, of all layers as one action."""
        return FiniteAction(self.dim, self.layers)

    @cached_property
    def permutation(self) -> LayerProduct | None:
        """Permutations of all layers; None where there are none."""
        return _product([layer.permutation for layer in self.layers])

    @cached_property
    def sign_flip(self) -> LayerProduct | None:
        """Signs of all layers with an odd activation; None where there are none."""
        return _product([layer.sign_flip for layer in self.layers])

    @cached_property
    def rescaling(self) -> LayerProduct | None:
        """Rescalings of all layers with a homogeneous activation; None where there are none."""
        return _product([layer.rescaling for layer in self.layers])

    @property
    def log_order(self) -> float:
        """Log of the order of the finite group: sum of log h! and, for odd activations, h log 2."""
        return sum(layer.log_order for layer in self.layers)

    def random(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Uniform elements of the finite group, ``[n, ...]``; :meth:`act` applies them."""
        return self.finite.group.sample(n, generator=generator)

    def act(self, g: Tensor, theta: Tensor) -> Tensor:
        """Weights moved by elements of the finite group; batches of both broadcast, ``[*batch, dim]``."""
        return self.finite.act(g.to(theta.device), theta)

    def preserves(self, parameter_prior: ParameterPrior) -> tuple[Preservation, ...]:
        """For each layer and group, whether the prior stays as it is (true or false, with the reason)."""
        self._check_prior(parameter_prior)
        return tuple(found for layer in self.layers for found in layer.preserves(parameter_prior))

    def finite_preserves(self, parameter_prior: ParameterPrior) -> bool:
        """Whether the whole finite group keeps the prior, hence the posterior."""
        return all(found for found in self.preserves(parameter_prior) if found.group in ("permutations", "signs"))

    def verify(self, posterior: NetworkPosterior, *, n: int = 4, seed: int = 0) -> tuple[Check, ...]:
        """Random elements of each group of each layer against the outputs of a posterior, at n random weights.

        One check a claim: false where outputs move by more than rounding. Outputs are the posterior's own, on rows of
        its data and random ones; run it in float64.
        """
        if posterior.dim != self.dim:
            raise ValueError(f"expected a posterior of {self.dim} parameters, got {posterior.dim}")
        generator = torch.Generator().manual_seed(seed)
        x = posterior.x[:8] if len(posterior.x) else posterior.x.new_zeros(1, *posterior.x.shape[1:])
        x = _verification.with_random_rows(x, generator)
        theta = _verification.random_weights(self.layout, n, generator).to(posterior.x)

        @torch.no_grad()
        def evaluate(weights: Tensor) -> Tensor:
            return posterior.outputs(weights, x).double()

        return tuple(c for layer in self.layers for c in _verification.checks(layer, evaluate, theta, generator))

    # -- representatives -------------------------------------------------------------------------------------------
    def canonicalize(
        self, theta: Tensor, by: UnitOrder = ByOutgoingNorm(), gauge: ScaleGauge | None = Balanced()
    ) -> Tensor:
        """One representative of each orbit, ``[*batch, dim]``: sizes by ``gauge``, then signs, then order of units.

        The first nonzero weight out of each unit is made positive where the activation is odd; units are sorted
        ``by`` a key. ``gauge=None`` leaves rescaling alone. The result is the same for all of an orbit whose keys
        differ from unit to unit (almost all), and stays under a second call.
        """
        self.layout.check(theta)
        if not isinstance(by, UnitOrder):
            raise TypeError(f"expected an order of units, got {by!r}; try ByOutgoingNorm(), ByProduct() or ByBias()")
        by.check(self.layers)
        if gauge is not None:
            if not isinstance(gauge, ScaleGauge):
                raise TypeError(f"expected a gauge, got {gauge!r}; try Balanced(prior), UnitIncomingNorm() or None")
            theta = gauge.fix(self.layers, theta)
        return canonical(self.layers, theta, by)

    def balance(self, theta: Tensor, parameter_prior: ParameterPrior) -> Tensor:
        """The point of each rescaling orbit with the largest prior density: a_j = k b_j in every unit at once.

        Dead units (nothing in or nothing out) have no such point and stay; :meth:`dead` flags them.
        """
        self._check_prior(parameter_prior)
        return balanced(self.layers, self.layout.check(theta), parameter_prior)

    def match(self, theta: Tensor, reference: Tensor) -> Tensor:
        """Theta ``[*batch, dim]`` moved by the finite group to be close to ``reference`` ``[dim]``.

        Weight matching: each layer in turn by the best assignment of units (and signs) given the others, until none
        moves (Ainsworth, Hayase and Srinivasa 2022). The best of all for one hidden layer; for more, a local best,
        the same for all of an orbit. Rescaling is left alone: balance both first where it matters.
        """
        self.layout.check(theta)
        if self.layout.check(reference).ndim != 1:
            raise ValueError(f"expected one reference [dim], got {list(reference.shape)}")
        flat = theta.detach().reshape(-1, self.dim).cpu()
        found = matched(self.finite, flat, reference.detach().cpu().to(flat.dtype)) if len(flat) else flat
        return found.to(theta.device).reshape(theta.shape)

    # -- single layers ---------------------------------------------------------------------------------------------
    def layer(self, key: LayerKey) -> SymmetricLayer:
        """A layer by its place, its name, or itself."""
        if isinstance(key, SymmetricLayer):
            return key
        if isinstance(key, int) and -len(self.layers) <= key < len(self.layers):
            return self.layers[key]
        found = next((layer for layer in self.layers if layer.name == key), None)
        if found is None:
            raise ValueError(f"expected one of the layers {[layer.name for layer in self.layers]}, got {key!r}")
        return found

    def energies(self, theta: Tensor, parameter_prior: ParameterPrior, layer: LayerKey) -> tuple[Tensor, Tensor]:
        """Prior energies a and b of the units of a layer, ``[*batch, h]``; see :meth:`SymmetricLayer.energies`."""
        return self.layer(layer).energies(self.layout.check(theta), parameter_prior)

    def orbit_law(self, theta: Tensor, parameter_prior: ParameterPrior, layer: LayerKey) -> GeneralizedInverseGaussian:
        """The law of t = c^2 along the rescaling orbit of each unit; see :meth:`SymmetricLayer.orbit_law`."""
        return self.layer(layer).orbit_law(self.layout.check(theta), parameter_prior)

    def partner(self, theta: Tensor, parameter_prior: ParameterPrior, layer: LayerKey) -> Tensor:
        """The c* of the equal-prior point of each unit; see :meth:`SymmetricLayer.partner`."""
        return self.layer(layer).partner(self.layout.check(theta), parameter_prior)

    def dead(self, theta: Tensor) -> tuple[Tensor, ...]:
        """Flags ``[*batch, h]`` of units with nothing in or nothing out, one tensor a layer."""
        return tuple(layer.dead(self.layout.check(theta)) for layer in self.layers)

    def _check_prior(self, parameter_prior: ParameterPrior) -> None:
        if not isinstance(parameter_prior, ParameterPrior) or len(parameter_prior.kinds) != self.dim:
            raise ValueError(
                f"expected the prior of {self.dim} parameters, got {parameter_prior!r}; try posterior.parameter_prior"
            )

    def __str__(self) -> str:
        return as_table(self.layout, self.layers, self.unplaced, self.log_order)

    def __repr__(self) -> str:
        names = ", ".join(f"{layer.name}: {' and '.join(layer.groups)}" for layer in self.layers)
        return f"NetworkSymmetry({names or 'none'}; unplaced: {[u.name for u in self.unplaced]})"


def _product(actions: Sequence[Action | None]) -> LayerProduct | None:
    found = [action for action in actions if action is not None]
    return LayerProduct(tuple(found)) if found else None
