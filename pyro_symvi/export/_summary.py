"""The table of `arviz.summary` with a column of verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..guides import AutoSymmetric
from ..guides._draws import checked_number
from ..infer import Fit
from ..recovery import Certificate, certify
from ..recovery.report.table import units
from ..recovery.subject import Subject
from ._arviz import in_chains, seeds
from ._container import EXTRA, arviz_line, chosen_kind, container, needed
from ._dimensions import name_sites
from ._marks import check_certificate, statistic_of
from ._rows import Row, read_rows
from ._source import Drawn, read_source

STATISTICS = ("mean", "median")
COLUMNS = ("statistic", "value", "verdict", "error bound")
_NONE = "-"


def summary(
    source: Any,
    model: Any = None,
    *args: Any,
    statistics: str | Sequence[str] = STATISTICS,
    certificate: Certificate | None = None,
    var_names: Sequence[str] | None = None,
    ci_prob: float | None = None,
    hdi_prob: float | None = None,
    round_to: int | str = "auto",
    num_samples: int = 1000,
    coords: Any = None,
    dims: Any = None,
    group_by_chain: bool | None = None,
    generator: torch.Generator | None = None,
    **kwargs: Any,
) -> Any:
    r"""The table of ``az.summary`` with a verdict on each number that symmetry can speak of.

    One row a scalar, labelled as ArviZ does. The first columns are those of ``az.summary``: mean, sd and interval, for
    draws of a sampler effective sizes and R-hat as well (draws of a guide are independent: both would say nothing).
    Then:

    * ``statistic``: what the verdict of this row speaks of;
    * ``value``: its fitted value (of a median at least three digits, also where the row is wide);
    * ``verdict``, and ``error bound`` in posterior standard deviations (directions: radians), nan where there is none.

    Symmetry speaks of the *unconstrained* coordinates. The mean of a real variable is such a number, and so is the mean
    of log sigma, which has a row of its own, ``log sigma``. The mean of sigma is not: the row ``sigma`` has a verdict
    on its median alone, which is exp of the centre. A verdict on one is never put beside the other. Where the mean's
    existence is not established the statistic is called centre of symmetry.

    ``mean`` and ``sd`` of a fitted guide are those of its law, by formula, wherever there is one: real variables and
    unconstrained coordinates, and positive variables of a normal guide; they are infinite or nan where the law has
    none (a Student-t law of log sigma gives sigma no finite mean). The others, and all intervals, are computed from
    draws. No verdict vouches for sd or interval.

    Args:
        source: What `to_arviz` takes: a `Fit`, a guide, a `Certificate`, draws.
        model: After draws, or a guide that is a plain function: the Pyro model.
        *args: Arguments of the model.
        statistics: To be certified, ``"mean"``, ``"median"`` or both.
        certificate: One made before, of the same source; by default ``certify`` makes one, in seconds.
        var_names: Sites to show; by default all.
        ci_prob: Mass of the interval of the installed ArviZ's own kind and name; by default its own.
        hdi_prob: Mass of a highest-density interval, in place of that.
        round_to: ``"auto"``: each row to a thousandth of its standard deviation, medians to three digits
            at least; a number of decimals; ``"none"``.
        num_samples: Number of draws of a fit or guide.
        coords: Labels, ``{dimension: values}``.
        dims: Names of dimensions, as in `to_arviz`.
        group_by_chain: As in `to_arviz`.
        generator: Random state of the draws; a fixed one by default.
        **kwargs: Keyword arguments of the model.

    Returns:
        A ``pandas.DataFrame``. Its ``attrs`` hold the certificate's title, region, units and notes. Where nothing could
        be certified (a guide without one location and scatter, draws without a model) verdicts are ``"-"`` and a note
        says why.

    Raises:
        ImportError: ArviZ is not installed.
        TypeError: A source or argument of the wrong kind.
        ValueError: Unknown statistics or sites, a certificate of something else, both interval arguments.
    """
    wanted = _checked(statistics, ci_prob, hdi_prob, round_to)
    chosen_kind(None)
    drawn = read_source(source, model, args, kwargs, checked_number(num_samples), seeds(generator)[0], group_by_chain)
    notes: list[str] = []
    if certificate is None:
        certificate = _certificate(source, model, args, kwargs, drawn, wanted, notes)
        if certificate is not None and isinstance(certificate.subject, Subject):
            drawn.origin = certificate.subject  # read once
    if certificate is not None:
        check_certificate(certificate, drawn)
        notes += certificate.notes
    variables, rows = read_rows(drawn, certificate, notes)
    variables = _selected(variables, var_names, drawn)
    table = _table(drawn, variables, ci_prob, hdi_prob, coords, dims)
    said = [row for name in variables for row in rows[name]]
    _write(table, said, round_to)
    table.attrs |= {
        "title": "no certificate" if certificate is None else certificate.title,
        "region": "" if certificate is None else certificate.region,
        "units": "" if certificate is None else units(certificate.statistics),
        "notes": tuple(dict.fromkeys(notes)),
    }
    return table


def _checked(statistics: Any, ci_prob: Any, hdi_prob: Any, round_to: Any) -> tuple[str, ...]:
    wanted = (statistics,) if isinstance(statistics, str) else tuple(statistics)
    if not wanted or not set(wanted) <= set(STATISTICS):
        raise ValueError(
            f"expected statistics among {STATISTICS}, got {wanted}, because a row of the table is one variable; try "
            "symvi.certify(fit, statistics=...) for correlations and contrasts"
        )
    if ci_prob is not None and hdi_prob is not None:
        raise ValueError("expected ci_prob or hdi_prob, got both, because there is one interval; try one of them")
    for name, value in (("ci_prob", ci_prob), ("hdi_prob", hdi_prob)):
        if value is not None and not 0 < value < 1:
            raise ValueError(f"expected {name} in (0, 1), got {value}, because it is a probability; try {name}=0.9")
    if round_to not in ("auto", "none") and (isinstance(round_to, bool) or not isinstance(round_to, int)):
        raise ValueError(f"expected round_to as 'auto', 'none' or a number of decimals, got {round_to!r}; try 'auto'")
    return wanted


# -- what is known -------------------------------------------------------------------------------------------------


def _certificate(
    source: Any,
    model: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    drawn: Drawn,
    statistics: tuple[str, ...],
    notes: list[str],
) -> Certificate | None:
    if isinstance(source, Certificate):
        return source
    if isinstance(source, Fit):
        return certify(source, statistics=statistics)
    if drawn.kind == "draws" and drawn.run is None:
        notes.append("nothing is certified, because draws without their model can't be held against its symmetry")
        return None
    try:
        if drawn.kind == "draws":
            values = {name: value.reshape(*drawn.shape, *value.shape[1:]) for name, value in drawn.values.items()}
            return certify(values, model, *args, statistics=statistics, **kwargs)
        call = drawn.run.call if drawn.run is not None else None
        given = args if model is None or callable(model) else (model, *args)
        options: dict[str, Any] = {} if isinstance(source, AutoSymmetric) else {"statistics": statistics}
        return certify(source, *(given if call is None else call.args), **options, **kwargs)  # directions by default
    except (TypeError, ValueError) as error:
        notes.append(f"nothing is certified: {error}")
        return None


# -- the table -----------------------------------------------------------------------------------------------------


def _selected(variables: dict[str, torch.Tensor], names: Sequence[str] | None, drawn: Drawn) -> dict[str, torch.Tensor]:
    if names is None:
        return variables
    asked = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in asked if name not in variables]
    if unknown:
        raise ValueError(f"expected var_names among {list(variables)}, got {unknown}; try one of these")
    keep = set(asked)
    order = list(variables)
    for name in asked:  # the unconstrained coordinates follow their site
        after = order[order.index(name) + 1 :][:1]
        if after and name in drawn.values and after[0] not in drawn.values and after[0].endswith(f" {name}"):
            keep.add(after[0])
    return {name: value for name, value in variables.items() if name in keep}


def _table(
    drawn: Drawn, variables: dict[str, torch.Tensor], ci_prob: Any, hdi_prob: Any, coords: Any, dims: Any
) -> Any:
    dimensions = name_sites(drawn.run, drawn.values, dims)
    for name, value in variables.items():
        if name not in dimensions.by_variable:
            same = next((n for n in drawn.values if name.endswith(f" {n}")), None)
            if same is not None and drawn.values[same].shape == value.shape:
                dimensions.by_variable[name] = dimensions.by_variable[same]
            else:
                dimensions.add(name, tuple(value.shape[1:]), {})
    posterior = {name: in_chains(value, drawn.shape) for name, value in variables.items()}
    data = container({"posterior": posterior}, dims=dimensions.by_variable, coords=coords)
    line = arviz_line()
    options: dict[str, Any] = {"kind": "all" if drawn.kind == "draws" else "stats", "round_to": "none"}
    if line == 0:
        if ci_prob is not None or hdi_prob is not None:
            options["hdi_prob"] = ci_prob if hdi_prob is None else hdi_prob
    elif hdi_prob is not None:
        options |= {"ci_prob": hdi_prob, "ci_kind": "hdi"}
    elif ci_prob is not None:
        options["ci_prob"] = ci_prob
    name = "arviz_stats" if line is None else "arviz"
    function = getattr(needed(name), "summary", None)
    if function is None:  # arviz_stats without xarray_einstats
        raise ImportError(f"expected {name}.summary, got a package without it; try {EXTRA}")
    return function(data, var_names=list(variables), **options)


def _write(table: Any, rows: list[Row], round_to: int | str) -> None:
    """Exact moments in place of those of draws, verdicts beside them, and all rounded."""
    for k, row in enumerate(rows):
        if row.moments is not None:
            for column, value in zip(("mean", "sd"), row.moments, strict=True):
                table.iloc[k, table.columns.get_loc(column)] = value
    entries = [row.entry for row in rows]
    table["statistic"] = [_NONE if e is None else statistic_of(e) for e in entries]
    table["value"] = [math.nan if e is None else float(e.value) for e in entries]
    table["verdict"] = [_NONE if e is None else e.verdict.name for e in entries]
    table["error bound"] = [math.nan if e is None else float(e.bound) for e in entries]
    if round_to == "none":
        return
    sds = np.asarray(table["sd"], dtype=float)
    for column in table.columns:
        if column in ("statistic", "verdict") or column.startswith("ess"):
            continue
        values = np.asarray(table[column], dtype=float)
        wide = sds
        if column == "value":  # a certified median keeps its digits, however wide its row
            own = [e is not None and e.label.startswith("median") and e.value != 0 for e in entries]
            wide = np.where(own, np.fmin(sds, np.abs(values)), sds)
        table[column] = [
            _rounded(value, sd, column, round_to) for value, sd in zip(values.tolist(), wide.tolist(), strict=True)
        ]


def _rounded(value: float, sd: float, column: str, round_to: int | str) -> float:
    if not math.isfinite(value) or value == 0:
        return value
    if isinstance(round_to, int):
        return round(value, round_to) + 0.0
    size = sd / 1000 if math.isfinite(sd) and sd > 0 else abs(value) / 1000
    if column == "error bound":
        size = value / 10
    elif column in ("r_hat", "mcse_mean", "mcse_sd"):
        size = 0.001 if column == "r_hat" else value / 10
    return round(value, -math.floor(math.log10(size))) + 0.0  # no minus zero
