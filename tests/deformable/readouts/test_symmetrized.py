"""Images made by way of the frame: closed forms on posed drawings, rendered figures, and what is left alone."""

import pytest
import torch

from pyro_symvi.deformable import Flower, TwoArmFigure, bilateral, reposed_image, rotational, symmetrized_image
from pyro_symvi.deformable._points import values_at


def painted(frames, sign=1.0):
    """A smooth drawing on the object, seen in the pose of frames: a function of the place, mirrored by sign -1."""
    a, b = sign * frames[:, 0] / 0.55, frames[:, 1] / 0.55
    return torch.stack([0.5 + 0.3 * (2 * a).sin() + 0.1 * b, 0.4 + 0.2 * a * b, 0.5 + 0.2 * (3 * b + a).cos()], 1)


def inner(true, side=24):
    return (true.abs() < 0.85).all(-1).unflatten(-1, (side, side))[:, None]


def test_the_symmetric_part_of_the_appearance_in_the_same_pose(posed) -> None:
    frames, true = posed(3)
    images = painted(frames)
    found = symmetrized_image(images, frames, bilateral())
    wanted = (painted(frames) + painted(frames, -1)) / 2
    good = inner(true)
    assert float(((found - wanted) * good).abs().max()) < 0.01
    assert float(((found - images) * good).abs().max()) > 0.2
    flipped = (images + images.flip(-1)) / 2  # the mean with the mirror image is another thing
    assert float(((flipped - wanted) * good).abs().max()) > 0.1


def test_an_object_in_the_pose_of_another_and_with_sides_exchanged(posed) -> None:
    frames, true = posed(3)
    other = frames.roll(1, 0)
    good = (inner(true) & inner(true).roll(1, 0))[..., 3:-3, 3:-3]
    found = reposed_image(painted(frames), frames, other)[..., 3:-3, 3:-3]
    assert float(((found - painted(other)[..., 3:-3, 3:-3]) * good).abs().max()) < 0.02
    swapped = reposed_image(painted(frames), frames, frames, bilateral(), 1)
    assert float(((swapped - painted(frames, -1)) * inner(true)).abs().max()) < 0.01
    turns = rotational(4)
    turned = painted(turns.on_frames(torch.ones(3, dtype=torch.long), frames))  # R_1 Phi(v), not its inverse
    middle = (frames[:, :2].norm(dim=1) < 0.3)[:, None]
    assert float(((reposed_image(painted(frames), frames, frames, turns, 1) - turned) * middle).abs().max()) < 0.02
    finer = reposed_image(painted(frames), frames, other, size=(48, 36))
    assert finer.shape == (3, 3, 48, 36)


def test_rendered_figures_and_flowers_become_symmetric() -> None:
    for scene in (TwoArmFigure(size=24), Flower(3, size=24)):
        shown = scene.render(2, generator=torch.Generator().manual_seed(1))
        found = symmetrized_image(shown.images, shown.frame, shown.symmetry)
        known = ~torch.isnan(shown.partners[1]).any(-1)

        def unlike(images, shown=shown, known=known):
            there = values_at(images, shown.partners[1].nan_to_num(0.0).to(images))
            return float((images.flatten(2) - there).abs().mean(1)[known].mean())

        assert unlike(found) < 0.5 * unlike(shown.images)
        off = ~shown.visible[:, None].expand_as(found)
        assert torch.equal(found[off], shown.images[off])  # the background keeps its values


def test_hidden_partners_are_left_out(posed) -> None:
    frames, true = posed(2)
    images = painted(frames)
    hidden = torch.zeros(24, 24, dtype=torch.bool)
    hidden[:, 14:] = True  # most of one side cannot be seen
    veiled = torch.where(hidden, torch.nan, frames)
    careful = symmetrized_image(images, veiled, bilateral())
    alone = (true[..., 0] > 0.4).unflatten(-1, (24, 24)) & ~hidden  # partners lie well inside what is hidden
    kept = (careful - images).abs().amax(1) < 1e-12
    assert float(kept[alone].double().mean()) > 0.9  # not all: some places that are seen lie near
    reckless = symmetrized_image(images, veiled, bilateral(), tolerance=None)
    assert float(((reckless - images).abs().amax(1) > 1e-12)[alone].double().mean()) > 0.95
    mask = torch.zeros(2, 24, 24, dtype=torch.bool)
    assert torch.equal(symmetrized_image(images, frames, bilateral(), mask=mask), images)
    shown = reposed_image(images, frames, veiled, background=0.25)
    assert bool((shown[:, :, hidden] == 0.25).all())
    behind = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(reposed_image(images, frames, frames, mask=mask, background=behind), behind)


def test_arguments_are_checked(posed) -> None:
    frames, _ = posed(2, side=8)
    with pytest.raises(ValueError, match="B, C, H, W"):
        symmetrized_image(torch.zeros(1, 3, 8, 8), frames, bilateral())
    with pytest.raises(ValueError, match="mask"):
        symmetrized_image(torch.zeros(2, 3, 8, 8), frames, bilateral(), mask=torch.ones(8, 8))
    with pytest.raises(ValueError, match="element from 0 to 1"):
        reposed_image(torch.zeros(2, 3, 8, 8), frames, frames, bilateral(), 2)
