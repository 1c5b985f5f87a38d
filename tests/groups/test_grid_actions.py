"""Quarter turns, mirror images and cyclic shifts of images: the contract, numpy's answers, Fourier phases."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import Action, GridRotations, GridTranslation
from tests.contracts.action import ActionContract

ACTIONS = {"square": GridRotations(), "quarter turns": GridRotations(mirrors=False), "torus": GridTranslation(2, 3)}


class TestContract(ActionContract):
    tolerance = 1e-9
    free_size = 4

    @pytest.fixture(params=list(ACTIONS))
    def action(self, request: pytest.FixtureRequest) -> Action:
        return ACTIONS[request.param]


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("size", [1, 4, 5])
def test_turns_and_mirrors_against_numpy(size: int) -> None:
    x = images(2, 3, size, size)
    for (k, s), image in zip(GridRotations().group.elements().tolist(), GridRotations().orbit(x), strict=True):
        wanted = np.rot90(np.flip(x.numpy(), -1) if s else x.numpy(), k, (-2, -1))
        assert np.array_equal(image.numpy(), wanted)
    for k, image in enumerate(GridRotations(mirrors=False).orbit(x)):
        assert np.array_equal(image.numpy(), np.rot90(x.numpy(), k, (-2, -1)))


def test_shifts_against_numpy_and_their_phases() -> None:
    """A shift by (a, b) multiplies the discrete Fourier transform by exp(-2 pi i (a u / H + b v / W))."""
    action, x = GridTranslation(4, 6), images(2, 4, 6)
    assert action.group.order == 24
    for g, image in zip(action.group.elements(), action.orbit(x), strict=True):
        a, b = g.long().tolist()
        assert np.array_equal(image.numpy(), np.roll(x.numpy(), (a, b), (-2, -1)))
        u, v = torch.fft.fftfreq(4).double(), torch.fft.fftfreq(6).double()
        phase = torch.exp(-2j * torch.pi * (a * u[:, None] + b * v))
        assert torch.allclose(torch.fft.fft2(image), phase * torch.fft.fft2(x), atol=1e-12)


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"expected square images x \[..., H, H\], got \[2, 3\].*try ImageFlip"):
        GridRotations().orbit(images(2, 3))
    with pytest.raises(ValueError, match=r"expected x of shape \[..., 2, 3\], got \[3, 2\]"):
        GridTranslation(2, 3).orbit(images(3, 2))
    with pytest.raises(TypeError, match="expected mirrors to be a bool"):
        GridRotations(mirrors=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected height >= 1, got 0"):
        GridTranslation(0, 3)
