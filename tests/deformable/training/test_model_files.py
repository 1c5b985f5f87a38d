"""One file from which a frame comes back; nothing in it is run."""

from pathlib import Path

import pytest
import torch

from pyro_symvi.deformable import (
    DistanceLoss,
    FrameLoss,
    FrameModel,
    FrameSymmetry,
    LikelihoodLoss,
    Recipe,
    SmallNet,
    Softmin,
    TrainingStatus,
    UnitFrames,
    bilateral,
    dihedral,
    load_model,
    rotational,
)
from pyro_symvi.deformable.training import Constant, History

from .small import IMAGES, Tiny


def model_of(network: torch.nn.Module, loss: FrameLoss, recipe: Recipe | None = None, **notes: object) -> FrameModel:
    history = History([1.0, 0.5], [2.0, 3.0], {2: {"error": 0.25}}, {"constant": 2.0, "position": 1.0})
    status = TrainingStatus.NOT_FINITE
    recipe = recipe or Recipe(steps=2, schedule=Constant(3), jitter=None)
    return FrameModel(network.eval(), loss.symmetry, recipe, loss, history, 2, status, "because", (3, 16, 16), notes)


LOSSES = [
    FrameLoss(bilateral()),
    FrameLoss(None, DistanceLoss(1.0)),
    FrameLoss(rotational(4), LikelihoodLoss(0.5), Softmin(0.3)),
    FrameLoss(dihedral(3), relaxation=Softmin(), unknown=(0, 1, 2)),
]


def test_the_final_loss_is_that_of_the_last_steps() -> None:
    model = model_of(Tiny(), FrameLoss(bilateral()))
    assert (model.final_loss, model.relative_loss) == (0.75, 0.75)
    model.history.loss[:] = [9.0] * 30 + [2.0] * 10
    assert (model.final_loss, model.relative_loss) == (2.0, 2.0)


@pytest.mark.parametrize("loss", LOSSES, ids=range(len(LOSSES)))
def test_everything_comes_back(tmp_path: Path, loss: FrameLoss) -> None:
    network = SmallNet(width=0.1, generator=torch.Generator().manual_seed(2))
    model = model_of(UnitFrames(network, 5.0) if loss.symmetry else network.double(), loss, unit="pixel", size=[4, 5])
    model.save(tmp_path / "frame.pt")
    back = load_model(tmp_path / "frame.pt")
    assert (back.symmetry, back.loss, back.recipe) == (model.symmetry, loss, model.recipe)
    assert (back.history, back.steps, back.status, back.cause) == (model.history, 2, model.status, "because")
    assert back.image_shape == (3, 16, 16) and back.metadata == {"unit": "pixel", "size": [4, 5]}
    assert torch.equal(back.frames(IMAGES), model.frames(IMAGES)) and not back.network.training
    assert [p.name for p in tmp_path.iterdir()] == ["frame.pt"]


def test_a_network_and_a_law_of_ones_own(tmp_path: Path) -> None:
    class Mine(DistanceLoss):
        pass

    model, path = model_of(Tiny(), FrameLoss(bilateral(), Mine())), tmp_path / "frame.pt"
    model.save(path)
    fresh = Tiny()
    torch.nn.init.zeros_(fresh.body[0].weight)
    back = load_model(path, network=fresh)
    assert torch.equal(back.frames(IMAGES), model.frames(IMAGES)) and not fresh.body[0].weight.any()
    assert back.loss is None and back.recipe == model.recipe
    with pytest.raises(ValueError, match=r"those of a Tiny, .*; try load_model\(path, network=Tiny\("):
        load_model(path)
    with pytest.raises(ValueError, match="expected a model that can be put together"):
        load_model(path, network=Tiny(4))


def test_what_would_need_code_or_cannot_be_read(tmp_path: Path) -> None:
    class Mine(FrameSymmetry):
        pass

    path, network = tmp_path / "frame.pt", Tiny()
    with pytest.raises(TypeError, match="read without running code"):
        model_of(network, FrameLoss(Mine(bilateral().frame))).save(path)
    with pytest.raises(TypeError, match=r"in metadata\['folder'\], got PosixPath"):
        model_of(network, LOSSES[0], folder=Path("a")).save(path)
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        load_model(path)
    model_of(network, LOSSES[0]).save(path)
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="expected a file written by FrameModel.save"):
            load_model(path)
