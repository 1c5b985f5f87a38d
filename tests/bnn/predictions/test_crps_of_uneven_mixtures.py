"""CRPS of mixtures whose components differ much in place or width, against the sum over all pairs."""

import pytest
import torch

from pyro_symvi.bnn.predictions import _mixture
from pyro_symvi.bnn.predictions._mixture import NormalMixture, _distance


def _exact(mixture: NormalMixture, y: torch.Tensor) -> torch.Tensor:
    scale = (mixture.scale[:, None].square() + mixture.scale[None].square()).sqrt()
    pairs = _distance(mixture.loc[:, None] - mixture.loc[None], scale).mean((0, 1))
    return _distance(y - mixture.loc, mixture.scale).mean(0) - 0.5 * pairs


@pytest.mark.parametrize("kind", ["uneven widths", "one far off", "one wide", "narrow"])
@pytest.mark.parametrize("pairs", [2000, 0], ids=["all pairs", "panels"])
def test_crps_of_components_that_no_even_grid_resolves(kind: str, pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mixture, "_PAIRS", pairs)
    components, g = 500, torch.Generator().manual_seed(0)
    loc, scale = torch.randn(components, 2, generator=g).double(), torch.full((components, 2), 0.3).double()
    if kind == "uneven widths":
        scale = (1.5 * torch.randn(components, 2, generator=g).double()).exp()
    elif kind == "one far off":
        loc[7] = 1e4
    elif kind == "one wide":
        scale[7] = 1e3
    else:
        scale = scale / 300
    mixture, y = NormalMixture(loc, scale), loc[0] + 0.1
    exact = _exact(mixture, y)
    assert torch.allclose(mixture.crps(y), exact, rtol=2e-3), (mixture.crps(y), exact)
