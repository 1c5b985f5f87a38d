"""Networks of frames, and what is refused as one."""

import pytest
import torch
from torch import nn

from pyro_symvi.deformable import BackboneNet, SmallNet, UnitFrames, bilateral, frames_of


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_the_small_net_sees_54_pixels_and_halves_the_size() -> None:
    net = SmallNet(1, 2, width=0.1, generator=seeded(0)).eval()
    image = torch.rand(1, 1, 80, 76, generator=seeded(1)).requires_grad_()
    frames = net(image)
    assert frames.shape == (1, 2, 40, 38)
    frames[0, :, 20, 19].sum().backward()
    rows, columns = (image.grad[0, 0].abs() > 0).nonzero().T
    assert 0 < int(rows.min()) and int(rows.max()) < 79 and 0 < int(columns.min())
    # pooled pixels 40 and 41, then 4 + 8 + 8 + 4 pixels at half size and 2 at full size to either side
    assert int(rows.min()) >= 40 - 26 and int(rows.max()) <= 41 + 26 and int(rows.max() - rows.min()) >= 48
    plain = net.body(image.detach() - 0.5)  # the order of the channels in memory is no matter
    assert torch.allclose(plain, frames, atol=1e-6)


def test_the_small_net_is_made_by_its_generator_alone() -> None:
    before = torch.random.get_rng_state()
    one, two = SmallNet(generator=seeded(4)), SmallNet(generator=seeded(4))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert abs(sum(p.numel() for p in one.parameters()) - 334_000) < 2000


def test_unit_frames_have_one_length_and_let_the_symmetry_pass() -> None:
    inner = nn.Conv2d(3, 3, 3, padding=1).double()
    images, element = torch.rand(2, 3, 6, 4, dtype=torch.float64), torch.tensor([1, 0])
    frames = UnitFrames(inner, 7.0)(images)
    assert torch.allclose(frames.norm(dim=1), torch.full((2, 6, 4), 7.0, dtype=torch.float64))
    moved = 7 * nn.functional.normalize(bilateral().on_frames(element, inner(images)), dim=1)
    assert torch.allclose(bilateral().on_frames(element, frames), moved)


def test_a_frozen_backbone_stays_as_it_is() -> None:
    features = nn.Sequential(nn.Conv2d(3, 5, 2, 2), nn.BatchNorm2d(5))
    net = BackboneNet(features, 5, dim=4, freeze=True, generator=seeded(0)).train()
    before = [value.clone() for value in features.state_dict().values()]
    net(torch.rand(2, 3, 8, 6)).sum().backward()
    assert net.training and not features.training and net.head.weight.grad is not None
    assert all(torch.equal(a, b) for a, b in zip(before, features.state_dict().values(), strict=True))
    assert all(p.grad is None for p in features.parameters()) and len(
        [p for p in net.parameters() if p.grad is not None]
    )
    assert not BackboneNet(nn.Conv2d(3, 5, 2, 2), 5).eval().training
    with pytest.raises(ValueError, match=r"expected features \[B, 4, h, w\] from Sequential, got \[2, 5, 4, 3\]"):
        BackboneNet(features, 4)(torch.rand(2, 3, 8, 6))


def test_bytes_are_read_as_floats_in_the_networks_dtype() -> None:
    net, images = nn.Conv2d(3, 3, 2, 2).double(), torch.randint(0, 256, (2, 3, 4, 6), dtype=torch.uint8)
    frames = frames_of(net, images, dim=3)
    assert frames.dtype == torch.float64 and torch.equal(frames, net(images.double() / 255))
    assert torch.equal(frames, frames_of(net, images.double() / 255))


class Gives(nn.Module):
    def __init__(self, what: object) -> None:
        super().__init__()
        self.what = what

    def forward(self, images: torch.Tensor) -> object:
        return self.what


@pytest.mark.parametrize(
    ("network", "images", "error", "words"),
    [
        (Gives(torch.zeros(2, 512)), torch.zeros(2, 3, 4, 4), ValueError, "got \\[2, 512\\].*without its pooling"),
        (Gives(torch.zeros(2, 1, 4, 4)), torch.zeros(2, 3, 4, 4), ValueError, "with D >= 2"),
        (Gives(torch.zeros(1, 3, 4, 4)), torch.zeros(2, 3, 4, 4), ValueError, "expected frames \\[2, D"),
        (Gives((torch.zeros(2, 3, 4, 4),)), torch.zeros(2, 3, 4, 4), TypeError, "got a tuple; try a module around"),
        (Gives(torch.zeros(2, 3, 4, 4).int()), torch.zeros(2, 3, 4, 4), TypeError, "a tensor of torch.int32"),
        (Gives(torch.zeros(2, 4, 4, 4)), torch.zeros(2, 3, 4, 4), ValueError, "dimension 3, .* got 4; try dim=3"),
        (
            Gives(torch.tensor([0.0, torch.nan])[:, None, None, None].expand(2, 3, 4, 4)),
            torch.zeros(2, 3, 4, 4),
            ValueError,
            "nan or inf in those of image 1;",
        ),
        (Gives(None), torch.zeros(3, 4, 4), ValueError, "expected images \\[B, C, H, W\\].*for one image"),
        (Gives(None), torch.zeros(2, 3, 4, 4).int(), TypeError, "images.float\\(\\) / 255"),
        (SmallNet(1, width=0.1), torch.zeros(2, 3, 4, 4), ValueError, "expected images \\[B, 1, H, W\\]"),
        (SmallNet(3, width=0.1), torch.zeros(2, 3, 5, 4), ValueError, "even height and width, got 5 x 4"),
        ("net", torch.zeros(2, 3, 4, 4), TypeError, "expected a torch.nn.Module, got str"),
    ],
)
def test_what_is_no_frame(network: nn.Module, images: torch.Tensor, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        frames_of(network, images, dim=3)
