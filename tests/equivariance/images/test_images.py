"""Interpolated rotations against closed forms, and errors of image models of known size."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import equivariance_error, image_error, inscribed_disc, lie_error, rotated_images
from pyro_symvi.groups import FourierTranslation, GridRotations, GridTranslation, ImageFlip

SIZE = 32
CENTRES = torch.tensor([[4.0, 1.5], [-3.0, 3.5], [-1.0, -4.0]], dtype=torch.float64)


def blobs(size: int = SIZE, turned: float = 0.0, width: float = 2.0) -> Tensor:
    """Sum of Gaussians at CENTRES (right, up) turned by an angle: band-limited, and gone at the frame. ``[H, H]``."""
    at = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    c, s = math.cos(turned), math.sin(turned)
    centres = CENTRES @ torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    right = (at - centres[:, :1]).square()[:, None, :]
    up = (-at - centres[:, 1:]).square()[:, :, None]
    weights = torch.tensor([1.0, -0.7, 0.5], dtype=torch.float64)[:, None, None]
    return (weights * torch.exp(-(right + up) / (2 * width**2))).sum(0)


def circular(kernel: list[list[float]]) -> nn.Module:
    """A convolution with circular padding."""
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False).double().eval()
    layer.weight.data = torch.tensor(kernel, dtype=torch.float64)[None, None]
    return layer


IMAGES = torch.stack([blobs(), blobs(turned=1.0).T])[:, None]


@pytest.mark.parametrize(
    ("mode", "below", "above"), [("bilinear", 6e-2, 1e-2), ("bicubic", 4e-2, 1e-3), ("fourier", 1e-6, 1e-12)]
)
def test_rotation_against_the_turned_function(mode: str, below: float, above: float) -> None:
    """Gaussians can be turned exactly; the trigonometric interpolant knows them to 1e-7."""
    for angle in (0.3, 2.0):
        away = float((rotated_images(blobs(), angle, mode) - blobs(turned=angle)).abs().max())  # type: ignore[arg-type]
        assert above < away < below
    back = float((rotated_images(blobs(), -0.3) - blobs(turned=0.3)).abs().max())
    assert back > 0.1  # the other sense of rotation is no rounding matter


def test_order_of_interpolation() -> None:
    """Twice the resolution: the error of bilinear interpolation falls about fourfold."""
    small, large = ((rotated_images(blobs(turned=0.0, width=w), 0.5, "bilinear"), w) for w in (2.0, 4.0))
    errors = [float((x - blobs(turned=0.5, width=w))[6:-6, 6:-6].abs().max()) for x, w in (small, large)]
    assert 3 < errors[0] / errors[1] < 6


def test_quarter_turns_and_batches() -> None:
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    quarters = torch.arange(4).double() * math.pi / 2
    for mode in ("nearest", "bilinear", "bicubic", "fourier"):
        exact = GridRotations(mirrors=False).orbit(x)
        assert torch.allclose(rotated_images(x, quarters[:, None, None], mode), exact, atol=1e-12)
    angles = torch.tensor([0.4, -1.0], dtype=torch.float64)
    both = rotated_images(x, angles[:, None])
    singles = torch.stack([rotated_images(x[i], float(a)) for i, a in enumerate(angles)])
    assert torch.allclose(both, singles, atol=1e-14)
    each = rotated_images(x, angles.new_tensor([[0.1, 0.2, 0.3]]))
    assert torch.allclose(each[:, 1], rotated_images(x[:, 1], 0.2), atol=1e-14)
    wide = rotated_images(torch.eye(3, 5).double(), math.pi)
    assert torch.allclose(wide, torch.eye(3, 5).double().flip(0, 1), atol=1e-12)
    assert float(rotated_images(torch.ones(6, 6).double(), 0.8, padding="border").min()) > 1 - 1e-12


def test_disc() -> None:
    assert inscribed_disc(4).tolist() == [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]]
    area = float(inscribed_disc(200).sum()) / 100**2
    assert area == pytest.approx(math.pi, rel=1e-3)
    soft = inscribed_disc(200, 0.8, soft=0.4)
    exact = 2 * math.pi * (0.5 * 0.8**2 - 0.8 * 0.4 / 2 + 0.4**2 * (0.25 - 1 / math.pi**2))
    assert float(soft.sum()) / 100**2 == pytest.approx(exact, rel=1e-3)


def test_the_identity_has_the_error_of_interpolation() -> None:
    found = image_error(lambda x: x, IMAGES, GridRotations(), angles=8)
    assert found.grid.A == 0.0 and found.grid.evaluations == 8
    for floor in (found.identity, found.round_trip):
        torch.testing.assert_close(found.turned.squared, floor.squared, rtol=1e-12, atol=0)
        torch.testing.assert_close(found.turned.deviation, floor.deviation, rtol=1e-10, atol=1e-24)
    assert found.excess < 1e-6 * found.turned.A and not found.resolved
    assert 5e-3 < found.turned.relative < 2e-2
    assert float(found.turned.by_angle[::2].max()) < 1e-12 < 1e-5 < float(found.turned.by_angle[1::2].min())
    assert "not to be told from interpolation" in found.summary()
    assert str(found) == found.summary() and "over 8 angles" in repr(found.turned)
    rough = image_error(lambda x: x, IMAGES, GridRotations(), angles=8, mode="bilinear")
    some = torch.tensor([0.3, 2.0])
    fine = image_error(lambda x: x, IMAGES, GridRotations(), angles=some, mode="fourier")
    assert rough.floor > found.floor and fine.identity.relative < 1e-7


def test_a_planted_derivative_is_measured_exactly() -> None:
    """f = x + b dx with dx = (x(p + e) - x(p - e)) / 2: A^2 = b^2 E |dx|^2 over the directions e that occur."""
    b = 0.3
    model = circular([[0, 0, 0], [-b / 2, 1, b / 2], [0, 0, 0]])
    found = image_error(model, IMAGES, GridRotations(), angles=6, mode="fourier")
    waves = 2 * math.pi * torch.fft.fftfreq(SIZE, dtype=torch.float64)
    power = torch.fft.fft2(IMAGES).abs().square() / SIZE**2

    def exact(directions: Tensor) -> Tensor:
        """By Parseval: dx multiplies the wave k by i sin(k e)."""
        phase = directions.cos()[:, None, None] * waves + directions.sin()[:, None, None] * waves[:, None]
        return b**2 * (power * phase.sin().square().mean(0)).sum((-2, -1))

    quarters = torch.arange(4, dtype=torch.float64) * math.pi / 2
    torch.testing.assert_close(found.grid.squared, exact(quarters), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.turned.squared, exact(found.turned.angles), rtol=1e-7, atol=0)
    assert found.resolved and found.floor < 1e-6 * found.turned.A and "beyond interpolation" in found.summary()
    coarse = image_error(model, IMAGES, GridRotations(), angles=6)
    assert coarse.turned.A > found.turned.A and coarse.excess == pytest.approx(found.turned.A, rel=2e-2)


def test_a_symmetric_kernel_is_lost_in_the_floor() -> None:
    """Smoothing with the symmetries of the square: none broken on the grid, next to nothing off it."""
    smooth = circular([[1 / 16, 1 / 8, 1 / 16], [1 / 8, 1 / 4, 1 / 8], [1 / 16, 1 / 8, 1 / 16]])
    found = image_error(smooth, IMAGES, GridRotations(), angles=8)
    assert found.grid.relative < 1e-14 and not found.resolved
    shifts = GridTranslation(SIZE, SIZE)
    few = equivariance_error(smooth, IMAGES[:1], shifts.group, shifts, shifts, batch=64, measure_floor=False)
    assert few.relative < 1e-14


def test_invariant_outputs() -> None:
    """The mean over pixels is invariant; the value at one pixel is not: its variance over the images of the pixel."""
    mean = image_error(lambda x: x.mean((-2, -1)), IMAGES, angles=8)
    assert mean.grid.relative < 1e-13 and mean.turned.relative < 2e-3
    pixel = image_error(lambda x: x[..., 8, 13], IMAGES, angles=8)
    orbit = GridRotations().orbit(IMAGES)[..., 8, 13]
    torch.testing.assert_close(pixel.grid.squared, orbit.var(0, correction=0), rtol=1e-12, atol=1e-15)
    assert pixel.resolved and pixel.grid.relative > 0.3 and pixel.turned.relative > 0.3
    turned = torch.stack([rotated_images(IMAGES, k * math.pi / 4)[..., 8, 13] for k in range(8)])
    torch.testing.assert_close(pixel.turned.squared, turned.var(0, correction=0), rtol=1e-10, atol=1e-15)


def test_quarter_turns_without_mirror_images() -> None:
    """A swirl of four points commutes with quarter turns and is another one in the mirror."""
    turns = GridRotations(mirrors=False)
    large = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    large[0, 0, 0, 1] = large[0, 0, 1, 4] = large[0, 0, 4, 3] = large[0, 0, 3, 0] = 1.0

    def chiral(x: Tensor) -> Tensor:
        return nn.functional.conv2d(nn.functional.pad(x, (2, 2, 2, 2), mode="circular"), large)

    rough = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = image_error(chiral, rough, turns, angles=3).grid
    assert found.evaluations == 4 and found.relative < 1e-14
    assert image_error(chiral, rough, GridRotations(), angles=3).grid.relative > 0.3


def test_masks_and_smaller_outputs() -> None:
    """Only the pixels inside count: a model that spoils a corner is not noticed under a mask without corners."""
    spoil = torch.zeros(SIZE, SIZE, dtype=torch.float64)
    spoil[0, 0] = 100.0
    narrow = inscribed_disc(SIZE, 0.8)
    found = image_error(lambda x: x + spoil, IMAGES, GridRotations(), angles=8, mask=narrow)
    clean = image_error(lambda x: x, IMAGES, GridRotations(), angles=8, mask=narrow)
    assert found.turned.A == pytest.approx(clean.turned.A, rel=1e-9) and found.grid.relative > 0.5
    pooled = image_error(nn.AvgPool2d(2).eval(), IMAGES, GridRotations(), angles=8)
    assert pooled.grid.relative < 1e-14 and pooled.turned.squared.shape == (2, 1)


@pytest.mark.parametrize(("frequency", "error"), [(1, 0.0), (2, 1.0)])
def test_aliasing_breaks_translations_by_a_known_amount(frequency: int, error: float) -> None:
    """The square of a wave of frequency k on H pixels: exact if 2 k < H / 2, else 2 k comes back as 2 k - H.

    Turned back, that wave of amplitude 1 / 2 keeps the phase H a at angle a: A^2 = H W / 8, and its derivative H.
    Whole pixels don't see it.
    """
    size = 7
    wave = torch.cos(2 * math.pi * frequency * torch.arange(size).double() / size).expand(1, size, size)
    moves, steps = FourierTranslation(size, size), GridTranslation(size, size)
    found = equivariance_error(torch.square, wave, moves.group, moves, moves, degree=2 * size + 1)
    assert float(found.squared[0]) == pytest.approx(error * size**2 / 8, abs=1e-12)
    slope = lie_error(torch.square, wave, moves.group, moves, moves)
    assert slope.mean_square == pytest.approx(error * size**2 * size**2 / 8, abs=1e-9)
    assert equivariance_error(torch.square, wave, steps.group, steps, steps).relative < 1e-14


def test_refusals() -> None:
    images = torch.ones(2, 1, 4, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match="expected square images"):
        image_error(lambda x: x, torch.ones(2, 1, 4, 5))
    with pytest.raises(ValueError, match="expected a model in evaluation mode"):
        image_error(nn.Sequential(nn.Dropout(0.5)), images, GridRotations())
    with pytest.raises(TypeError, match=r"expected rho_out as GridRotations\(\)"):
        image_error(lambda x: x, images, ImageFlip())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one group moves both"):
        image_error(lambda x: x, images, GridRotations(), rho_in=GridRotations(mirrors=False))
    with pytest.raises(ValueError, match="expected angles >= 3, got 2"):
        image_error(lambda x: x, images, angles=2)
    with pytest.raises(ValueError, match="at least two finite angles"):
        image_error(lambda x: x, images, angles=torch.tensor([0.1]))
    with pytest.raises(ValueError, match="expected mask=None for outputs that are no images"):
        image_error(lambda x: x.mean((-2, -1)), images, mask=torch.ones(4, 4))
    with pytest.raises(ValueError, match=r"expected a mask of the shape of the output's pixels, \[4, 4\]"):
        image_error(lambda x: x, images, GridRotations(), mask=torch.ones(5, 5))
    with pytest.raises(ValueError, match="expected mode to be one of nearest, bilinear, bicubic, fourier, got 'cubic'"):
        rotated_images(images, 0.1, "cubic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected padding to be one of"):
        rotated_images(images, 0.1, padding="wrap")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected padding='zeros' for mode='fourier'"):
        rotated_images(images, 0.1, "fourier", "border")
    with pytest.raises(TypeError, match="expected images of a floating dtype, got torch.int64"):
        rotated_images(images.long(), 0.1)
    with pytest.raises(ValueError, match="expected finite angles"):
        rotated_images(images, math.nan)
    with pytest.raises(ValueError, match="expected 0 < radius and 0 <= soft <= radius"):
        inscribed_disc(4, 0.5, soft=0.6)
