"""How the parameters of a guide with one law a site live in Pyro: made, named, read, set, copied."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, Self

import torch
from pyro.infer.autoguide.effect import AutoMessenger
from pyro.infer.autoguide.utils import deep_setattr
from pyro.nn.module import PyroParam

from ..families import Family, Parameters
from ._names import claim_name, rename
from ._site_law import SiteLaw
from ._site_names import path_of


class SiteParameters(AutoMessenger):
    """An effect guide that holds, for each site, the parameters of its family; a subclass says which."""

    _pyro_name: str
    _model: Any

    def __init__(self, model: Callable[..., Any]) -> None:
        super().__init__(model)
        self._pyro_name = type(self).__name__
        self._sites: dict[str, SiteLaw] | None = None
        self._paths: dict[str, dict[str, str]] = {}

    def _make(self, sites: Mapping[str, tuple[SiteLaw, Parameters]]) -> None:
        """Make the parameters of all sites, with initial values, under a name that no living guide has."""
        parts, paths = {}, {}
        for name, (site, initial) in sites.items():
            own = site.parts(initial)
            paths[name] = {kind: path_of(kind, name) for kind in own}
            parts.update({paths[name][kind]: part for kind, part in own.items()})
        self._pyro_name = claim_name(self, {path: part.free_shape for path, part in parts.items()})
        for path, part in parts.items():
            deep_setattr(self, path, PyroParam(part.value, constraint=part.constraint, event_dim=part.event_dim))
        self._sites, self._paths = {name: site for name, (site, _) in sites.items()}, paths

    # -- reading and setting -----------------------------------------------------------------------------------

    def family_of(self, name: str) -> Family:
        """The family of a site, as a frozen value, without the map to its support."""
        return self._site(name).family

    def parameters_of(self, name: str) -> Parameters:
        """The parameters of a site as its family takes them, plates in front, attached to the graph.

        In full outside the model's plates; inside a subsampled one (in a run) those of the minibatch.
        """
        site = self._site(name)
        with self._pyro_context:  # so that values loaded into Pyro's parameter store count, and plates subsample
            return site.join({kind: reduce(getattr, path.split("."), self) for kind, path in self._paths[name].items()})

    def set_parameters(self, parameters: Mapping[str, Parameters]) -> None:
        """Overwrite parameters, ``{site: parameters as parameters_of gives them}``, for any of the sites.

        Raises:
            ValueError: An unknown site, a wrong shape, a value that no law of the family has; nothing is changed then.
        """
        new = {name: self._checked(name, values) for name, values in parameters.items()}
        with torch.no_grad(), self._pyro_context:
            for name, values in new.items():
                parts = self._site(name).parts(values)
                for kind, path in self._paths[name].items():
                    module, leaf = path.rpartition(".")[::2]
                    owner = reduce(getattr, module.split("."), self)
                    setattr(owner, leaf, parts[kind].value.to(getattr(owner, leaf)))

    def _checked(self, name: str, values: Parameters) -> Parameters:
        before = self.parameters_of(name)
        if values.keys() != before.keys():
            raise ValueError(
                f"expected parameters {list(before)} for site '{name}', got {list(values)}, because its family is "
                f"{self.family_of(name)!r}; try parameters_of('{name}')"
            )
        for kind, value in values.items():
            if value.shape != before[kind].shape:
                raise ValueError(
                    f"expected {kind} of site '{name}' with shape {list(before[kind].shape)}, got {list(value.shape)}, "
                    f"because plates come in full and first; try parameters_of('{name}')"
                )
        return self._site(name).checked({kind: value.detach() for kind, value in values.items()})

    # -- copies ------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all, the model too, but for the trace and the parameters' weak references."""
        for parameter in self.parameters():
            parameter.__dict__.pop("unconstrained", None)
        return {key: value for key, value in self.__dict__.items() if key != "trace"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore, under a name of its own where the original lives."""
        super().__setstate__(state)
        if self._sites is not None:
            shapes = {n.removesuffix("_unconstrained"): p.shape for n, p in self.named_parameters()}
            rename(self, claim_name(self, shapes))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A guide with parameters of its own, for the same model."""
        twin: Self = type(self).__new__(type(self))
        memo[id(self)] = twin
        state = {key: value for key, value in self.__getstate__().items() if key != "_model"}
        twin.__setstate__({**copy.deepcopy(state, memo), "_model": self._model})
        return twin

    # -- helpers -----------------------------------------------------------------------------------------------

    def _known(self) -> dict[str, SiteLaw]:
        if self._sites is None:
            raise ValueError(
                "expected a guide that has been called once, got one without parameters, because it reads the model at "
                "its first call; try guide(*args), or guide.set_up(*args)"
            )
        return self._sites

    def _site(self, name: str) -> SiteLaw:
        sites = self._known()
        if name not in sites:
            raise ValueError(
                f"expected one of the latent sites {list(sites)}, got '{name}', because these were met in the first "
                "run; try sampling every site always and switching its effect on or off"
            )
        return sites[name]
