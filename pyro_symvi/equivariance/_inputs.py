"""Inputs of a model and how a group moves them: one tensor, or a tuple, list or dict of tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..groups import Action, Group, InvariantAction, LinearAction, NaturalAction
from ..groups._errors import sentence
from ._capture import exact_device
from ._foreign import as_action
from ._homomorphism import require_action


@dataclass(frozen=True)
class Shared:
    """An input that all samples have in common: passed as it is, neither batched nor moved by the group."""

    value: Any


@dataclass(frozen=True)
class Inputs:
    """Samples ``[B, ...]`` in the structure a model takes them, each tensor with the action that moves it.

    The model is called as model(x) for a tensor, model(*x) for a tuple or list, model(**x) for a dict; nested
    structures are allowed inside. Tensors have the samples on their first axis. What is not a tensor, and what is
    wrapped in :class:`Shared`, is passed as it is.
    """

    x: Any
    actions: Any
    group: Group
    samples: int

    @staticmethod
    def of(x: Any, group: Group, rho_in: Any = None) -> Inputs:
        """Check the samples and their actions; see :func:`input_actions` for what ``rho_in`` may be.

        Raises:
            TypeError: for things that are no group, action or tensor.
            ValueError: for shapes, nan, numbers of samples that differ, actions of other groups.
        """
        if not isinstance(group, Group):
            raise TypeError(f"expected a group, got {type(group).__name__}; try pyro_symvi.groups.SpecialOrthogonal(3)")
        actions = input_actions(x, group, rho_in)
        sizes = {}
        for name, leaf, action in leaves(x, actions):
            if leaf.ndim == 0 or leaf.ndim <= len(action.event_shape):
                raise ValueError(
                    sentence(
                        f"{name} of shape [samples, {event_text(action.event_shape)}]",
                        list(leaf.shape),
                        "samples are on the first axis",
                        f"{name}[None] for a single sample, or Shared({name}) for an input without samples",
                    )
                )
            action._point(_exact(leaf), name)
            if not bool(torch.isfinite(leaf).all()):
                raise ValueError(f"expected finite {name}, got nan or inf, because their images are compared")
            sizes[name] = len(leaf)
        if not sizes:
            raise ValueError(
                f"expected at least one tensor among the inputs, got {type(x).__name__}; try torch.as_tensor(x)"
            )
        if len(set(sizes.values())) > 1:
            raise ValueError(
                f"expected inputs with the same number of samples, got {sizes}; try Shared(...) for an input that all "
                "samples have in common"
            )
        samples = next(iter(sizes.values()))
        if samples == 0:
            raise ValueError("expected at least one sample, got none")
        return Inputs(x, actions, group, samples)

    def moved(self, elements: Tensor) -> Any:
        """The images under ``elements [k, ...]``, element by element: tensors ``[k * B, ...]``, each in its dtype.

        The product is taken in float64, so that the rounding of the image is that of its dtype alone. Images are
        tensors of their own, which a model may change in place.
        """
        return _mapped(self.x, self.actions, lambda leaf, action: _image(leaf, action, elements))

    def map(self, change: Any) -> Inputs:
        """The inputs with every tensor replaced by ``change(tensor)``."""
        return Inputs(
            _mapped(self.x, self.actions, lambda leaf, _: change(leaf), keep_shared=True),
            self.actions,
            self.group,
            self.samples,
        )

    def require_actions(self) -> None:
        """Check on some samples that the actions are actions; see :func:`~._homomorphism.require_action`."""
        for name, leaf, action in leaves(self.x, self.actions):
            with torch.no_grad():
                exact = _exact(leaf)
                require_action(action, exact, name)
                if not _is_inexact(leaf) and not isinstance(action, InvariantAction):
                    g = self.group.sample(2, generator=torch.Generator().manual_seed(1)).to(exact.device)
                    moved = action._sweep(g, exact[:2])
                    if bool(((moved - moved.round()).abs() > 1e-6).any()):
                        raise TypeError(
                            f"expected {name} of a floating dtype, got {leaf.dtype}, because {action!r} does not map "
                            f"integers to integers; try {name}.double()"
                        )

    def picked(self, images: Any, rows: Tensor) -> Any:
        """Some rows of images in the structure of the inputs; what all samples share is passed on."""
        return _picked(self.x, images, rows)

    def part(self, first: int, last: int) -> Inputs:
        """Samples ``first`` to ``last`` (that one not included)."""
        cut = _mapped(self.x, self.actions, lambda leaf, _: leaf[first:last], keep_shared=True)
        return Inputs(cut, self.actions, self.group, last - first)

    def with_shared_copies(self) -> Inputs:
        """The same with a copy of every shared tensor, so that a model cannot change the user's."""
        return Inputs(_copied(self.x), self.actions, self.group, self.samples)

    def call(self, model: Any, x: Any) -> Any:
        """The model at inputs of this structure."""
        if isinstance(x, dict):
            return model(**x)
        return model(*x) if isinstance(x, tuple | list) else model(x)

    @property
    def device(self) -> torch.device:
        """Where group elements and sums live: with the first tensor (on the CPU where that device has no float64)."""
        return exact_device(next(leaf for _, leaf, _ in leaves(self.x, self.actions)).device)


def input_actions(x: Any, group: Group, rho_in: Any = None) -> Any:
    """The action of each tensor of ``x``, in the structure of ``x``.

    ``rho_in`` has the structure of x, with an :class:`~pyro_symvi.groups.Action` of the group for each tensor and
    None where the group leaves it as it is. For a single tensor whose last axis has the size of the group's matrices
    it may be left out: the natural action on the last axis.
    """
    if rho_in is None and isinstance(x, Tensor):
        shape = group.element_shape
        if len(shape) == 2 and shape[0] == shape[1] and x.ndim and x.shape[-1] == shape[0] and x.is_floating_point():
            return NaturalAction(group)
        raise ValueError(
            sentence(
                "rho_in=, the action of the group on the inputs",
                None,
                f"nothing says how {group!r} moves a tensor of shape {list(x.shape)}",
                "NaturalAction(group) for vectors on the last axis, GridRotations() for images, CoordinatePermutation",
            )
        )
    if rho_in is None and isinstance(x, dict | tuple | list):
        raise ValueError(
            sentence(
                f"rho_in= as a {type(x).__name__} with an action for each input (None where it stays as it is)",
                None,
                "nothing says which of the inputs the group moves",
                "{'positions': NaturalAction(group), 'species': None} for a dict",
            )
        )
    return _paired(x, group, rho_in, "x")


def _paired(x: Any, group: Group, rho: Any, name: str) -> Any:
    rho = as_action(rho, group)
    if isinstance(x, dict):
        if not isinstance(rho, dict) or not set(rho) <= set(x):
            raise ValueError(f"expected rho_in for {name} as a dict with keys among {list(x)}, got {rho!r}")
        return {key: _paired(value, group, rho.get(key), f"{name}[{key!r}]") for key, value in x.items()}
    if isinstance(x, tuple | list):
        if not isinstance(rho, tuple | list) or len(rho) != len(x):
            raise ValueError(f"expected rho_in for {name} as {len(x)} actions, one for each input, got {rho!r}")
        return [_paired(value, group, r, f"{name}[{i}]") for i, (value, r) in enumerate(zip(x, rho, strict=True))]
    if not isinstance(x, Tensor):
        if rho is not None:
            raise TypeError(
                f"expected {name} to be a tensor, got {type(x).__name__}, because rho_in moves it by {rho!r}"
            )
        return None
    if rho is None:
        return InvariantAction(group)
    if not isinstance(rho, Action):
        raise TypeError(f"expected an action of {group!r} for {name}, got {rho!r}; try NaturalAction(group) or None")
    if rho.group != group:
        raise ValueError(f"expected an action of {group!r} for {name}, got one of {rho.group!r}")
    return rho


def leaves(x: Any, actions: Any, name: str = "x") -> Iterator[tuple[str, Tensor, Action]]:
    """Name, tensor and action of every tensor of a structure."""
    if isinstance(x, dict):
        for key, value in x.items():
            yield from leaves(value, actions[key], f"{name}[{key!r}]")
    elif isinstance(x, tuple | list):
        for i, value in enumerate(x):
            yield from leaves(value, actions[i], f"{name}[{i}]")
    elif isinstance(x, Tensor):
        yield name, x, actions


def _mapped(x: Any, actions: Any, change: Any, keep_shared: bool = False) -> Any:
    if isinstance(x, dict):
        return {key: _mapped(value, actions[key], change, keep_shared) for key, value in x.items()}
    if isinstance(x, tuple | list):
        found = [_mapped(value, actions[i], change, keep_shared) for i, value in enumerate(x)]
        return found if isinstance(x, list) else tuple(found)
    if isinstance(x, Tensor):
        return change(x, actions)
    return x.value if isinstance(x, Shared) and not keep_shared else x


def _picked(x: Any, images: Any, rows: Tensor) -> Any:
    if isinstance(x, dict):
        return {key: _picked(value, images[key], rows) for key, value in x.items()}
    if isinstance(x, tuple | list):
        found = [_picked(value, image, rows) for value, image in zip(x, images, strict=True)]
        return found if isinstance(x, list) else tuple(found)
    return images[rows.to(images.device)] if isinstance(x, Tensor) else images


def _copied(x: Any) -> Any:
    if isinstance(x, dict):
        return {key: _copied(value) for key, value in x.items()}
    if isinstance(x, tuple | list):
        found = [_copied(value) for value in x]
        return found if isinstance(x, list) else tuple(found)
    return Shared(x.value.clone()) if isinstance(x, Shared) and isinstance(x.value, Tensor) else x


def _is_inexact(x: Tensor) -> bool:
    return x.is_floating_point() or x.is_complex()


def _exact(x: Tensor) -> Tensor:
    """In float64 (complex stays): integers and booleans too, since groups may permute them."""
    if x.is_complex():
        return x.to(torch.complex128)
    return x.to(exact_device(x.device), torch.float64)


def _image(x: Tensor, action: Action, elements: Tensor) -> Tensor:
    k = len(elements)
    if isinstance(action, InvariantAction):
        return x.repeat(k, *(1,) * (x.ndim - 1))
    exact = _exact(x)
    elements = elements.to(exact.device)
    moved = _by_matrices(action, elements, exact)
    if moved is None:
        moved = action._sweep(elements, exact)
    if not _is_inexact(x):
        moved = moved.round()
    moved = moved.to(x.device, x.dtype).reshape(k * len(x), *x.shape[1:])
    return moved.clone() if _share_memory(moved, x) else moved


def _by_matrices(action: Action, elements: Tensor, x: Tensor) -> Tensor | None:
    """One matrix product an element, where the action is by matrices on the last axis; None where it is not."""
    if not isinstance(action, LinearAction) or type(action)._act is not LinearAction._act:
        return None
    matrices = action._matrix(elements)
    if not _is_inexact(matrices) or (matrices.is_complex() and not x.is_complex()):
        return None
    return (x.reshape(-1, x.shape[-1]) @ matrices.to(x.dtype).mT).reshape(len(elements), *x.shape)


def _share_memory(a: Tensor, b: Tensor) -> bool:
    try:
        return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # inside a function transform: nothing is changed in place there
        return False


def event_text(shape: tuple[int, ...]) -> str:
    """Sizes as text; n for those that may be any (-1), ... where there are none."""
    return ", ".join("n" if size == -1 else str(size) for size in shape) or "..."
