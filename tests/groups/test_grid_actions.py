"""Quarter turns, mirror images and cyclic shifts of images: the contract, numpy's answers, Fourier phases."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import Action, FourierTranslation, GridRotations, GridTranslation
from tests.contracts.action import ActionContract

ACTIONS = {"square": GridRotations(), "quarter turns": GridRotations(mirrors=False), "torus": GridTranslation(2, 3)}
ACTIONS |= {"waves": FourierTranslation(3, 1)}


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


def test_waves_are_moved_exactly() -> None:
    """cos of a wave at any shift; whole pixels as the grid; two shifts by half a pixel are one pixel."""
    action, generator = FourierTranslation(5, 7), torch.Generator().manual_seed(3)
    rows, columns = torch.arange(5).double()[:, None], torch.arange(7).double()
    for u, v in ((2, 3), (-1, 2), (0, 0), (2, -3)):
        g = action.group.sample(3, generator=generator)
        wave = torch.cos(2 * torch.pi * (u * rows / 5 + v * columns / 7))
        moved = torch.cos(2 * torch.pi * (u * rows / 5 + v * columns / 7) - (g @ g.new_tensor([u, v]))[:, None, None])
        assert torch.allclose(action.act(g, wave), moved, atol=1e-12)
    x, pixel = images(5, 7), 2 * torch.pi * torch.tensor([2 / 5, 3 / 7], dtype=torch.float64)
    assert torch.allclose(action.act(pixel, x), x.roll((2, 3), (0, 1)), atol=1e-12)
    assert torch.allclose(action.act(pixel / 2, action.act(pixel / 2, x)), x.roll((2, 3), (0, 1)), atol=1e-12)
    assert torch.allclose(action.pixels(pixel), torch.tensor([2.0, 3.0]).double())


def test_errors() -> None:
    with pytest.raises(ValueError, match="expected odd sizes, got 4 x 3"):
        FourierTranslation(4, 3)
    with pytest.raises(ValueError, match=r"expected square images x \[..., H, H\], got \[2, 3\].*try ImageFlip"):
        GridRotations().orbit(images(2, 3))
    with pytest.raises(ValueError, match=r"expected x of shape \[..., 2, 3\], got \[3, 2\]"):
        GridTranslation(2, 3).orbit(images(3, 2))
    with pytest.raises(TypeError, match="expected mirrors to be a bool"):
        GridRotations(mirrors=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected height >= 1, got 0"):
        GridTranslation(0, 3)
