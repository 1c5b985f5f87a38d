"""Orbit-closed particles inside ``pyro.infer.SVI``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from pyro import distributions as dist
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ...families._structure import are_orthogonal
from ...families.scales import Fixed, ScaleTransform, Tied, Triangular
from ...groups import AffineAction, LinearAction
from .._closure_checks import is_finite_linear, wrong_base, wrong_scale
from ._closures import Closure, MatrixClosure, closure_of


class OrbitClosedNoise(Messenger):
    r"""Replaces the base draws of an `AutoLocationScale` guide by whole orbits, or a quadrature of them.

    A share of the vectorised particles is drawn, the others are images :math:`A_h\xi`, h in a finite set of group
    elements: all of a finite group; for compact ones a set of equal weights with the group's first two moments,
    randomly turned (`_closures`). What that fixes at each step, whatever is drawn (the one-line proofs are there):

    - *Reflection* of the coordinates J about a centre: with a target that is even in J about c, the location gradient
      at :math:`\nu_J=c` is zero, for every scale that keeps J apart from the other coordinates (every scale, if J is
      all of them).
    - *Rotations* SO(m), O(m) of a block of m >= 2 coordinates (``EllipticalRotation(coordinates=...)``,
      `SphereRotation`, `AxialRotation`, U(n)): 2m images, the cross-polytope through the draw in a random frame. It
      contains the reflection. If the target is spherical on the block about c, also the gradient in the scale is
      isotropic at an isotropic scale of the block: equal scales stay equal, zero correlations zero. Needs a spherical
      base.
    - *Torus* :math:`T^k` (`TorusAction`): 4k equally spaced elements, with the reflection among them; location zero,
      the two scales of each plane equal. A common phase (`PhaseAction`): 4 images.
    - *Other finite groups* (permutations, signed ones, rotations of finite order), and SO(3), O(3) in any
      representation that the cube's 24 or the icosahedron's 60 rotations integrate: the location gradient at a
      symmetric parameter is fixed by the group, the scale's commutes with it.
    - *Products* (`ComposedAction`): images of images, the numbers multiply.

    The scale has to be able to stay symmetric. Diagonal and isotropic scales and ``Tied(action)`` do for most groups,
    a Cholesky factor for reflections and for rotations of whole blocks, not for permutations; what does not is
    refused. A scale on a shape that is not isotropic (``EllipticalRotation(shape=...)``, a full scale) pins the
    location, not the scale's gradient.

    The closure is across particles; ``copies`` says how many images there are, and the loss keeps images of one
    another in different tuples.

    Args:
        symmetry: A `LinearAction` of a finite or compact group by orthogonal matrices: `PointReflection`, `AxisFlips`,
            `CoordinatePermutation`, `SphereRotation`, ... Its centre is not imposed.

    Raises:
        TypeError: Another symmetry.
        ValueError: While the guide runs: no `AutoLocationScale` latent vector is met; the number of particles is not a
            multiple of the number of images; the base law is not invariant (a product law under rotations); the scale
            cannot stay symmetric.
    """

    def __init__(self, symmetry: LinearAction) -> None:
        super().__init__()
        if not (isinstance(symmetry, LinearAction) and _has_images(symmetry)):
            raise TypeError(
                f"expected symmetry as a linear action of a finite group, of rotations or of phases, got {symmetry!r}, "
                "because particles come in whole orbits, or in sets that integrate over them; try PointReflection(), "
                "CoordinatePermutation(dim) or SphereRotation(dim)"
            )
        self.symmetry = symmetry
        self.copies = 1
        self.met = False
        self._closure: tuple[int, Closure] | None = None
        self._accepted: set[Any] = set()
        self._last, self._repeats = torch.empty(0), 0

    def __enter__(self) -> OrbitClosedNoise:
        """Start watching for the guide's latent vector."""
        self.met = False
        return super().__enter__()

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        """Complain if it was never met."""
        super().__exit__(kind, value, traceback)
        if kind is None and not self.met:
            raise ValueError(
                "expected an AutoLocationScale guide, got one without its latent vector, because orbit-closed "
                "particles need the guide's base draws; try pyro_symvi.guides.AutoLocationScale, or symmetry=None"
            )

    def _pyro_sample(self, message: Any) -> None:
        function = message["fn"]
        if message["done"] or not message["infer"].get("is_auxiliary") or not _is_affine(function):
            return
        base = function.base_dist
        closure = self._closure_on(function.event_shape[0])
        with torch.no_grad():
            noise = base.sample()
            count = noise.shape[0] if noise.dim() > 1 else 1
            if count % closure.size:
                fitting = max(1, count // closure.size) * closure.size
                raise ValueError(
                    f"expected a number of vectorised particles that is a multiple of {closure.size}, got {count}, "
                    f"because particles come in orbits of the symmetry; try num_particles={fitting}"
                )
            drawn = noise[: count // closure.size]
            value = closure.images(drawn)
        self._check(function, noise, value, closure)
        self._watch(function, drawn, value)
        for transform in function.transforms:
            value = transform(value)
        self.copies = closure.size
        message["value"], message["done"], self.met = value, True, True

    def _closure_on(self, dim: int) -> Closure:
        """The set of images in the guide's space, made once a dimension."""
        if self._closure is not None and self._closure[0] == dim:
            return self._closure[1]
        action = _bound(self.symmetry, dim)
        if action.dim != dim:
            raise ValueError(
                f"expected an action on the {dim} unconstrained coordinates of the guide, got {action!r}, because it "
                f"moves the latent vector; try one with dim={dim}"
            )
        closure = closure_of(action, dim)
        if closure is None:
            raise ValueError(
                f"expected a group with a known equal-weight set of elements, got {action!r}, because particles have "
                "one weight each; try a finite subgroup, or the rotations of a block (EllipticalRotation)"
            )
        self._closure = dim, closure
        return closure

    def _check(self, function: Any, noise: Tensor, value: Tensor, closure: Closure) -> None:
        """The base law is invariant, and the scale can stay symmetric; once for each kind of guide."""
        if closure.flips_only:
            return
        kind = (
            closure,
            *_laws(function.base_dist),
            *((type(t), getattr(t, "pattern", None)) for t in function.transforms),
        )
        if kind in self._accepted:
            return
        base = function.base_dist
        there = base.log_prob(value)
        here = base.log_prob(noise)[: len(noise) // closure.size].repeat(closure.size, *[1] * (noise.dim() - 2))
        orthogonal = not isinstance(closure, MatrixClosure) or are_orthogonal(closure.matrices)
        if not orthogonal or not torch.allclose(there, here, rtol=1e-4, atol=1e-4):
            raise wrong_base(self.symmetry)
        if not all(_stays_symmetric(transform, closure, value.shape[-1]) for transform in function.transforms):
            raise wrong_scale(self.symmetry)
        self._accepted.add(kind)

    def _watch(self, function: Any, drawn: Tensor, value: Tensor) -> None:
        """Warn where the same particles come back at each step and leave a full scale unbounded.

        Particles that do not span the space leave a direction in which a scale can grow at no cost. Drawn afresh, they
        leave another one each time, and the objective that the steps descend on average is bounded.
        """
        if drawn.shape != self._last.shape or not torch.equal(drawn, self._last):
            self._last, self._repeats = drawn, 0
            return
        self._repeats += 1
        mixes = (dist.transforms.LowerCholeskyAffine, ScaleTransform)
        if self._repeats != 2 or not any(isinstance(transform, mixes) for transform in function.transforms):
            return
        dim = value.shape[-1]
        rank = int(torch.linalg.matrix_rank(value.reshape(-1, dim)))
        if rank < dim:
            warnings.warn(
                f"expected fresh particles at each step, or at least {dim} orbits that span the space, got the same "
                f"ones three times, of rank {rank}, because a full scale is then unbounded: it can grow where no "
                "particle looks; try setting no seed inside the loop, or more particles",
                UserWarning,
                stacklevel=2,
            )


def _has_images(action: LinearAction) -> bool:
    """Whether the group is finite or has a known equal-weight set."""
    if is_finite_linear(action):
        return True
    try:
        if isinstance(action, AffineAction) and not action.is_bound:  # whether it has does not depend on the dimension
            highest = 1 if action.coordinates is None else max(action.coordinates)
            action = _bound(action, action.dim or max(2, highest + 1))
        return closure_of(action, action._known_dim()) is not None
    except ValueError:
        return False  # a slope is open


def _bound(action: LinearAction, dim: int) -> LinearAction:
    if isinstance(action, AffineAction) and not action.is_bound:
        return action.bind(dim, center=torch.zeros(dim, dtype=torch.float64), shape=torch.eye(dim, dtype=torch.float64))
    return action


def _stays_symmetric(transform: Any, closure: Closure, dim: int) -> bool:
    """Whether the gradient at a scale that commutes with the group leads to scales that do, in the pattern's entries.

    The gradient in C is the average of a matrix, a symmetric one where gradients are radial; of it the pattern sees the
    diagonal, or the lower triangle.
    """
    matrix = torch.randn(dim, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    seen = closure.average(matrix + matrix.mT if closure.radial else matrix)
    if isinstance(transform, dist.transforms.AffineTransform):
        if isinstance(transform.scale, float) or transform.scale.dim() == 0 or transform.scale.stride(-1) == 0:
            return True  # one number
        seen = torch.diag(seen.diagonal())
    elif isinstance(transform, dist.transforms.LowerCholeskyAffine):
        seen = seen.tril()
    elif isinstance(transform.pattern, Tied):
        return True
    elif isinstance(transform.pattern, Fixed):
        seen = transform.pattern.matrix(transform.scale.detach(), dim).double()
    elif isinstance(transform.pattern, Triangular):
        rows, columns = transform.pattern.entries(dim)
        lower = torch.diag(seen.diagonal())
        lower[rows, columns] = seen[rows, columns]
        seen = lower
    else:
        return False
    return torch.allclose(closure.average(seen), seen, rtol=1e-5, atol=1e-5 * float(seen.abs().max()))


def _laws(law: Any) -> Iterator[type]:
    """The kinds of a law and of what it wraps."""
    while law is not None:
        yield type(law)
        law = getattr(law, "base_dist", None)


def _is_affine(function: Any) -> bool:
    affine = (dist.transforms.AffineTransform, dist.transforms.LowerCholeskyAffine, ScaleTransform)
    transforms = getattr(function, "transforms", ())
    return isinstance(function, dist.TransformedDistribution) and all(isinstance(t, affine) for t in transforms)
