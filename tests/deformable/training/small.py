"""A network and images small enough for tests."""

import torch


class Tiny(torch.nn.Module):
    """16 x 16 to 8 x 8, with batch normalisation and with dropout, which draws from the global generator."""

    def __init__(self, dim: int = 3, dropout: float = 0.1) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body = torch.nn.Sequential(
                torch.nn.Conv2d(3, 6, 3, 2, 1),
                torch.nn.BatchNorm2d(6),
                torch.nn.Tanh(),
                torch.nn.Dropout(dropout),
                torch.nn.Conv2d(6, dim, 3, 1, 1),
            )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Frames."""
        return self.body(images)


IMAGES = torch.randint(0, 256, (6, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
