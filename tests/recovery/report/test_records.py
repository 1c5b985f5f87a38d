"""Certificates as data: the schema, reading back, and verification against changed models, data and records."""

from __future__ import annotations

import copy
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.guides import AutoLocationScale
from pyro_symvi.recovery import Certificate, certify
from tests.recovery.targets import certify_at, skew_normal

BOTH = ("mean", "median", "correlation")
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(30, 2, generator=GENERATOR, dtype=torch.float64)
Y = X @ torch.tensor([1.0, -0.5], dtype=torch.float64) + torch.randn(30, generator=GENERATOR, dtype=torch.float64)


def regression(x: torch.Tensor, y: torch.Tensor) -> None:
    beta = pyro.sample("beta", dist.ImproperUniform(dist.constraints.real_vector, (), (2,)))
    sigma = pyro.sample("sigma", dist.LogNormal(0.0, 1.0))
    pyro.sample("y", dist.Normal(x @ beta, sigma).to_event(1), obs=y)


def another(x: torch.Tensor, y: torch.Tensor) -> None:
    beta = pyro.sample("beta", dist.ImproperUniform(dist.constraints.real_vector, (), (2,)))
    sigma = pyro.sample("sigma", dist.LogNormal(0.0, 1.001))
    pyro.sample("y", dist.Normal(x @ beta, sigma).to_event(1), obs=y)


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    pyro.clear_param_store()
    return certify(symvi.fit(regression, AutoLocationScale(regression), X, Y), statistics=BOTH)


# -- the schema: the part of JSON Schema that it uses ----------------------------------------------------------------

TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "null": type(None)}


def errors(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "$") -> list[str]:
    if "$ref" in schema:
        return errors(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, at)
    found = []
    if "anyOf" in schema:
        return [] if any(not errors(value, s, root, at) for s in schema["anyOf"]) else [f"{at}: none of anyOf"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: not {schema['const']}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} not in {schema['enum']}")
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(of_kind(value, kind) for kind in kinds):
        return [*found, f"{at}: {value!r} is no {kinds}"]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{at}: no {key}" for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            beside = properties.get(key, schema.get("additionalProperties", True))
            if beside is False:
                found.append(f"{at}: unexpected {key}")
            elif isinstance(beside, dict):
                found += errors(item, beside, root, f"{at}.{key}")
    if isinstance(value, list):
        found += [f"{at}: too short"] if len(value) < schema.get("minItems", 0) else []
        found += [e for k, item in enumerate(value) for e in errors(item, schema.get("items", {}), root, f"{at}[{k}]")]
    if isinstance(value, int) and value < schema.get("minimum", value):
        found.append(f"{at}: {value} too small")
    return found


def of_kind(value: Any, kind: str) -> bool:
    if kind in ("number", "integer"):
        is_number = isinstance(value, int if kind == "integer" else (int, float))
        return is_number and not isinstance(value, bool)
    return isinstance(value, TYPES[kind])


def schema() -> dict[str, Any]:
    text = resources.files("pyro_symvi.recovery.report").joinpath("schema.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def test_records_follow_the_schema(certificate: Certificate) -> None:
    rules = schema()
    refuted = certify_at(skew_normal(5.0), [4.0], statistics=("mean", "median"))
    for made in (certificate, refuted, certify(LogDensity.from_model(regression, X, Y))):
        record = json.loads(made.to_json())
        assert errors(record, rules, rules) == []
    assert errors({**record, "wrapped": 1}, rules, rules) == []


@pytest.mark.parametrize("key", ["format", "provenance", "statistics", "region"])
def test_the_schema_refuses_what_is_missing(certificate: Certificate, key: str) -> None:
    rules, record = schema(), certificate.to_dict()
    del record[key]
    assert errors(record, rules, rules) == [f"$: no {key}"]


def test_the_schema_refuses_an_unknown_verdict(certificate: Certificate) -> None:
    rules, record = schema(), json.loads(certificate.to_json())
    record["statistics"]["mean"]["entries"][0]["verdict"] = "TRUE"
    assert any("'TRUE' not in" in e for e in errors(record, rules, rules))


# -- reading back ----------------------------------------------------------------------------------------------------


def test_a_saved_certificate_reads_like_the_first(certificate: Certificate, tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    text = certificate.to_json(path)
    for again in (Certificate.from_json(path), Certificate.from_json(text), Certificate.from_json(str(path))):
        assert str(again) == str(certificate)
        assert again.explain() == certificate.explain()
        assert again._repr_html_() == certificate._repr_html_()
        assert again.to_dict() == certificate.to_dict()
        assert again["mean"].at("beta").verdicts == certificate["mean"].at("beta").verdicts
        assert again.subject is None and again.tests == ()


def test_what_reproduces_it_is_kept(certificate: Certificate) -> None:
    came = certificate.to_dict()["provenance"]
    assert came["seed"] == 2 and came["num_draws"] == 8192
    assert came["versions"]["torch"] == torch.__version__ and came["versions"]["pyro"] == pyro.__version__
    assert len(came["fingerprint"]) >= 16 and len(came["parameters"]) == 16


@pytest.mark.parametrize("damage", [{}, {"format": 2}, {"coordinates": 3}, {"statistics": {"mean": {}}}])
def test_damaged_records_are_refused(certificate: Certificate, damage: dict[str, Any]) -> None:
    record = {**certificate.to_dict(), **damage} if damage else {}
    with pytest.raises(ValueError, match="expected .* got .* because"):
        Certificate.from_dict(record)


def test_text_that_is_no_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected JSON"):
        Certificate.from_json("{nothing")
    with pytest.raises(TypeError, match="expected JSON text or a path"):
        Certificate.from_json(3)  # type: ignore[arg-type]


# -- verification ----------------------------------------------------------------------------------------------------


def test_the_model_it_was_made_for_agrees(certificate: Certificate) -> None:
    saved = Certificate.from_dict(certificate.to_dict())
    found = saved.verify(regression, X, Y)
    assert found and found.holds and found.failures == ()
    names = [check.name for check in found.checks]
    assert "hash of graph and constants" in names and "proofs of the mean" in names
    assert "speaks of this target" in str(found)


def failing(saved: Certificate, *target: Any) -> list[str]:
    found = saved.verify(*target)
    assert not found
    assert "does not speak" in str(found) and "DIFFERS" in str(found)
    return [check.name for check in found.failures]


def test_a_changed_datum_fails(certificate: Certificate) -> None:
    moved = Y.clone()
    moved[7] += 1e-7
    names = failing(certificate, regression, X, moved)
    assert "hash of graph and constants" in names and "proofs of the mean" in names


def test_a_changed_prior_fails(certificate: Certificate) -> None:
    assert "hash of graph and constants" in failing(certificate, another, X, Y)


def test_other_sites_fail(certificate: Certificate) -> None:
    def renamed(x: torch.Tensor, y: torch.Tensor) -> None:
        gamma = pyro.sample("gamma", dist.ImproperUniform(dist.constraints.real_vector, (), (2,)))
        pyro.sample("y", dist.Normal(x @ gamma, 1.0).to_event(1), obs=y)

    assert failing(certificate, renamed, X, Y) == ["sites and coordinates"]


def change(record: dict[str, Any], statistic: str, position: int, **values: Any) -> Certificate:
    again = copy.deepcopy(record)
    again["statistics"][statistic]["entries"][position].update(values)
    return Certificate.from_dict(again)


def test_changed_records_fail(certificate: Certificate) -> None:
    record = json.loads(certificate.to_json())
    assert "proofs of the mean" in failing(change(record, "mean", 0, exact=1.5), regression, X, Y)
    assert "proofs of the mean" in failing(change(record, "mean", 0, value=1.5), regression, X, Y)
    assert "proofs of the mean" in failing(change(record, "mean", 2, verdict="PROVED"), regression, X, Y)


def test_witnesses_are_evaluated_again() -> None:
    made = certify_at(skew_normal(5.0), [4.0])
    density = LogDensity.from_callable(skew_normal(5.0), 1)
    assert made.verify(density)
    record = json.loads(made.to_json())
    moved = change(record, "mean", 0, witness=[0.3])
    assert [check.name for check in moved.verify(density).failures] == ["witness against mean of z[0]"]
    record["provenance"]["fingerprint"], record["provenance"]["probe"]["points"] = "", []
    blind = Certificate.from_dict(record)
    names = [check.name for check in blind.verify(LogDensity.from_callable(skew_normal(4.0), 1)).failures]
    assert "the target" in names and "witness against mean of z[0]" in names


def test_a_target_whose_graph_cannot_be_read_is_recognised_by_its_values() -> None:
    def sorted_sum(shift: float):
        return lambda z: -0.5 * (torch.sort(z - shift, dim=-1).values ** 2).sum(-1)

    made = certify_at(sorted_sum(0.0), [0.0, 0.0])
    assert made.provenance.fingerprint == ""
    assert made.verify(LogDensity.from_callable(sorted_sum(0.0), 2))
    names = failing(made, LogDensity.from_callable(sorted_sum(1e-6), 2))
    assert any(name.startswith("log density and gradient") for name in names)
    names = failing(made, LogDensity.from_callable(sorted_sum(1e-3), 2))
    assert any(name.startswith("reflection of") for name in names)


def test_what_cannot_be_compared_is_refused(certificate: Certificate) -> None:
    with pytest.raises(TypeError, match="expected a Pyro model or a LogDensity"):
        certificate.verify(3)
    with pytest.raises(TypeError, match="expected no further arguments"):
        certificate.verify(LogDensity.from_model(regression, X, Y), X)
