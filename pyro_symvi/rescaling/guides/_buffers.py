"""Groups that move what no guide holds."""

from __future__ import annotations

from ...groups import UnsupportedError
from .._group import RescalingGroup


def refuse_buffers(group: RescalingGroup) -> None:
    """That a group moves parameters alone.

    Raises:
        UnsupportedError: batch norm was folded: running means would have to move with the weights.
    """
    if group.traced.buffers:
        raise UnsupportedError(
            f"expected a group that moves parameters alone, got one that moves {sorted(group.traced.buffers)[:3]} too, "
            "because no guide holds running means and the function would change; try batch_norm='barrier'"
        )
