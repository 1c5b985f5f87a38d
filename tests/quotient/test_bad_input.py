"""Bad input through every public entry: an error that says what was expected, before any work and without a file.

Limits (atoms at one point, on a line, one or two atoms) are in ``test_degenerate_clouds.py``.
"""

import math

import pytest
import torch

from pyro_symvi.cli import main
from pyro_symvi.groups import PointCloudAction, SpecialEuclidean
from pyro_symvi.quotient import CloudDataset, Context, Diffusion, HarmonicPrior
from pyro_symvi.quotient.data import conformer_ensembles, molecules_with, torsion_chains
from pyro_symvi.quotient.files import read_clouds, write_clouds, write_pdb, write_sdf, write_xyz
from pyro_symvi.quotient.laws import ShapeDistribution
from pyro_symvi.quotient.losses import Plain, Quotient
from pyro_symvi.quotient.metrics import rmsd
from pyro_symvi.quotient.networks import EquivariantNetwork, PointTransformer
from pyro_symvi.quotient.oracles import ShapeMixture
from pyro_symvi.quotient.samplers import LangevinCorrector, ODESampler, SDESampler, log_likelihood
from pyro_symvi.quotient.training import load_model, save_model, train

RIGID = Diffusion()
NAN, GOOD, HALF = (
    torch.full((2, 4, 3), math.nan),
    torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)),
    torch.tensor([0.5, 0.5]),
)
MASK = torch.ones(2, 3, dtype=torch.bool)


def networks():
    return [EquivariantNetwork(width=16, layers=1), PointTransformer(width=16, layers=1)]


def still(x, t, context=None):
    return x / 2


def ode(*shape, denoiser=still, context=None, **options):
    return ODESampler(9).sample(RIGID, denoiser, shape, context, **options)


REFUSED = {
    # nan coordinates
    "nan in samplers": (lambda: ode(2, 4, 3, start=NAN), "finite start"),
    "nan in Langevin": (lambda: LangevinCorrector().refine(RIGID, still, NAN, 0.5), "finite x"),
    "nan in likelihoods": (lambda: log_likelihood(RIGID, still, NAN), "finite x"),
    "nan in losses": (lambda: Quotient()(RIGID, still, NAN, HALF), "finite data"),
    "nan in data sets": (lambda: CloudDataset(NAN, torch.zeros(2, dtype=torch.int64), ("a",)), "nan or inf in 2 cloud"),
    "nan in oracles": (lambda: ShapeMixture(NAN), "finite shapes"),
    "nan in laws": (lambda: ShapeDistribution(RIGID, still, 4).log_prob(NAN), "support"),
    "nan in metrics": (lambda: rmsd(NAN, GOOD), "nan or inf in 2 cloud"),
    "nan from a denoiser": (lambda: ode(2, 4, 3, denoiser=lambda x, t, c: x * math.nan), "denoiser failed"),
    "a state that runs away": (lambda: ode(2, 4, 3, denoiser=lambda x, t, c: 1e30 * x), "ran away"),
    "nan in .xyz": (lambda: write_xyz("a.xyz", NAN, ["C"] * 4), "finite coordinates"),
    "nan in .sdf": (lambda: write_sdf("a.sdf", NAN, "CCCC"), "finite coordinates"),
    "nan in .pdb": (lambda: write_pdb("a.pdb", NAN), "finite coordinates"),
    # nothing there
    "empty mask": (lambda: Context(mask=torch.zeros(2, 4, dtype=torch.bool)), "empty mask"),
    "empty mask in metrics": (lambda: rmsd(GOOD, GOOD, torch.zeros(4, dtype=torch.bool)), "empty mask"),
    "no clouds": (
        lambda: train(RIGID, networks()[0], CloudDataset(GOOD[:0], torch.zeros(0, dtype=torch.int64), ())),
        "at least one cloud",
    ),
    "no points": (lambda: ode(2, 0, 3), "\\*batch, N, 3"),
    "no points in networks": (lambda: networks()[0](GOOD[:, :0], HALF), "floating points"),
    "no shapes": (lambda: ShapeMixture(GOOD[:0]), "\\[K, N, d\\]"),
    "one atom in laws": (lambda: ShapeDistribution(RIGID, still, 1), "points >= 2"),
    "one atom in molecules": (lambda: conformer_ensembles(["C"], conformers=1), "single atom"),
    "no molecules": (lambda: conformer_ensembles([], conformers=1), "at least one molecule"),
    "no SMILES": (lambda: conformer_ensembles(["so?"], conformers=1), "SMILES"),
    "no draws": (lambda: torsion_chains(0), "n >= 1"),
    # wrong dimensions
    "plane in space, samplers": (lambda: ode(2, 4, 2), "\\*batch, N, 3"),
    "plane in space, losses": (lambda: Plain()(RIGID, still, GOOD[..., :2], HALF), "data \\[\\*batch, N, 3\\]"),
    "plane in space, networks": (lambda: networks()[1](GOOD[..., :2], HALF), "floating points"),
    "plane in space, oracles": (lambda: ShapeMixture(GOOD[..., :2]).denoiser(RIGID), "\\[K, N, 3\\]"),
    "plane in space, files": (lambda: write_xyz("a.xyz", GOOD[..., :2], ["C"] * 4), "\\[M, N, 3\\]"),
    "other points, oracles": (lambda: ShapeMixture(GOOD).denoiser(RIGID)(GOOD[:, :3], HALF), "as the shapes"),
    "other points, laws": (lambda: ShapeDistribution(RIGID, still, 5).log_prob(GOOD), "event_shape"),
    "other points, context": (lambda: Plain()(RIGID, still, GOOD, HALF, Context(mask=MASK)), "3 points"),
    "other points, samplers": (lambda: ode(2, 4, 3, context=Context(mask=MASK)), "fits"),
    "other points, weights": (
        lambda: Diffusion(PointCloudAction(SpecialEuclidean(3), weights=[1.0, 2.0])).centre(GOOD),
        "2 points",
    ),
    "other points, noise of masses": (
        lambda: Diffusion(PointCloudAction(SpecialEuclidean(3), weights=[1.0, 2.0])).interpolate(GOOD, HALF),
        "2 points",
    ),
    "other points, molecules": (lambda: molecules_with("CCCCC", GOOD), "at least 5 points"),
    "times": (lambda: Plain()(RIGID, still, GOOD, HALF[:1]), "times \\[2\\]"),
    "the end": (lambda: Plain()(RIGID, still, GOOD, 2 * HALF), "\\[0, 1\\)"),
    "a denoiser of one cloud": (lambda: ode(2, 4, 3, denoiser=lambda x, t, c: x[0]), "shape of its points"),
    "a denoiser of nothing": (lambda: RIGID.denoise(lambda x, t, c: None, GOOD, HALF), "got NoneType"),
    "no bonds": (
        lambda: SDESampler(2).sample(Diffusion(prior=HarmonicPrior()), still, (2, 4, 3)),
        "context with edges",
    ),
}
MISTAKEN = {
    "integers in losses": lambda: Plain()(RIGID, still, GOOD.long(), HALF),
    "lists in losses": lambda: Plain()(RIGID, still, GOOD.tolist(), HALF),
    "one number for times": lambda: Plain()(RIGID, still, GOOD, 0.5),
    "no diffusion in losses": lambda: Plain()(None, still, GOOD, HALF),
    "integers in a diffusion": lambda: RIGID.centre(GOOD.long()),
    "integers in samplers": lambda: ode(2, 4, 3, dtype=torch.int64),
    "a number for a shape": lambda: ODESampler(2).sample(RIGID, still, 4),
    "no denoiser": lambda: ode(2, 4, 3, denoiser=None),
    "a mask for a context": lambda: networks()[0](GOOD, HALF, MASK),
    "lists in networks": lambda: networks()[0](GOOD.tolist(), HALF),
    "integers in metrics": lambda: rmsd(GOOD.long(), GOOD.long()),
    "lists in files": lambda: write_pdb("a.pdb", GOOD.tolist()),
    "a string for molecules": lambda: conformer_ensembles("CC"),
    "a word for a loss": lambda: train(RIGID, networks()[0], torsion_chains(2), loss="plain"),
    "a word for a choice": lambda: train(RIGID, networks()[0], torsion_chains(2), rotate="yes"),
    "a function for a network": lambda: train(RIGID, still, torsion_chains(2)),
    "a word for a number": lambda: train(RIGID, networks()[0], torsion_chains(2), learning_rate="fast"),
    "a word for a context": lambda: ode(2, 4, 3, context="chain"),
    "no diffusion in files": lambda: save_model("m.pt", None, networks()[0]),
    "no network in files": lambda: save_model("m.pt", RIGID, None),
    "one string for names": lambda: CloudDataset(GOOD, torch.zeros(2, dtype=torch.int64), "ab"),
    "no diffusion in laws": lambda: ShapeDistribution(None, still, 4),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_values_are_refused(name, tmp_path, monkeypatch):
    call, words = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words):
        call()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", MISTAKEN)
def test_arguments_of_another_kind_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match="expected "):
        MISTAKEN[name]()
    assert not list(tmp_path.iterdir())


FILES = {
    "empty.xyz": b"",
    "cut.xyz": b"3\n\nC 0 0 0\n",
    "nan.xyz": b"1\n\nC 0 nan 0\n",
    "element.xyz": b"1\n\nQq 0 0 0\n",
    "binary.xyz": b"\xff\xfe\x00\x00",
    "packed.xyz.gz": b"not packed",
    "empty.sdf": b"",
    "text.sdf": b"some\ntext\n\n$$$$\n",
    "empty.pdb": b"",
    "columns.pdb": b"ATOM      1  CA  ALA A   1      xx.xxx   1.000   1.000\n",
    "short.pdb": b"ATOM      1  CA  ALA A   1       1.000\n",
    "words.npz": b"words",
    "clouds.doc": b"words",
}


@pytest.mark.parametrize("name", FILES)
def test_unreadable_files_are_named_by_functions_and_commands(name, tmp_path, capsys):
    path = tmp_path / name
    path.write_bytes(FILES[name])
    if name != "words.npz":
        with pytest.raises(ValueError, match=name):
            read_clouds(path)
    for command in (["train", str(path), "--out", str(tmp_path / "model")], ["sample", str(path), "--out", "a.xyz"]):
        assert main(["quotient", *command]) == 2
        said = capsys.readouterr()
        assert name in said.err and said.err.startswith("error: expected") and "Traceback" not in said.err
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_damaged_files_of_our_own_are_named(tmp_path):
    path, network, data = tmp_path / "own.npz", networks()[0], torsion_chains(4)
    path.write_bytes(b"words")
    for read in (
        CloudDataset.load,
        load_model,
        lambda path: train(RIGID, network, data, steps=1, batch_size=2, checkpoint=path),
        lambda path: conformer_ensembles(["CC"], conformers=1, cache=path),
    ):
        with pytest.raises(ValueError, match="own.npz"):
            read(path)
    for read in (CloudDataset.load, load_model, read_clouds):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "missing.xyz")
    assert path.read_bytes() == b"words"


def test_a_single_atom_and_atoms_at_one_point_survive_files(tmp_path):
    write_xyz(tmp_path / "atom.xyz", torch.zeros(1, 1, 3), ["He"])
    assert read_clouds(tmp_path / "atom.xyz").clouds.shape == (1, 1, 3)
    write_sdf(tmp_path / "deep" / "point.sdf", torch.zeros(2, 2, 3), "CC")  # folders are made
    again = read_clouds(tmp_path / "deep" / "point.sdf")
    assert again.names == ("CC",) and again.clouds.abs().max() == 0
    write_clouds(tmp_path / "again.xyz", again)
    assert read_clouds(tmp_path / "again.xyz").clouds.shape == (2, 2, 3)
