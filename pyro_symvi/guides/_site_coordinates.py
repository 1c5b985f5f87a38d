"""Local coordinates about a point of a product of flat spaces and spheres: gradients, Hessians, Newton steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ._site_law import EuclideanSite, SiteLaw, SphereSite

Points = dict[str, Tensor]
"""Float64: unconstrained vectors ``[*plates, d]``, unit vectors ``[*plates, *event]``."""


def on_space(site: SiteLaw, value: Tensor) -> Tensor:
    """A free vector as a point: normalised on a sphere."""
    return value if isinstance(site, EuclideanSite) else value / torch.linalg.vector_norm(value, dim=-1, keepdim=True)


class LocalCoordinates:
    """Coordinates about a point: unconstrained ones, and on spheres the tangents, with x = (p + B t) / |p + B t|.

    At a stationary point the Hessian does not depend on the choice of such coordinates.
    """

    def __init__(self, log_prob: Callable[[Points], Tensor], point: Points, sites: Mapping[str, SiteLaw]) -> None:
        self.log_prob, self.point, self.sites = log_prob, point, sites
        self.bases = {n: _tangents(p) for n, p in point.items() if isinstance(sites[n], SphereSite)}
        self.shapes = {n: self.bases[n].shape[:-2] + self.bases[n].shape[-1:] if n in self.bases else p.shape
                       for n, p in point.items()}  # fmt: skip
        self.size = sum(shape.numel() for shape in self.shapes.values())

    def points(self, u: Tensor) -> Points:
        """The point at coordinates ``u [size]``."""
        found, position = {}, 0
        for name, shape in self.shapes.items():
            step = u[position : position + shape.numel()].reshape(shape)
            position += shape.numel()
            if name in self.bases:
                step = (self.bases[name] @ step[..., None])[..., 0]
            found[name] = on_space(self.sites[name], self.point[name] + step)
        return found

    def _rows(self) -> tuple[Tensor, Callable[[int], Tensor]]:
        """Gradient ``[size]``, and the rows of the Hessian by number."""
        device = next(iter(self.point.values())).device
        u = torch.zeros(self.size, dtype=torch.float64, device=device, requires_grad=True)
        (gradient,) = torch.autograd.grad(self.log_prob(self.points(u)), u, create_graph=True)

        def row(i: int) -> Tensor:
            if not gradient.requires_grad:
                return torch.zeros_like(u)
            (found,) = torch.autograd.grad(gradient[i], u, retain_graph=True)
            return found

        return gradient.detach(), row

    def curvature(self) -> tuple[Points, Points]:
        """Gradients ``[*plates, m]`` and minus the Hessian's blocks ``[*plates, m, m]`` of each site's own event."""
        gradient, row = self._rows()
        slopes, blocks, position = {}, {}, 0
        for name, shape in self.shapes.items():
            end, m = position + shape.numel(), shape[-1]
            slopes[name] = gradient[position:end].reshape(shape)
            rows = []
            for i in range(position, end):
                first = position + (i - position) // m * m
                rows.append(-row(i)[first : first + m])
            block = torch.stack(rows).reshape(*shape, m)
            blocks[name] = (block + block.mT) / 2
            position = end
        return slopes, blocks

    def newton(self) -> LocalCoordinates | None:
        """Coordinates about the next Newton point; None where that is no gain."""
        gradient, row = self._rows()
        precision = -torch.stack([row(i) for i in range(self.size)])
        precision = (precision + precision.mT) / 2
        unit = precision.diagonal().clamp(min=1e-300).rsqrt()
        root, failed = torch.linalg.cholesky_ex(unit[:, None] * precision * unit)
        if int(failed) or not bool(gradient.isfinite().all()):
            return None
        step = unit * torch.cholesky_solve((unit * gradient)[:, None], root)[:, 0]
        if float(step @ gradient) < 1e-30:  # twice the expected gain
            return None
        before, after = (float(self.log_prob(point).detach()) for point in (self.point, self.points(step)))
        slack = 1e-13 * (1 + abs(before))
        return LocalCoordinates(self.log_prob, self.points(step), self.sites) if after >= before - slack else None


def _tangents(point: Tensor) -> Tensor:
    """Orthonormal bases ``[*batch, d, d - 1]`` of the tangent spaces at unit vectors ``[*batch, d]``."""
    _, _, vh = torch.linalg.svd(point[..., None, :])
    return vh[..., 1:, :].mT
