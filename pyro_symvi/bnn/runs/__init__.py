"""Runs of many chains: the same draws on any number of processes, checkpoints that survive a kill, reading back."""

from ._load import load_draws as load_draws
from ._progress import BlockReport as BlockReport
from ._sample import sample as sample

__all__ = ["BlockReport", "load_draws", "sample"]
