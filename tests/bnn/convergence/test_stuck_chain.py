"""A chain that never moves reads bad, also where it is compared with itself alone."""

import torch

from pyro_symvi.bnn.convergence import chainwise_rhat


def test_a_stuck_chain_among_moving_ones_has_an_infinite_chainwise_rhat() -> None:
    values = torch.randn(3, 400, 2, generator=torch.Generator().manual_seed(0))
    values[1] = values[1, :1].clone()
    found = chainwise_rhat(values)
    assert bool(torch.isinf(found[1]).all()) and bool((found[[0, 2]] < 1.1).all())
    values[:, :, 0] = 3.0  # what moves in no chain tells nothing
    found = chainwise_rhat(values)
    assert bool(found[:, 0].isnan().all()) and bool(torch.isinf(found[1, 1]))
