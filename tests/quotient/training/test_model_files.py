"""One file from which a sampler comes back; nothing in it is run."""

from pathlib import Path

import pytest
import torch

from pyro_symvi import _weight_files
from pyro_symvi.groups import Conjugation, PointCloudAction, SpecialEuclidean, SpecialOrthogonal
from pyro_symvi.quotient import Diffusion, GaussianPrior, HarmonicPrior, Linear, Trigonometric
from pyro_symvi.quotient.networks import EquivariantNetwork, PointTransformer
from pyro_symvi.quotient.samplers import ODESampler
from pyro_symvi.quotient.training import load_model, save_model

from . import training_worker

DIFFUSIONS = [
    Diffusion(),
    Diffusion(interpolant=Trigonometric(), prior=GaussianPrior(2.5)),
    Diffusion(interpolant=Linear(bridge=0.3), prior=HarmonicPrior(0.7)),
    Diffusion(PointCloudAction(SpecialOrthogonal(2))),
    Diffusion(PointCloudAction(SpecialEuclidean(3), weights=torch.tensor([12.0, 1.0, 16.0]))),
    Diffusion(Conjugation(3)),
]


@pytest.mark.parametrize("diffusion", DIFFUSIONS, ids=range(len(DIFFUSIONS)))
def test_every_diffusion_comes_back_equal(tmp_path: Path, diffusion: Diffusion) -> None:
    save_model(tmp_path / "model.pt", diffusion, torch.nn.Linear(2, 2))
    assert load_model(tmp_path / "model.pt", network=torch.nn.Linear(2, 2)).diffusion == diffusion


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sampler_comes_back(tmp_path: Path, dtype: torch.dtype) -> None:
    """From the file alone, through ``torch.load(weights_only=True)``: the same draws, bit for bit."""
    network = EquivariantNetwork(width=16, layers=1, seed=1).to(dtype)
    average = EquivariantNetwork(width=16, layers=1, seed=1).to(dtype)
    for p in average.parameters():
        torch.nn.init.normal_(p, generator=torch.Generator().manual_seed(2))
    metadata = {"unit": "angstrom", "names": ["butane", "pentane"], "scale": 1.5, "seen": torch.arange(3)}
    path = tmp_path / "model.pt"
    save_model(path, Diffusion(), network, ema=average, metadata=metadata)
    assert set(torch.load(path, weights_only=True)) >= {"diffusion", "config", "network", "ema", "metadata"}
    saved = load_model(path)
    assert torch.equal(saved.metadata.pop("seen"), metadata.pop("seen")) and saved.metadata == metadata
    assert saved.network.config == network.config and not saved.ema.training

    def draws(denoiser: torch.nn.Module) -> torch.Tensor:
        start = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(3), dtype=dtype)
        return ODESampler(5).sample(saved.diffusion, denoiser, (5, 4, 3), start=start)

    assert torch.equal(draws(saved.network), draws(network)) and torch.equal(draws(saved.ema), draws(average))
    assert not torch.equal(draws(saved.ema), draws(saved.network))


def test_without_an_average_the_network_stands_for_it(tmp_path: Path) -> None:
    save_model(tmp_path / "model.pt", Diffusion(), PointTransformer(width=16, layers=1, heads=2))
    saved = load_model(tmp_path / "model.pt")
    assert saved.ema is saved.network and saved.metadata == {} and isinstance(saved.ema, PointTransformer)


def test_a_network_of_ones_own(tmp_path: Path) -> None:
    path, network = tmp_path / "model.pt", training_worker.Plain()
    save_model(path, Diffusion(), network)
    mine = training_worker.Plain()
    torch.nn.init.zeros_(mine.last.bias)
    saved = load_model(path, network=mine)
    assert torch.equal(saved.network.last.bias, network.last.bias) and not torch.equal(
        mine.last.bias, network.last.bias
    )
    with pytest.raises(ValueError, match=r"no config to be made from; try load_model\(path, network=Plain"):
        load_model(path)
    with pytest.raises(ValueError, match="expected a model that can be put together"):
        load_model(path, network=torch.nn.Linear(2, 2))


def test_what_would_need_code_is_refused_when_written(tmp_path: Path) -> None:
    class Mine(GaussianPrior):
        pass

    network, path = torch.nn.Linear(2, 2), tmp_path / "model.pt"
    with pytest.raises(TypeError, match="read without running code"):
        save_model(path, Diffusion(prior=Mine()), network)
    with pytest.raises(
        TypeError, match=r"strings, tensors, lists and dictionaries in metadata\['where'\], got PosixPath"
    ):
        save_model(path, Diffusion(), network, metadata={"where": Path("a")})
    assert not path.exists()


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with pytest.raises(FileNotFoundError):
        load_model(path)
    save_model(path, Diffusion(), EquivariantNetwork(width=16, layers=1))
    whole = path.read_bytes()
    for content in (b"", b"not a model", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="expected a file written by save_model"):
            load_model(path)
    path.write_bytes(whole)
    with pytest.raises(AttributeError):  # a tensor that cannot be written leaves the old file, and nothing beside it
        _weight_files.write({"x": lambda: None}, path)
    assert path.read_bytes() == whole and [p.name for p in tmp_path.iterdir()] == ["model.pt"]
    torch.save({"format": "pyro_symvi.quotient checkpoint 1"}, path)
    with pytest.raises(ValueError, match="of format 'pyro_symvi.quotient checkpoint 1'"):
        load_model(path)
    path.write_bytes(whole)
    changed = torch.load(path, weights_only=True)
    changed["diffusion"]["prior"]["value"] = "SomethingElse"
    torch.save(changed, path)
    with pytest.raises(ValueError, match="expected the name of a value"):
        load_model(path)
