"""Clouds to learn from: many of each molecule, chain or shape."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .._value import Value
from ._context import Context

_CONTEXT = ("mask", "features", "edges")


@dataclass(frozen=True, eq=False, repr=False)
class CloudDataset(Value):
    """M clouds of K kinds (molecules, protein chains, shape families), padded to the same number of points.

    Args:
        clouds: ``[M, N, d]``, padding at zero.
        kinds: ``[M]`` int64, which kind a cloud is of, in 0..K-1.
        names: K names.
        context: with batch ``[K]``, what is known of each kind; None where nothing is.

    Raises:
        ValueError: for shapes that do not agree, or coordinates that are not finite (the clouds are named).
    """

    clouds: Tensor
    kinds: Tensor
    names: tuple[str, ...]
    context: Context | None = None

    def __post_init__(self) -> None:
        if isinstance(self.names, str):
            raise TypeError(f"expected a sequence of names, got one string, {self.names!r}; try ({self.names!r},)")
        object.__setattr__(self, "names", tuple(str(name) for name in self.names))
        for name in ("clouds", "kinds"):
            if not isinstance(getattr(self, name), Tensor):
                raise TypeError(f"expected {name} to be a tensor, got {type(getattr(self, name)).__name__}")
        if self.clouds.ndim != 3 or not self.clouds.is_floating_point():
            raise ValueError(f"expected clouds [M, N, d] of a floating dtype, got {list(self.clouds.shape)}")
        if self.kinds.shape != self.clouds.shape[:1] or self.kinds.dtype != torch.int64:
            raise ValueError(
                f"expected kinds [{len(self.clouds)}] of dtype torch.int64, one a cloud, "
                f"got {list(self.kinds.shape)} of {self.kinds.dtype}"
            )
        if len(self.kinds) and not 0 <= int(self.kinds.min()) <= int(self.kinds.max()) < len(self.names):
            raise ValueError(f"expected kinds in 0..{len(self.names) - 1}, because there are {len(self.names)} names")
        shape = None if self.context is None else self.context.shape
        if shape is not None and shape != (len(self.names), self.clouds.shape[1]):
            raise ValueError(
                f"expected a context of shape {[len(self.names), self.clouds.shape[1]]}, got {list(shape)}"
            )
        bad = (~torch.isfinite(self.clouds)).flatten(1).any(-1).nonzero()[:, 0].tolist()
        if bad:
            where = ", ".join(f"{i} ({self.names[int(self.kinds[i])]})" for i in bad[:5])
            raise ValueError(
                f"expected finite coordinates, got nan or inf in {len(bad)} cloud(s): {where}; try to drop them"
            )

    def __len__(self) -> int:
        return len(self.clouds)

    def batch(self, index: Tensor) -> tuple[Tensor, Context | None]:
        """Clouds ``[B, N, d]`` and their context, for indices ``[B]``."""
        return self.clouds[index], None if self.context is None else self.context[self.kinds[index]]

    def scale(self) -> float:
        """Root mean square of a coordinate of the clouds about their centres, the natural scale of a prior.

        Raises:
            ValueError: for no clouds, or only clouds whose points lie in one place.
        """
        x, context = self.batch(torch.arange(len(self)))
        mask = x.new_ones(x.shape[:2]) if context is None or context.mask is None else context.mask
        weights = mask.double()[..., None]
        x = x.double() - (weights * x).sum(-2, keepdim=True) / weights.sum(-2, keepdim=True)
        square = (weights * x.square()).sum() / (weights.sum() * x.shape[-1])
        if not float(square) > 0:
            raise ValueError("expected clouds of points apart, got all points in one place")
        return float(square.sqrt())

    def of_kinds(self, chosen: Sequence[int]) -> CloudDataset:
        """The clouds of some kinds, renumbered in the order given."""
        if len(set(chosen)) != len(chosen) or not all(0 <= kind < len(self.names) for kind in chosen):
            raise ValueError(f"expected distinct kinds in 0..{len(self.names) - 1}, got {list(chosen)}")
        position = torch.full((len(self.names),), -1, device=self.kinds.device)
        position[torch.as_tensor(list(chosen), dtype=torch.int64)] = torch.arange(len(chosen), device=position.device)
        kinds = position[self.kinds]
        context = None if self.context is None else self.context[torch.as_tensor(list(chosen), dtype=torch.int64)]
        return CloudDataset(self.clouds[kinds >= 0], kinds[kinds >= 0], tuple(self.names[i] for i in chosen), context)

    def split(self, *shares: float, seed: int = 0) -> tuple[CloudDataset, ...]:
        """Parts that share no kind: ``split(0.8, 0.2)`` trains on molecules that the test set does not hold."""
        if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(f"expected positive shares that sum to 1, got {shares}")
        if len(self.names) < len(shares):
            raise ValueError(
                f"expected at least {len(shares)} kinds for {len(shares)} parts that share none, got "
                f"{len(self.names)}; try to split the clouds of one kind by index"
            )
        order = torch.randperm(len(self.names), generator=torch.Generator().manual_seed(seed)).tolist()
        ends = [round(len(order) * sum(shares[: k + 1])) for k in range(len(shares))]
        for k in range(len(ends)):  # a part has at least one kind
            ends[k] = min(max(ends[k], ends[k - 1] + 1 if k else 1), len(order) - (len(ends) - 1 - k))
        return tuple(self.of_kinds(order[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True))

    def save(self, path: str | os.PathLike[str]) -> None:
        """One .npz file; it appears whole or not at all, folders are made."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        fields = (
            {}
            if self.context is None
            else {
                name: getattr(self.context, name).cpu().numpy()
                for name in _CONTEXT
                if getattr(self.context, name) is not None
            }
        )
        fields |= {"clouds": self.clouds.cpu().numpy(), "kinds": self.kinds.cpu().numpy()}
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with open(partial, "wb") as file:
                np.savez_compressed(file, names=np.array(self.names, str), **fields)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CloudDataset:
        """Read what ``save`` wrote."""
        try:
            with open(path, "rb") as raw:
                if not zipfile.is_zipfile(raw):
                    raise ValueError("it is no archive, or one that was cut off")
                raw.seek(0)
                with np.load(raw, allow_pickle=False) as file:
                    arrays = {name: file[name] for name in file.files}
            missing = [name for name in ("clouds", "kinds", "names") if name not in arrays]
            if missing:
                raise ValueError(f"it holds no {', '.join(missing)}")
            fields = {name: torch.from_numpy(arrays[name]) for name in _CONTEXT if name in arrays}
            return cls(
                torch.from_numpy(arrays["clouds"]),
                torch.from_numpy(arrays["kinds"]),
                tuple(arrays["names"].tolist()),
                Context(**fields) if fields else None,
            )
        except FileNotFoundError:
            raise
        except Exception as error:
            raise ValueError(
                f"expected a .npz file written by CloudDataset.save, got {str(path)!r}, because: {error}"
            ) from error
