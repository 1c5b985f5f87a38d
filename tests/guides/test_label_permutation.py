"""Label permutations from site names: what they move, and sites that cannot be relabelled."""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyro_symvi.density import LogDensity
from pyro_symvi.groups import (
    Cyclic,
)
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.guides._orbit_actions import label_permutation
from tests.contracts.guide import Y

# -- label permutations --------------------------------------------------------------------------------------------


def labelled(y: Tensor) -> None:
    """Four sites, three of them with three labels."""
    pyro.sample("alpha", dist.Normal(0.0, 1.0))
    pyro.sample("rows", dist.Normal(0.0, 1.0).expand([3, 2]).to_event(2))
    with pyro.plate("labels", 3):
        pyro.sample("scale", dist.LogNormal(0.0, 1.0))
    pyro.sample("weights", dist.Dirichlet(torch.ones(3)))
    pyro.sample("order", dist.TransformedDistribution(
        dist.Normal(0.0, 1.0).expand([3]).to_event(1), [dist.transforms.OrderedTransform()]))  # fmt: skip
    pyro.sample("bounds", dist.Uniform(torch.zeros(3), torch.tensor([1.0, 1.0, 2.0])).to_event(1))
    pyro.sample("pair", dist.Normal(0.0, 1.0).expand([2]).to_event(1))


@pytest.mark.parametrize("from_guide", [True, False])
def test_label_permutations_move_entries_of_named_sites(from_guide: bool) -> None:
    density = LogDensity.from_model(labelled, Y)
    source: Any = density
    if from_guide:
        source = AutoLocationScale(labelled)
        source.set_up(Y)
    action = label_permutation(source, ["rows", "scale"])
    assert action.dim == density.dim and action.group.order == 6
    z = torch.randn(density.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = density.unpack(z)
    for g in action.group.elements():
        after = density.unpack(action.act(g, z))
        for k in range(3):
            assert torch.equal(after["rows"][g[k]], before["rows"][k])
            assert torch.equal(after["scale"][g[k]], before["scale"][k])
        for name in ("alpha", "weights", "order", "bounds", "pair"):
            assert torch.equal(after[name], before[name])
    assert label_permutation(source, ["scale"], Cyclic(3)).group.order == 3


@pytest.mark.parametrize(
    ("sites", "error", "message"),
    [
        (
            ["weights"],
            ValueError,
            "permuted when its unconstrained coordinates are, got 'weights' with 3 entries and 2",
        ),
        (["rows", "weights"], ValueError, "got 'weights' .*stick-breaking"),
        (["order"], ValueError, "got 'order' with labels that are not alike"),
        (["bounds"], ValueError, "got 'bounds' with labels that are not alike"),
        (["alpha"], ValueError, "one entry for each label, got the scalar 'alpha'"),
        (["rows", "pair"], ValueError, r"one leading length, got \{'rows': 3, 'pair': 2\}"),
        (["nothing"], ValueError, "distinct names among"),
        ([], ValueError, "distinct names among"),
        (["rows", "rows"], ValueError, "distinct names among"),
        ("rows", TypeError, "sites as a list of names"),
        ([0], TypeError, "sites as a list of names"),
    ],
)
def test_sites_that_cannot_be_relabelled_are_refused(sites: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"expected.*{message}.*; try"):
        label_permutation(LogDensity.from_model(labelled, Y), sites)


def test_sources_without_sites_are_refused() -> None:
    with pytest.raises(TypeError, match="expected a LogDensity or a guide.*got.*because.*; try"):
        label_permutation(labelled, ["rows"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected a guide that has been called once, got.*because.*; try"):
        label_permutation(AutoLocationScale(labelled), ["rows"])
