"""How a run is cut up: chains into packs, draws into blocks."""

from __future__ import annotations

from dataclasses import dataclass

from ..._value import Value, positive_int

#: Packs have at most so many chains unless told otherwise.
LARGEST_PACK = 16


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Value):
    """The size of a run; a pack of one block of draws is the unit of work.

    Attributes:
        chains: in all.
        draws: kept, a chain.
        thin: steps a draw.
        warmup: steps of warm-up.
        block: draws a block.
        pack: chains a pack; the last one may have fewer.
        seed: 0 to 2^64 - 1.
    """

    chains: int
    draws: int
    thin: int
    warmup: int
    block: int
    pack: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("chains", "draws", "thin", "block"):
            positive_int(getattr(self, name), name)
        positive_int(self.warmup, "warmup", 0)
        positive_int(self.seed, "seed", 0)
        if self.seed >= 2**64:
            raise ValueError(f"expected a seed below 2^64, got {self.seed}")
        object.__setattr__(self, "pack", min(positive_int(self.pack, "pack"), self.chains))

    @staticmethod
    def default_pack(chains: int) -> int:
        """As few packs of about equal size as keep to 16 chains: a function of the number of chains alone."""
        fewest = -(-positive_int(chains, "chains") // LARGEST_PACK)
        return -(-chains // fewest)

    @property
    def packs(self) -> int:
        """Number of packs."""
        return -(-self.chains // self.pack)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.draws // self.block)

    def chain_ids(self, pack: int) -> range:
        """The chains of a pack."""
        return range(pack * self.pack, min((pack + 1) * self.pack, self.chains))

    def draws_in(self, block: int) -> int:
        """Draws of a block: ``block``, or fewer in the last one."""
        return min(self.block, self.draws - block * self.block)
