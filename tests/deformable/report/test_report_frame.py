"""What is said of frames whose knowledge is known: nothing, the place in the picture, the object, its symmetry."""

import torch
from torch import nn

from pyro_symvi.deformable import FrameModel, Recipe, bilateral, dihedral, rotational
from pyro_symvi.deformable.losses import FrameLoss, Minimum, Softmin
from pyro_symvi.deformable.report import FrameVerdict, Matching, report_frame
from pyro_symvi.deformable.report._verdict import verdict_of
from pyro_symvi.deformable.training import History, TrainingStatus

SIDE = 16


def painted(count=3):
    """Objects in the middle: red is |x|, green is y, both as they are on the object; blue tells object from rest."""
    ticks = (2 * torch.arange(SIDE) + 1) / SIDE - 1
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    image = torch.stack([x.abs(), (y + 1) / 2, torch.ones_like(x)])
    return image.expand(count, 3, SIDE, SIDE).clone()


class Known(nn.Module):
    """A frame that is written down: of the place in the picture, or of the colours, with or without the side."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.one, self.calls = kind, nn.Parameter(torch.ones(())), 0

    def forward(self, images):
        small = nn.functional.avg_pool2d(images, 2)
        shape = small[:, 0].shape
        ticks = (2 * torch.arange(shape[-1]) + 1) / shape[-1] - 1
        across, down = ticks.expand(shape), ticks[:, None].expand(shape)
        if self.kind == "constant":
            return self.one * torch.ones(shape[0], 3, *shape[1:])
        if self.kind == "noise":
            return self.one * torch.randn(shape[0], 3, *shape[1:], generator=torch.Generator().manual_seed(1))
        if self.kind == "edges":
            shown = small[:, 2].flatten(1)
            shown = shown / shown.sum(1, keepdim=True)
            x, y = (c - 2 * (shown * c.flatten(1)).sum(1)[:, None, None] for c in (across, down.expand(shape)))
            return self.one * nn.functional.normalize(torch.stack([x, y, torch.ones_like(x)], 1), dim=1)
        if self.kind == "blob":
            return self.one * 5 * nn.functional.pad(small[:, 2:], (0, 0, 0, 0, 2, 0))
        if self.kind == "hue":
            small = torch.stack([2 * small[:, 0] - 1, small[:, 1]], 1)
        x, y = (across, down) if self.kind == "place" else (small[:, 0], 2 * small[:, 1] - 1)
        if self.kind in ("sides", "turned"):  # the side from the place in the picture of the darkest red
            dark = (-60 * small[:, 0]).flatten(1).softmax(-1).unflatten(-1, shape[1:])
            middle = (dark * across).sum(-1, keepdim=True)  # of each row, so that turned objects have theirs
            middle = middle / dark.sum(-1, keepdim=True).clamp_min(1e-9)
            x = x * (across - middle).sign()
        if self.kind == "turned":  # by half a turn in every other batch
            self.calls += 1
            x, y = (-1) ** self.calls * x, (-1) ** self.calls * y
        return self.one * nn.functional.normalize(torch.stack([1.5 * x, 1.5 * y, torch.ones_like(x)], 1), dim=1)


def reported(kind, symmetry=None, images=None, loss=None, mask=None, padding="border"):
    symmetry = bilateral() if symmetry is None else symmetry
    recipe = Recipe(jitter=None, padding=padding)
    model = FrameModel(
        Known(kind), symmetry, recipe, loss, History(), 0, TrainingStatus.FINISHED, None, (3, SIDE, SIDE)
    )
    images = painted() if images is None else images
    mask = torch.ones(len(images), SIDE, SIDE, dtype=torch.bool) if mask is None else mask
    return report_frame(model, images, mask=mask, pairs=12)


def test_frames_that_know_nothing_are_never_said_to_be_symmetric():
    for kind in ("constant", "noise"):
        found = reported(kind)
        assert found.verdict is FrameVerdict.COLLAPSED and not found.verdict.learnt
        assert float(found.still.frame.mean()) > 0.85 * float(found.still.chance.mean())
        assert "collapsed" in found.to_text()


def test_the_place_in_the_picture_is_not_taken_for_the_object():
    found = reported("place")
    assert found.verdict is FrameVerdict.NOT_LEARNT
    # it passes all that only asks for consistency, to the half cell at the border that refinement cannot see past
    assert float(found.cycle.max()) < 0.8 and float(found.flip.max()) < 0.01 and found.residual < 1e-3
    assert float(found.from_mirror.max()) < 0.6 < 4 < float(found.from_self.max())
    torch.testing.assert_close(found.still.frame, found.still.position, atol=0.2, rtol=0)
    assert abs(float(found.still.followed.mean())) < 0.05
    # and goes to the mirrored place in mirror images, which is what the baseline does
    torch.testing.assert_close(found.moved.frame, found.moved.position, atol=0.2, rtol=0)
    assert abs(float(found.moved.followed.mean())) < 0.05


def test_a_frame_of_the_object_follows_and_one_without_sides_is_no_symmetric_one():
    sides, blind = reported("sides"), reported("colours")
    assert sides.verdict is FrameVerdict.SYMMETRIC
    assert float(sides.still.followed.mean()) > 0.9 and float(sides.moved.followed.mean()) > 0.9
    assert float(sides.moved.frame.mean()) < 1.0 < 2.0 < float(sides.moved.position.mean())
    # without sides, every place is found at itself or at its partner: half the distance between them on average
    assert blind.verdict in (FrameVerdict.COLLAPSED, FrameVerdict.NOT_LEARNT)
    assert blind.residual > 5 * sides.residual


def test_symmetries_that_leave_images_alone_are_not_measured_in_mirror_images():
    found = reported("sides", rotational(2), loss=FrameLoss(rotational(2), relaxation=Minimum()))
    assert found.verdict is FrameVerdict.FOLLOWS
    assert found.moved is None and found.flip is None and found.residual is None and found.cycle is not None
    assert found.element == 1
    assert "mirror" not in found.to_text().split("\n\n")[1]
    relaxed = FrameLoss(rotational(2), relaxation=Minimum())
    assert reported("turned", rotational(2), loss=relaxed).verdict is FrameVerdict.FOLLOWS
    assert not reported("turned", rotational(2)).verdict.learnt  # the pose was not open


def test_the_mask_tells_what_counts_and_images_are_told_apart():
    mask = torch.zeros(3, SIDE, SIDE, dtype=torch.bool)
    mask[1:, :, :4] = mask[1:, :, -4:] = True  # three quarters of the side apart on average; nothing of the first image
    found = reported("place", mask=mask)
    assert abs(float(found.from_self[1:].mean()) - 0.75 * SIDE) < 0.7 and found.from_self.isnan().tolist()[0]
    assert found.still.frame.shape == (2,) and bool(found.still.frame.isfinite().all())
    images = painted()
    images[1] = images[1].flip(0).roll(5, -1) * 0.2  # another thing
    errors = reported("sides", images=images).still.frame
    assert float(errors[1]) > 2 * float(errors[[0, 2]].max())


def test_a_relaxation_does_not_forget_which_images_were_mirrored():
    """A frame of colours that a mirror image keeps: Phi(M u; M I) = Phi(u; I), no symmetry, whatever turns are open."""
    sided = painted()
    sided[:, 0] = (torch.arange(SIDE) + 0.5) / SIDE
    symmetry = dihedral(2)
    found = reported("hue", symmetry, sided, FrameLoss(symmetry, relaxation=Softmin(0.1)))
    assert found.verdict is FrameVerdict.NOT_SYMMETRIC
    assert float(found.moved.other.max()) < 1 < 4 < float(found.moved.frame.min())


def test_knowing_where_a_small_object_is_is_not_knowing_its_places():
    count, small = 3, slice(6, 10)
    images, mask = torch.zeros(count, 3, SIDE, SIDE), torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    images[:, :, small, small], mask[:, small, small] = 1, True
    for symmetry in (bilateral(), rotational(2)):
        assert reported("blob", symmetry, images, mask=mask).verdict is FrameVerdict.NOT_LEARNT


def test_following_the_edges_of_the_picture_is_not_following_an_object():
    """What lies outside an image is black, so that its middle tells how far any image was shifted, even noise."""
    noise = torch.rand(6, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    noise[:, 2] = 1
    assert reported("edges", images=noise, padding="zeros").verdict is FrameVerdict.EDGES


def test_the_verdict_needs_images_that_agree():
    base, chance = torch.tensor([4.0, 4.0, 4.0]), torch.tensor([12.0, 12.0, 12.0])
    wins = Matching(torch.tensor([1.0, 1.1, 0.9]), base, chance, None, base)
    doubtful = Matching(torch.tensor([0.1, 0.2, 8.0]), base, chance, None, base)
    partly = Matching(torch.tensor([2.5, 2.6, 2.4]), base, chance, 3 * base, base)
    assert verdict_of(wins, None) is FrameVerdict.FOLLOWS and verdict_of(wins, wins) is FrameVerdict.SYMMETRIC
    assert verdict_of(doubtful, wins) is FrameVerdict.NOT_LEARNT
    assert verdict_of(wins, doubtful) is FrameVerdict.NOT_SYMMETRIC
    assert verdict_of(wins, partly) is verdict_of(partly, wins) is verdict_of(partly, None) is FrameVerdict.PARTLY
    for other, verdict in (
        (1.0, FrameVerdict.UNRESOLVED),
        (1.9, FrameVerdict.PARTLY),
        (0.5, FrameVerdict.NOT_SYMMETRIC),
    ):
        mirrored = Matching(wins.frame, base, chance, None, base, None, other * wins.frame)
        assert verdict_of(wins, mirrored) is verdict
    one = Matching(*(values[:1] for values in (wins.frame, base, chance)), None, base[:1])
    assert verdict_of(one, one) is verdict_of(one, None) is FrameVerdict.TOO_FEW
    middle = Matching(wins.frame, base, chance, None, base, 1.1 * wins.frame)  # a small object that was found
    assert verdict_of(middle, wins) is FrameVerdict.NOT_LEARNT
    new = Matching(wins.frame, base, chance, wins.frame, base)  # an untrained network does as well
    assert verdict_of(new, wins) is FrameVerdict.NOT_LEARNT
    gain, error = wins.gain()
    assert abs(gain - 0.75) < 1e-6 and abs(error - 0.1 / 4 / 3**0.5) < 1e-6
    uneven = torch.tensor([1.0, 2.0, 6.0])
    gain, error = Matching(uneven / 2, uneven, chance, None, base).gain()  # as much better on each image: no doubt
    assert abs(gain - 0.5) < 1e-6 and error < 1e-6
