"""Sources: every key resolves, every entry is used, and a certificate cites what its numbers rest on."""

import re
from pathlib import Path

import pytest
import torch

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.families import LocationScale
from pyro_symvi.recovery import Certificate
from pyro_symvi.recovery.citations import PACKAGE, references
from pyro_symvi.recovery.theorems import THEOREMS

parse_string = pytest.importorskip("pybtex.database").parse_string  # comes with what builds the documentation
ROOT = Path(__file__).resolve().parents[2]


def keys(text: str) -> set[str]:
    return set(parse_string(text, "bibtex").entries)


def cited_in_docs() -> set[str]:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    return {key.strip() for group in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", pages) for key in group.split(",")}


def test_every_entry_is_used_and_every_key_resolves() -> None:
    of_records = {key for theorem in THEOREMS for key in theorem.keys}
    engines = {"trefethen2014", "vehtari2024", PACKAGE}
    file = parse_string((ROOT / "pyro_symvi/recovery/references.bib").read_text(encoding="utf-8"), "bibtex")
    assert of_records | engines | cited_in_docs() == set(file.entries) == set(references())


def test_keys_agree_with_the_words_of_the_reference() -> None:
    for theorem in THEOREMS:
        for key in theorem.keys:
            name, year = re.fullmatch(r"([a-z]+)(\d{4})", key).groups()  # type: ignore[union-attr]
            words = re.sub("[^a-z0-9]", "", theorem.reference.lower())
            assert name in words and year in words, (theorem.name, key)


def test_the_package_is_cited_as_its_citation_file_says() -> None:
    entry = parse_string(symvi.citation(), "bibtex").entries[PACKAGE]
    told = (ROOT / "CITATION.cff").read_text(encoding="utf-8")

    def plain(text: str) -> str:
        return re.sub(r"[{}\\]", "", text)

    assert f"version: {entry.fields['version']}\n" in told and entry.fields["version"] == symvi.__version__
    assert f'title: "{plain(entry.fields["title"])}"' in told
    assert f'name: "{plain(str(entry.persons["author"][0]))}"' in told


def regression(z: torch.Tensor) -> torch.Tensor:
    """Two slopes, even given log sigma; log sigma is not."""
    x = torch.linspace(-1.0, 1.0, 6, dtype=torch.float64)
    residual = x.square() - z[0] - x * z[1]
    return -6 * z[2] - 0.5 * residual.square().sum() * (-2 * z[2]).exp() - 0.5 * z.square().sum()


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return symvi.certify(symvi.fit(LogDensity.from_callable(regression, 3), LocationScale(3)))


def test_a_certificate_cites_the_theorems_it_used_and_no_others(certificate: Certificate) -> None:
    used = {entry.theorem for entry in certificate["mean"].entries if entry.theorem}
    of_theorems = {key for theorem in THEOREMS if theorem.name in used for key in theorem.keys}
    text = symvi.citation(certificate)
    assert used and of_theorems <= keys(text) <= of_theorems | {PACKAGE, "trefethen2014", "vehtari2024"}
    above = text[: text.index("{vehtari2024")].splitlines()[-2]
    assert above == "% importance weights: mean of z[1]"
    above = text[: text.index("{trefethen2014")].splitlines()[-2]
    assert above == "% theorem 'conditional Gaussian quadrature': mean of z[0], mean of z[2]"


def test_a_certificate_from_a_file_cites_the_same(certificate: Certificate) -> None:
    assert symvi.citation(Certificate.from_json(certificate.to_json())) == symvi.citation(certificate)


def test_only_certificates_are_cited() -> None:
    with pytest.raises(TypeError, match="expected a certificate"):
        symvi.citation("mean")  # type: ignore[arg-type]
