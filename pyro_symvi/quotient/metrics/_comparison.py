"""Several methods, several figures, the same seeds: a table that says what is told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from torch import Tensor

from ..._value import Value
from ._checks import confidence_level, sample
from ._paired import PairedDifference, paired_differences
from ._table import Interval, table

Scores = Mapping[str, Mapping[str, Tensor | Sequence[float] | np.ndarray]]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Value):
    """Methods against a baseline. See :func:`compare`.

    Args:
        methods: names, the baseline first.
        metrics: names.
        figures: mean over seeds with Student interval, by (method, metric).
        differences: method - baseline over paired seeds, by (method, metric), each at a level that holds for all
            of them at once.
        higher_is_better: metrics for which more is better; less is, for others.
        confidence: of the whole table of differences, and of each figure alone.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    figures: Mapping[tuple[str, str], Interval]
    differences: Mapping[tuple[str, str], PairedDifference]
    higher_is_better: tuple[str, ...]
    confidence: float

    def verdict(self, method: str, metric: str) -> str:
        """``"better"`` or ``"worse"`` than the baseline, or ``"="`` where seeds do not tell them apart."""
        difference = self.differences[method, metric]
        if not difference.resolved:
            return "="
        return "better" if (difference.mean > 0) == (metric in self.higher_is_better) else "worse"

    def to_text(self) -> str:
        """Two tables: figures of each method, then differences from the baseline with verdicts."""
        baseline, others = self.methods[0], self.methods[1:]
        first = [[m, *(str(self.figures[m, k]) for k in self.metrics)] for m in self.methods]
        second = [
            [m, *(f"{self.differences[m, k].interval} {self.verdict(m, k)}" for k in self.metrics)] for m in others
        ]
        count = self.differences[others[0], self.metrics[0]].count if others else 0
        note = f"minus {baseline}, {count} paired seeds, {self.confidence:.0%} for all differences at once"
        tables = [table([f"mean [{self.confidence:.0%}]", *self.metrics], first)]
        return "\n\n".join(
            [*tables, *([table(["difference", *self.metrics], second) + f"\n({note})"] if others else [])]
        )

    def __str__(self) -> str:
        return self.to_text()


def compare(
    scores: Scores, baseline: str, *, higher_is_better: Sequence[str] = (), confidence: float = 0.95
) -> Comparison:
    """Differences of methods from a baseline over paired seeds, at a level that holds for all of them at once.

    Args:
        scores: ``scores[method][metric]``, one figure ``[n]`` a seed in the same order for all methods, n >= 2.
        baseline: one of the methods.
        higher_is_better: metrics for which more is better (COV).
        confidence: that no difference at all is wrongly told from 0 (Bonferroni over methods and metrics).

    Raises:
        ValueError: for an unknown baseline, methods with other metrics or numbers of seeds, figures not finite.

    Reading: only "better" and "worse" may be claimed. "=" says that these seeds do not tell them apart, not that the
    methods are equal: look at the interval's length.
    """
    level = confidence_level(confidence)
    if baseline not in scores:
        raise ValueError(f"expected the baseline to be one of {list(scores)}, got {baseline!r}")
    metrics = tuple(scores[baseline])
    methods = (baseline, *(name for name in scores if name != baseline))
    for name in methods:
        if set(scores[name]) != set(metrics) or not metrics:
            raise ValueError(
                f"expected the metrics {list(metrics)} for each method, got {list(scores[name])} for {name}"
            )
    unknown = set(higher_is_better) - set(metrics)
    if unknown:
        raise ValueError(f"expected higher_is_better among {list(metrics)}, got {sorted(unknown)}")
    each = 1 - (1 - level) / max(1, (len(methods) - 1) * len(metrics))
    figures, differences = {}, {}
    for name in methods:
        for metric in metrics:
            values = sample(scores[name][metric], f"{name}, {metric}", least=2)
            figures[name, metric] = _student(values, level)
            if name != baseline:
                differences[name, metric] = paired_differences(values, scores[baseline][metric], confidence=each)
    return Comparison(methods, metrics, figures, differences, tuple(higher_is_better), level)


def _student(values: np.ndarray, level: float) -> Interval:
    if values.ndim != 1:
        raise ValueError(f"expected one figure a seed [n], got {list(values.shape)}")
    mean, error = float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5
    if error == 0:
        return Interval(mean, mean, mean)
    low, high = scipy.stats.t.interval(level, len(values) - 1, loc=mean, scale=error)
    return Interval(mean, float(low), float(high))
