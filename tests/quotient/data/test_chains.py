"""Chains with known laws: geometry against rdkit-free closed forms, densities against scipy, quadrature, autograd."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pyro_symvi.quotient.data import (
    ChainLaw,
    bent_chains,
    chain_context,
    chain_from_internal,
    chain_internal,
    torsion_chains,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_internal_coordinates_come_back():
    bonds, angles, torsions = ChainLaw(atoms=6).sample_internal(200, generator=seeded())
    clouds = chain_from_internal(bonds, angles, torsions)
    for found, given in zip(chain_internal(clouds), (bonds, angles, torsions), strict=True):
        torch.testing.assert_close(found, given, rtol=0, atol=1e-12)


def test_torsion_has_the_iupac_sign():
    # a at +x of the axis b -> c along z, d turned by +90 degrees clockwise as seen from b: at -y... seen along +z
    a, b, c = [1.0, 0, 0], [0.0, 0, 0], [0.0, 0, 1]
    plus = torch.tensor([a, b, c, [0.0, 1, 1]], dtype=torch.float64)
    assert chain_internal(plus)[2].item() == pytest.approx(math.pi / 2)
    minus = plus * torch.tensor([1.0, -1, 1])
    assert chain_internal(minus)[2].item() == pytest.approx(-math.pi / 2)


def test_torsion_agrees_with_rdkit():
    chem = pytest.importorskip("rdkit.Chem", reason="needs the extra 'molecules'")
    from rdkit.Chem import rdMolTransforms

    mol = chem.MolFromSmiles("CCCC")
    for cloud in ChainLaw().sample(5, generator=seeded(3), dtype=torch.float64):
        conformer = chem.Conformer(4)
        conformer.SetPositions(cloud.numpy())
        expected = rdMolTransforms.GetDihedralRad(conformer, 0, 1, 2, 3)
        assert chain_internal(cloud)[2].item() == pytest.approx(expected, abs=1e-9)
    assert mol.GetNumAtoms() == 4


def test_draws_follow_the_stated_law():
    # 4000 draws: Kolmogorov-Smirnov p-values of a fixed seed, well shares within 4 standard errors (0.008)
    law = ChainLaw(atoms=5, torsion_spread=0.25)
    bonds, angles, torsions = chain_internal(law.sample(4000, generator=seeded(1), dtype=torch.float64))
    assert stats.kstest(bonds.flatten().numpy(), stats.norm(law.bond, law.bond_spread).cdf).pvalue > 0.01
    assert stats.kstest(angles.flatten().numpy(), stats.norm(law.angles[0], law.angle_spread).cdf).pvalue > 0.01
    trans = (torsions.abs() > 2 * math.pi / 3).double().mean(0)
    plus = ((torsions > 0) & (torsions < 2 * math.pi / 3)).double().mean(0)
    torch.testing.assert_close(trans, torch.full((2,), 0.6, dtype=torch.float64), rtol=0, atol=0.032)
    torch.testing.assert_close(plus, torch.full((2,), 0.3, dtype=torch.float64), rtol=0, atol=0.032)
    assert abs(np.corrcoef(torsions.T.numpy())[0, 1]) < 4 / math.sqrt(4000)


@pytest.mark.parametrize("spread", [0.2, 1.5])
def test_torsion_density_integrates_to_one(spread):
    law = ChainLaw(torsion_spread=spread)
    grid = torch.linspace(-math.pi, math.pi, 2001, dtype=torch.float64)[:-1]
    assert law.torsion_log_density(grid).exp().mean().item() * 2 * math.pi == pytest.approx(1, abs=1e-10)


def test_angle_density_agrees_with_scipy():
    law = ChainLaw(atoms=3, angles=(1.2, 2.2), angle_weights=(0.7, 0.3), angle_spread=0.1)
    grid = torch.linspace(0.5, 2.9, 7, dtype=torch.float64)
    expected = 0.7 * stats.norm(1.2, 0.1).pdf(grid) + 0.3 * stats.norm(2.2, 0.1).pdf(grid)
    np.testing.assert_allclose(law.angle_log_density(grid).exp(), expected, rtol=1e-10)


@pytest.mark.parametrize(("atoms", "dimension"), [(3, 2), (3, 3), (4, 3), (5, 3)])
def test_log_density_has_the_jacobian_of_autograd(atoms, dimension):
    law = ChainLaw(atoms=atoms, dimension=dimension)
    internal = torch.cat([part[0] for part in law.sample_internal(1, generator=seeded(2))])
    split = [atoms - 1, atoms - 2, atoms - 3]

    def build(coordinates):
        pose, inner = coordinates[: -len(internal)], coordinates[-len(internal) :]
        cloud = chain_from_internal(*inner.split(split), dimension=dimension)
        spin = torch.zeros(dimension, dimension, dtype=pose.dtype)
        rows, columns = torch.triu_indices(dimension, dimension, 1)
        spin = spin.index_put((rows, columns), pose)
        turned = cloud @ torch.matrix_exp(spin - spin.mT)
        return (turned - turned.mean(-2, keepdim=True)).flatten()

    spins = dimension * (dimension - 1) // 2
    at = torch.cat([torch.zeros(spins, dtype=torch.float64), internal])
    jacobian = torch.autograd.functional.jacobian(build, at)
    volume = 0.5 * torch.linalg.slogdet(jacobian.mT @ jacobian).logabsdet
    poses = math.log(8 * math.pi**2 if dimension == 3 else 2 * math.pi)
    bonds, angles, torsions = internal.split(split)
    expected = law.bond_log_density(bonds).sum() + law.angle_log_density(angles).sum() - poses - volume
    if atoms > 3:
        expected = expected + law.torsion_log_density(torsions).sum()
    torch.testing.assert_close(law.log_density(build(at).reshape(atoms, dimension)), expected)


def test_log_density_of_a_chain_that_bends_to_the_right_is_minus_infinity():
    cloud = ChainLaw(atoms=3, dimension=2).sample(1, generator=seeded())
    law = ChainLaw(atoms=3, dimension=2)
    assert law.log_density(cloud).isfinite().all()
    assert law.log_density(cloud * torch.tensor([1.0, -1.0])).item() == -math.inf


def test_data_sets_carry_the_graph_and_a_seed_fixes_them():
    chains = torsion_chains(50, atoms=5, generator=seeded(4))
    assert torch.equal(chains.clouds, torsion_chains(50, atoms=5, generator=seeded(4)).clouds)
    assert not torch.equal(chains.clouds, torsion_chains(50, atoms=5, generator=seeded(5)).clouds)
    edges = chains.context.edges[0]
    assert edges.sum() == 8 and edges[0, 1] == edges[4, 3] == 1 and edges[0, 4] == 0
    assert torch.equal(chain_context(5).features, chains.context.features)
    flat = bent_chains(20, dimension=2, generator=seeded())
    assert flat.clouds.shape == (20, 3, 2) and (chain_internal(flat.clouds)[1] > 0).all()


def test_poses_are_uniform():
    # E[u u^T] = 1/3 for a uniform direction; 4000 draws, standard error of an entry below 0.005
    clouds = torsion_chains(4000, generator=seeded(6)).clouds
    first = torch.nn.functional.normalize(clouds[:, 1] - clouds[:, 0], dim=-1)
    torch.testing.assert_close(first.T @ first / 4000, torch.eye(3) / 3, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"atoms": 2}, "atoms >= 3"),
        ({"atoms": 4, "dimension": 2}, "dimension 3"),
        ({"torsion_weights": (0.6, 0.3, 0.2)}, "sum to 1"),
        ({"torsion_weights": (1.0,)}, "one weight"),
        ({"bond": 0.1}, "6 bond_spread"),
        ({"angles": (3.1,)}, "inside of"),
        ({"torsion_spread": math.nan}, "torsion_spread"),
    ],
)
def test_impossible_laws_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        ChainLaw(**arguments)
