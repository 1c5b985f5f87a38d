"""Independent draws of all sites from a guide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import biject_to

from ..density._state import seeded


def random_state(generator: torch.Generator | None) -> AbstractContextManager[None]:
    """Torch's global state as it is, or set from ``generator`` and put back afterwards."""
    if generator is None:
        return nullcontext()
    return seeded(int(torch.randint(2**31, (), generator=generator, device=generator.device)))


def checked_number(num_samples: Any) -> int:
    """A number of draws, at least 1."""
    if isinstance(num_samples, bool) or not isinstance(num_samples, int):
        raise TypeError(f"expected num_samples as an int, got {num_samples!r}, because it counts draws; try 1000")
    if num_samples < 1:
        raise ValueError(f"expected num_samples >= 1, got {num_samples}, because it counts draws; try 1000")
    return num_samples


class FlatDraws:
    """``sample`` for guides with one flat latent vector (a mix-in before ``AutoContinuous``)."""

    _dependent: bool

    def sample(
        self, num_samples: int, *args: Any, generator: torch.Generator | None = None, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Independent draws of every latent site, ``{site: [num_samples, *site shape]}``, without gradients.

        Args:
            num_samples: At least 1.
            *args: The model's arguments.
            generator: Makes the draws reproducible and leaves torch's state alone; by default torch's global one.
            **kwargs: The model's keyword arguments.
        """
        count = checked_number(num_samples)
        self.set_up(*args, **kwargs)  # type: ignore[attr-defined]
        with torch.no_grad(), random_state(generator):
            latent = self.get_posterior(*args, **kwargs).sample((count,))  # type: ignore[attr-defined]
            self._remember(args, kwargs)  # type: ignore[attr-defined]
            if self._follows_supports():
                rows = [dict(self._sites_of(row)) for row in latent]
                return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
            sites = dict(self.prototype_trace.iter_stochastic_nodes())  # type: ignore[attr-defined]
            plates = max(len(site["fn"].batch_shape) for site in sites.values())
            found = dict(self._sites_of(latent.reshape(count, *(1,) * plates, -1)))  # draws are left of all plates
            return {name: value.reshape(count, *sites[name]["value"].shape) for name, value in found.items()}

    def _follows_supports(self) -> bool:
        """Whether supports depend on other sites, so that each draw has its own."""
        return self._dependent

    def _sites_of(self, latent: Tensor) -> Iterator[tuple[str, Tensor]]:
        for site, unconstrained in self._unpack_latent(latent):  # type: ignore[attr-defined]
            yield site["name"], biject_to(site["fn"].support)(unconstrained)


def draw_by_runs(guide: Any, names: list[str], num_samples: int, args: Any, kwargs: Any) -> dict[str, Tensor]:
    """Draws of the named sites from repeated runs of a guide, ``{site: [num_samples, *site shape]}``."""
    with torch.no_grad(), poutine.block():
        rows = [guide(*args, **kwargs) for _ in range(num_samples)]
    return {name: torch.stack([row[name] for row in rows]) for name in names}
