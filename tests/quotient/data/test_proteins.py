"""Protein fragments: real bond lengths, splits by chain, breaks never bridged."""

import builtins
import importlib.util
import sys

import pytest
import torch

from pyro_symvi.quotient.data import FragmentDataset, protein_fragments
from pyro_symvi.quotient.data._proteins import window_starts

shipped = pytest.mark.skipif(
    importlib.util.find_spec("MDAnalysisTests") is None, reason="needs the extra 'proteins' (MDAnalysisTests)"
)


@shipped
def test_fragments_are_real_chains():
    data = protein_fragments(20, stride=7, chains=6)
    assert "MDAnalysisTests" not in sys.modules
    assert len(data.names) == 6 and data.clouds.shape[1:] == (20, 3)
    lengths = data.clouds.diff(dim=1).norm(dim=-1)
    # trans peptides 3.80, cis 2.9 angstrom (Engh and Huber 1991)
    assert lengths.median().item() == pytest.approx(3.80, abs=0.02) and 2.7 < lengths.min() and lengths.max() <= 4.2
    torch.testing.assert_close(data.clouds.mean(1), torch.zeros(len(data), 3), rtol=0, atol=1e-5)
    assert data.context.edges.shape == (6, 20, 20) and data.context.edges[0].sum() == 38


@shipped
def test_all_chains_without_the_copy_and_the_dummy():
    data = protein_fragments(64, stride=64)
    assert len(data.names) == 50 and "1ahsA" in data.names and "1mr1D" in data.names
    assert not {"1mr1D_failing", "wrong_hydrogens"} & set(data.names)


@shipped
def test_residue_types_belong_to_their_windows():
    data = protein_fragments(16, stride=16, chains=["1ahsA", "2xdgA"], residues=True)
    assert data.names[0] == "1ahsA/1-16" and len(data.names) == len(data)
    assert data.context.features.shape == (len(data), 16, 22)
    assert torch.equal(data.context.features[..., 1:].sum(-1), torch.ones(len(data), 16))
    train, test = data.split(0.5, 0.5, seed=1)
    assert isinstance(train, FragmentDataset)
    assert len(set(train.chains())) == len(set(test.chains())) == 1 and set(train.chains()) != set(test.chains())
    assert len(train) + len(test) == len(data)


@shipped
def test_unknown_chains_and_long_windows_are_refused():
    with pytest.raises(ValueError, match=r"names of chains.*9xyzA"):
        protein_fragments(16, chains=["9xyzA"])
    with pytest.raises(ValueError, match="shorter length"):
        protein_fragments(500, chains=2)


def test_windows_never_span_a_break():
    trace = torch.zeros(20, 3, dtype=torch.float64)
    trace[:, 0] = 3.8 * torch.arange(20)
    assert window_starts(trace, 8, 4) == [0, 4, 8, 12]
    trace[11:, 1] += 5
    assert window_starts(trace, 8, 4) == [0, 11]
    assert window_starts(trace, 8, 1) == [0, 1, 2, 3, 11, 12]
    assert window_starts(trace, 12, 1) == []


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pyro-symvi\[proteins\]"):
        protein_fragments(16)


def test_the_extra_of_molecules_is_named_where_it_is_missing(monkeypatch):
    from pyro_symvi.quotient.data import conformer_ensembles

    real = builtins.__import__

    def without(name, *rest, **more):
        if name.split(".")[0] == "rdkit":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pyro-symvi\[molecules\]"):
        conformer_ensembles(["CCO"])
