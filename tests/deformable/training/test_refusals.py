"""What training is refused for, before its first step."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pyro_symvi.deformable import FrameLoss, FrameSymmetry, Recipe, bilateral, half_turn, train_frame
from pyro_symvi.deformable.training import Constant
from pyro_symvi.groups import Cyclic, MatrixRepresentation

from .small import IMAGES, Tiny

FLOATS = IMAGES.float() / 255


class Flat(Tiny):
    """One vector for each image."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(images).mean((2, 3), keepdim=True)


class Cut(Tiny):
    """Without gradients."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(images).detach()


QUARTERS = torch.tensor([[1.0, 0], [0, 1], [0, -1], [1, 0], [-1, 0], [0, -1], [0, 1], [-1, 0]]).double().view(4, 2, 2)
TURNS = FrameSymmetry(
    MatrixRepresentation(Cyclic(4), torch.stack([torch.block_diag(q, torch.ones(1, 1)) for q in QUARTERS])),
    MatrixRepresentation(Cyclic(4), QUARTERS),
)
SICK = FLOATS.clone()
SICK[2, 1, 0, 0] = torch.inf


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"images": IMAGES[:1]}, ValueError, "at least 2 images, got 1"),
        ({"images": [IMAGES[0], IMAGES[1, :, 1:]]}, ValueError, "of one size, got list.*load_images"),
        ({"images": IMAGES[:, 0]}, ValueError, r"got \[6, 16, 16\]; try images\[:, None\]"),
        ({"images": IMAGES.numpy()}, ValueError, "got ndarray; try torch.from_numpy"),
        ({"images": IMAGES.permute(0, 2, 3, 1)}, ValueError, r"come last; try images.permute\(0, 3, 1, 2\)"),
        ({"images": IMAGES[:1].expand(3, -1, -1, -1)}, ValueError, "images that differ, got 3 times the same"),
        ({"network": Flat()}, ValueError, "2 x 2 cells or more from Flat, got 1 x 1"),
        ({"network": Cut()}, ValueError, "depend on the parameters of Cut"),
        ({"evaluate": 3}, TypeError, "evaluate as a function"),
        ({"evaluate": lambda model, step: None}, TypeError, "evaluate to return a dictionary"),
        ({"images": IMAGES.int()}, TypeError, "bytes \\(uint8\\) or floats, got torch.int32"),
        ({"images": 255 * FLOATS}, ValueError, r"floats in \[0, 1\], got values from 0 to 255"),
        ({"images": SICK}, ValueError, "nan or inf in image 2"),
        ({"images": torch.rand(6, 3, 1, 1).expand(6, 3, 16, 16)}, ValueError, "but of a single colour"),
        ({"images": IMAGES[:, :, :14], "symmetry": TURNS}, ValueError, "square images, got 14 x 16"),
        ({"mask": torch.ones(6, 8, 8).bool()}, ValueError, r"mask \[6, 16, 16\] of bool, got \[6, 8, 8\]"),
        ({"mask": torch.ones(6, 16, 16)}, ValueError, "of torch.float32; try mask > 0.5"),
        ({"mask": torch.arange(6)[:, None, None].expand(6, 16, 16) % 4 != 1}, ValueError, "nothing in image 1, 5"),
        ({"network": Tiny(4)}, ValueError, "frames of dimension 3, on which the symmetry acts, got 4"),
        ({"network": torch.nn.Identity()}, ValueError, "parameters to train, got Identity"),
        ({"network": Tiny}, TypeError, "expected a torch.nn.Module, got type"),
        ({"symmetry": "bilateral"}, TypeError, "expected a FrameSymmetry, got 'bilateral'"),
        ({"loss": FrameLoss(half_turn())}, ValueError, "expected a loss with the symmetry"),
        ({"loss": FrameLoss()}, ValueError, r"got FrameLoss\(.*flip_probability=0"),
        ({"loss": torch.nn.MSELoss()}, TypeError, "expected a FrameLoss or a PairLoss"),
        ({"recipe": {"steps": 3}}, TypeError, "expected a Recipe"),
        ({"checkpoint": Path(__file__).parent}, ValueError, "to be a file, got the folder"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every >= 1, got 0"),
        ({"evaluate_every": 1.5}, TypeError, "evaluate_every to be an int"),
        ({"progress": "yes"}, TypeError, "progress as True, False or a function"),
    ],
)
def test_arguments(changed: dict[str, Any], error: type[Exception], words: str) -> None:
    given: dict[str, Any] = {"images": IMAGES, "symmetry": bilateral(), "network": Tiny(), "recipe": Recipe(steps=1)}
    with pytest.raises(error, match=words):
        train_frame(**{**given, **changed})


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"steps": 0}, ValueError, "steps >= 1"),
        ({"batch_size": 2.0}, TypeError, "batch_size to be an int"),
        ({"settle": -1}, ValueError, "settle >= 0"),
        ({"learning_rate": 0}, ValueError, "learning_rate > 0"),
        ({"learning_rate": "1e-3"}, TypeError, "learning_rate as a number"),
        ({"weight_decay": -1.0}, ValueError, "weight_decay >= 0"),
        ({"gradient_clip": 1.0}, ValueError, "gradient_clip > 1"),
        ({"flip_probability": 1.5}, ValueError, r"flip_probability in \[0, 1\]"),
        ({"schedule": "cosine"}, TypeError, "schedule to be a Schedule"),
        ({"warps": 0.1}, TypeError, "warps to be a RandomWarps"),
        ({"padding": "wrap"}, ValueError, "padding border, reflection or zeros"),
    ],
)
def test_recipes(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Recipe(**options)


def test_a_run_may_be_prolonged_where_the_schedule_has_no_end_but_not_shortened(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    for steps in (1, 2):
        recipe = Recipe(steps=steps, batch_size=2, schedule=Constant(), settle=0)
        assert train_frame(IMAGES, None, Tiny(), recipe=recipe, checkpoint=path).steps == steps
    with pytest.raises(ValueError, match="expected steps of at least 2, got 1"):
        train_frame(
            IMAGES, None, Tiny(), recipe=Recipe(steps=1, batch_size=2, schedule=Constant(), settle=0), checkpoint=path
        )


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_that_are_switched_off_outside_are_on_inside(off: Any) -> None:
    recipe = Recipe(steps=1, batch_size=2, settle=0)
    expected = train_frame(IMAGES, bilateral(), Tiny(), recipe=recipe)
    with off():
        found = train_frame(IMAGES.clone(), bilateral(), Tiny(), recipe=recipe)
        assert torch.is_grad_enabled() is False
    assert found.history.loss == expected.history.loss
    assert torch.equal(found.frames(IMAGES), expected.frames(IMAGES))
    with pytest.raises(ValueError, match="values from 0 to 255"):
        found.frames(IMAGES.float())
    with pytest.raises(TypeError, match="try torch.as_tensor"):
        found.frames(IMAGES.numpy())  # type: ignore[arg-type]
