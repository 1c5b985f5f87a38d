"""A whole run against the closed-form optimum of the regression it solves."""

import pytest
import torch

from pyro_symvi.quotient import CloudDataset, Context, Diffusion
from pyro_symvi.quotient.losses import Loss, Plain, Quotient
from pyro_symvi.quotient.training import LogitNormalTimes, TrainingStatus, train


class Scaled(torch.nn.Module):
    """D(x, t) = c x: one number to learn."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x: torch.Tensor, t: torch.Tensor, context: Context | None = None) -> torch.Tensor:
        return self.factor * x


def gaussian_clouds(m: int, scale: float, points: int = 4) -> CloudDataset:
    clouds = scale * torch.randn(m, points, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return CloudDataset(clouds, torch.zeros(m, dtype=torch.int64), ("gaussian",))


@pytest.mark.parametrize(("loss", "rotate"), [(Plain(), True), (Quotient(), False)], ids=["plain", "quotient"])
def test_the_optimum_of_a_linear_denoiser(loss: Loss, rotate: bool) -> None:
    """Data N(0, 4) at t = 1/2: c = 4 t / (4 t^2 + (1 - t)^2) = 1.6, whichever directions count, turned or not.

    Standard error of the average over the last 200 batches of 64 clouds: about 0.006.
    """
    network = Scaled()
    result = train(
        Diffusion(), network, gaussian_clouds(5000, 2.0), loss, steps=400, batch_size=64, learning_rate=0.02,
        times=LogitNormalTimes(0.0, 1e-6), rotate=rotate, ema=0.995, gradient_clip=100.0,
    )  # fmt: skip
    assert result.status is TrainingStatus.FINISHED and result.checked() is result and result.network is network
    assert float(result.ema.factor.detach()) == pytest.approx(1.6, abs=0.03)
    assert len(result.history.loss) == 400
    assert float(result.history.smoothed(100)[-1]) < float(result.history.smoothed(100)[0])
