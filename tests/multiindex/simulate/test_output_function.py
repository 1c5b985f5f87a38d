"""The output function of many samples: against the quadrature of the channel, sample by sample."""

import pytest
import torch

from pyro_symvi.multiindex import GaussianChannel
from pyro_symvi.multiindex.simulate._output import OutputFunction


def samples(channel, variance, count=300):
    generator = torch.Generator().manual_seed(7)
    omega, u, noise = torch.randn(3, count, generator=generator, dtype=torch.float64)
    omega = max(1 - variance, 0.01) ** 0.5 * omega
    return channel.mean(omega + variance**0.5 * u) + noise, omega


@pytest.mark.parametrize("name", ["b4", "abs", "sign", "relu"])
@pytest.mark.parametrize("variance", [1.0, 0.3, 0.02, 0.003])
def test_agrees_with_the_channel(name, variance):
    channel = GaussianChannel(name, 0.5)
    y, omega = samples(channel, variance)
    exact = channel.output(y, omega, variance)
    scale = exact.square().mean().sqrt()
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 2e-4)):
        found = OutputFunction(channel, dtype)(
            y[None].to(dtype), omega[None, :, None].to(dtype), torch.tensor([[variance]], dtype=dtype)
        )
        assert found.dtype == dtype
        assert (found[0, :, 0].double() - exact).abs().max() < tolerance * scale
    wrong = GaussianChannel(name, 1.0).output(y, omega, variance)
    assert (wrong - exact).abs().max() > 0.01 * scale


def test_variances_of_data_sets_and_columns_are_kept_apart():
    channel = GaussianChannel("abs", 0.5)
    y, omega = samples(channel, 0.5, 40)
    y, omega = y.view(2, 20), omega.view(2, 20, 1).expand(2, 20, 3).contiguous()
    variance = torch.tensor([[0.9, 0.5, 0.1], [0.2, 0.4, 0.8]], dtype=torch.float64)
    found = OutputFunction(channel, torch.float64)(y, omega, variance)
    exact = channel.output(y[..., None], omega, variance[:, None])
    torch.testing.assert_close(found, exact, atol=1e-6, rtol=1e-6)
