"""Networks of this package as plain values and back: what a file of a model may hold without running code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ._small_net import SmallNet
from ._turned_frames import TurnedFrames
from ._unit_frames import UnitFrames


def network_config(network: nn.Module) -> dict[str, Any] | None:
    """What ``build_network`` needs; None for networks it cannot build."""
    if type(network) is SmallNet:
        return {"kind": "SmallNet", **network.config}
    if type(network) is UnitFrames:
        inner = network_config(network.network)
        return None if inner is None else {"kind": "UnitFrames", "scale": network.scale, "network": inner}
    if type(network) is TurnedFrames:
        inner = network_config(network.network)
        return None if inner is None else {"kind": "TurnedFrames", "dim": len(network.turn), "network": inner}
    return None


def build_network(config: Mapping[str, Any]) -> nn.Module:
    """A network with this config, its weights arbitrary."""
    options = {name: value for name, value in config.items() if name != "kind"}
    if config.get("kind") == "SmallNet":
        return SmallNet(**options, generator=torch.Generator().manual_seed(0))
    if config.get("kind") == "UnitFrames":
        return UnitFrames(build_network(options["network"]), options["scale"])
    if config.get("kind") == "TurnedFrames":
        return TurnedFrames(build_network(options["network"]), torch.eye(options["dim"]))
    raise ValueError(
        f"expected the config of a SmallNet, UnitFrames or TurnedFrames, got that of {config.get('kind')!r}"
    )
