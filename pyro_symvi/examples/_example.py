"""What a built-in example is: a model, its data, where they come from, what a certificate should find."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class Example:
    """A Pyro model with real data: the posterior is that of ``model(*args, **kwargs)``.

    Attributes:
        name: what the registry and the command line call it.
        title: one line for a table.
        model: a plain Pyro model.
        args: its positional arguments; data are float64 tensors.
        kwargs: its keyword arguments.
        sphere_sites: latent sites that lie on spheres; certificates speak of posteriors on flat space, so far.
        description: the model in a few lines, with its priors.
        source: where the data, and where taken over the model, were published.
        expected: what symmetry says about this posterior, in words; a reader compares a certificate with it.
    """

    name: str
    title: str
    model: Callable[..., Any]
    args: tuple[Any, ...]
    description: str
    source: str
    expected: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    sphere_sites: tuple[str, ...] = ()
