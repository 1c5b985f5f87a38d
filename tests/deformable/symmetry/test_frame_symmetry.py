"""Groups on frames, points and images."""

import math

import pytest
import torch

from pyro_symvi.deformable import FrameSymmetry, bilateral, dihedral, frame_pair, half_turn, rotational
from pyro_symvi.deformable._points import grid_points, values_at
from pyro_symvi.groups import Cyclic, Dihedral, MatrixRepresentation, SignFlips, SpecialOrthogonal, SphereRotation


def quarter_turns(image: bool = True) -> FrameSymmetry:
    """C_4 that turns images too: x' = -y, y' = x."""
    angle = math.pi / 2 * torch.arange(4, dtype=torch.float64)
    plane = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).reshape(4, 2, 2)
    return FrameSymmetry(
        MatrixRepresentation(Cyclic(4), plane), MatrixRepresentation(Cyclic(4), plane.round()) if image else None
    )


def test_reflections_are_involutions() -> None:
    for symmetry in (bilateral(), bilateral(7), half_turn(4)):
        torch.testing.assert_close(
            symmetry.frame_matrices()[1] @ symmetry.frame_matrices()[1], torch.eye(symmetry.dim, dtype=torch.float64)
        )
    first, second = torch.eye(3, dtype=torch.float64)[:2]
    torch.testing.assert_close(rotational(4).frame_matrices()[1] @ first, second)  # turns go from x to y
    assert float(torch.linalg.det(bilateral().frame_matrices()[1])) == -1
    assert float(torch.linalg.det(half_turn().frame_matrices()[1])) == 1


@pytest.mark.parametrize("symmetry", [bilateral(), dihedral(4), quarter_turns()], ids=str)
def test_images_and_points_move_together(symmetry: FrameSymmetry) -> None:
    """(M_g I)(M_g u) = I(u), and M_g (M_h I) = M_gh I."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 2, 6, 6, generator=generator, dtype=torch.float64).expand(symmetry.order, -1, -1, -1)
    every = torch.arange(symmetry.order)
    moved = symmetry.on_images(every, images)
    points = grid_points(6, 6, like=images).expand(symmetry.order, -1, -1)
    torch.testing.assert_close(values_at(moved, symmetry.on_points(every, points)), images.flatten(2))
    elements = symmetry.group.elements()
    for h in range(symmetry.order):
        product = symmetry.group.compose(elements, elements[h].expand_as(elements))
        index = torch.stack([(elements == p).reshape(len(elements), -1).all(-1).nonzero()[0, 0] for p in product])
        again = symmetry.on_images(every, symmetry.on_images(torch.full_like(every, h), images))
        assert torch.equal(again, moved[index])


def test_oblong_images_have_no_quarter_turns() -> None:
    images, every = torch.rand(4, 1, 4, 6), torch.arange(4)
    with pytest.raises(ValueError, match=r"expected square images, got 4 x 6 .*quarter turn"):
        quarter_turns().on_images(every, images)
    assert torch.equal(bilateral().on_images(torch.tensor([1, 0, 1, 0]), images)[0], images[0].flip(-1))
    assert torch.equal(bilateral().on_images(torch.tensor([1, 0, 1, 0]), images)[1], images[1])


def test_thirds_of_a_turn_with_entries_of_exactly_a_half_are_refused() -> None:
    turn = torch.tensor([[-0.5, -(0.75**0.5)], [0.75**0.5, -0.5]], dtype=torch.float64)  # rounds to a quarter turn
    plane = MatrixRepresentation(Cyclic(3), torch.stack([torch.eye(2, dtype=torch.float64), turn, turn.mT]))
    with pytest.raises(ValueError, match="expected mirror images and quarter turns"):
        FrameSymmetry(plane, plane)


def test_what_is_no_symmetry_is_refused() -> None:
    third = 2 * math.pi / 3 * torch.arange(3, dtype=torch.float64)
    turns = torch.stack([third.cos(), -third.sin(), third.sin(), third.cos()], -1).reshape(3, 2, 2)
    plane = MatrixRepresentation(Cyclic(3), turns)
    with pytest.raises(ValueError, match="expected mirror images and quarter turns .*pixels to pixels"):
        FrameSymmetry(plane, plane)
    shear = torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match="expected orthogonal matrices on the frame"):
        FrameSymmetry(MatrixRepresentation(Cyclic(3), shear @ turns @ torch.linalg.inv(shear)))
    with pytest.raises(TypeError, match="expected a linear action of a finite group"):
        FrameSymmetry(SphereRotation(3))
    with pytest.raises(TypeError, match="expected a linear action of a finite group"):
        FrameSymmetry(SpecialOrthogonal(3))  # type: ignore[arg-type]
    frame = MatrixRepresentation(SignFlips(1), torch.stack([torch.eye(3), torch.diag(torch.tensor([-1.0, 1, 1]))]))
    with pytest.raises(ValueError, match="expected a linear action of SignFlips"):
        FrameSymmetry(frame, MatrixRepresentation(Cyclic(2), torch.eye(2).expand(2, 2, 2)))
    with pytest.raises(ValueError, match="expected mirror images and quarter turns"):
        FrameSymmetry(frame, frame)
    assert rotational(4).moves_images is False and dihedral(3).moves_images and dihedral(3).group == Dihedral(3)


def test_frame_pair_belongs_together() -> None:
    """The frame Phi(u; I) = (x, y, I(u)) of a network that sees where it is: Phi(M u; M I) = (M u, I(u))."""
    symmetry = quarter_turns()

    def network(images: torch.Tensor) -> torch.Tensor:
        points = grid_points(6, 6, like=images).mT.reshape(1, 2, 6, 6).expand(len(images), -1, -1, -1)
        return torch.cat([points, images], 1)

    images = torch.rand(2, 1, 6, 6, dtype=torch.float64)
    first, second = frame_pair(network, images, symmetry, 1)
    torch.testing.assert_close(second[:, :2], symmetry.on_frames(torch.tensor([1, 1]), first[:, :2]))
    assert torch.equal(second[:, 2], images[:, 0])
    with pytest.raises(ValueError, match="expected the number of an element, 0 to 3, got 4"):
        frame_pair(network, images, symmetry, 4)
