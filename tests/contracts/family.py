"""The contracts of families: inherit `ClosureContract` (any family) or `FamilyContract` (location-scale ones).

Give the family as the fixture ``family``. Everything is checked against what defines the family: z = loc + C xi with
the base law of xi, by autograd, sums and the base's own density. Which base law it is, is tested against SciPy
elsewhere.
"""

import copy
import dataclasses
import math
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from pyro_symvi import distributions, families, groups
from pyro_symvi.families import Family, LocationScale, Parameters
from pyro_symvi.families.scales import LowRank, Tied
from pyro_symvi.groups import LinearAction

NAMES = {**vars(distributions), **vars(families), **vars(groups)}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters_of(family: LocationScale, seed: int = 0, *batch: int) -> Parameters:
    """Some parameters of a family, in float64."""
    if batch:
        each = [parameters_of(family, seed + 10 * k) for k in range(math.prod(batch))]
        return {name: torch.stack([p[name] for p in each]).reshape(*batch, *each[0][name].shape) for name in each[0]}
    loc = torch.randn(family.dim, dtype=torch.float64, generator=generator(seed))
    vector = 0.5 * torch.randn(family.scale_size, dtype=torch.float64, generator=generator(seed + 1))
    found = {"loc": loc, "scale": family.scale_from_vector(vector)}
    return {**family.initial(1.0, loc), **found}


def points_of(family: LocationScale, *batch: int) -> Tensor:
    """Points within a few scales; inside the unit ball's image for laws of bounded support."""
    z = torch.randn(*batch, family.dim, dtype=torch.float64, generator=generator(5))
    return 2 * z if family.law.full_support else z / (1 + z.norm(dim=-1, keepdim=True))


def actions_on(dim: int) -> dict[str, groups.Action]:
    """Actions on R^dim, dim >= 3, of every kind that matters to closure, bound, about one general centre."""
    center = torch.linspace(-0.7, 1.1, dim, dtype=torch.float64)
    shear = torch.eye(dim, dtype=torch.float64)
    shear[1, 0], shear[2, 0] = 0.6, -0.3
    mirror = torch.diag(torch.tensor([-1.0] + [1.0] * (dim - 1), dtype=torch.float64))
    rotated = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=generator(4)))[0]
    ellipse = rotated @ torch.diag(torch.linspace(0.5, 3, dim, dtype=torch.float64)) @ rotated.mT
    plane = torch.eye(dim, dtype=torch.float64)
    plane[:2, :2] = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    turn = torch.eye(dim, dtype=torch.float64)
    angle = torch.tensor(2 * math.pi / 3, dtype=torch.float64)
    turn[:2, :2] = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    slope = torch.linspace(0.3, -0.8, dim - 1, dtype=torch.float64)[None]

    def natural(matrix: Tensor) -> groups.Action:
        return groups.NaturalAction(groups.FiniteMatrixGroup.generated_by([matrix]))

    return {
        "flip the first": groups.PointReflection(coordinates=[0]).bind(dim, center=center),
        "even": groups.PointReflection().bind(dim, center=center),
        "flip the last two": groups.PointReflection(coordinates=[dim - 2, dim - 1]).bind(dim, center=center),
        "all flips": groups.AxisFlips().bind(dim, center=center),
        "permutations": groups.CoordinatePermutation(dim),
        "swap of two": groups.CoordinatePermutation(dim, blocks=[[0], [1]]),
        "signed permutations": groups.SignedCoordinatePermutation(dim),
        "quarter turn": natural(plane),
        "third of a turn": natural(turn),
        "sheared reflection": natural(shear @ mirror @ shear.inverse()),
        "regression of the last": groups.ConditionalReflection([dim - 1], 0.4, slope).bind(dim),
        "regression of the first": groups.ConditionalReflection([0], 0.4, slope).bind(dim),
        "rotations": groups.SphereRotation(dim),
        "about an axis": groups.AxialRotation(torch.linspace(1.0, 2.0, dim, dtype=torch.float64)),
        "ellipse": groups.EllipticalRotation().bind(dim, center=center, shape=ellipse),
        "antipodal": groups.Antipodal(dim),
        "translations": groups.TranslationAction(dim, torch.ones(dim, 1)),
        "block signs": groups.BlockSigns(dim, [[0, 1]]),
    }  # fmt: skip


def elements_of(action: groups.Action, count: int = 3) -> Tensor:
    """A few group elements, none of them the identity if it can be helped."""
    group = action.group
    if group.is_finite and group.order <= 8:
        return group.elements(dtype=torch.float64)[1:]
    if isinstance(action, groups.TranslationAction):
        return torch.randn(count, 1, dtype=torch.float64, generator=generator(3))
    return group.sample(count, dtype=torch.float64, generator=generator(3))


class ClosureContract:
    """What `Family.closure` and `push_forward` promise; a family gives ``actions``, ``parameters``, ``points``."""

    @pytest.fixture
    def family(self) -> Family:
        raise NotImplementedError("give the family under test as the fixture 'family'")

    def actions(self, family: Any) -> dict[str, groups.Action]:
        return actions_on(family.dim)

    def parameters(self, family: Any) -> Parameters:
        return parameters_of(family)

    def points(self, family: Any, parameters: Parameters) -> Tensor:
        return parameters["loc"] + family.apply(parameters["scale"], points_of(family, 5))

    def test_where_it_is_closed_the_moved_law_is_the_law_of_the_moved_parameters(self, family: Any) -> None:
        """q_{g theta}(g z) |det g| = q_theta(z), for random points and group elements."""
        parameters = self.parameters(family)
        z = self.points(family, parameters)
        for name, action in self.actions(family).items():
            closure = family.closure(action)
            assert closure.reason and bool(closure) is closure.holds
            if not closure:
                continue
            for g in elements_of(action):
                moved = family.push_forward(parameters, action, g)
                log_p = family.log_prob(action.act(g, z), moved) + action.log_abs_det(g, z)
                assert torch.allclose(log_p, family.log_prob(z, parameters), rtol=1e-8, atol=1e-8), name

    def test_where_it_is_not_closed_it_says_why_and_moves_nothing(self, family: Any) -> None:
        parameters = self.parameters(family)
        for action in self.actions(family).values():
            closure = family.closure(action)
            if not closure:
                with pytest.raises(
                    ValueError, match="expected an action that .* is closed under, got .* because .*; try"
                ):
                    family.push_forward(parameters, action, elements_of(action)[0])

    def test_what_is_no_action_on_its_space_is_refused(self, family: Any) -> None:
        with pytest.raises(TypeError, match="expected an action of pyro_symvi.groups, got .* because .*; try"):
            family.closure("even")
        with pytest.raises(ValueError, match="expected an action on vectors of length .* got .* because .*; try"):
            family.closure(groups.SphereRotation(family.dim + 1))


class FamilyContract(ClosureContract):
    @pytest.fixture
    def family(self) -> LocationScale:
        raise NotImplementedError("give the family under test as the fixture 'family'")

    def actions(self, family: Any) -> dict[str, groups.Action]:
        return (
            actions_on(family.dim)
            if family.dim > 2
            else {"even": groups.PointReflection().bind(family.dim, center=0.3)}
        )

    # a frozen value

    def test_it_is_a_frozen_value(self, family: LocationScale) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            family.df = 3.0
        assert len({family, copy.deepcopy(family), pickle.loads(pickle.dumps(family))}) == 1
        assert "tensor" in repr(family) or eval(repr(family), NAMES) == family
        assert LocationScale(family.dim, "normal", "isotropic") != family or family.base == "normal"

    # closure

    def test_where_the_scatter_leaves_the_pattern_it_is_not_closed(self, family: LocationScale) -> None:
        """And where it does not, but the law with that scatter is another one. Neither may be called closed.

        For a pattern in which the scatter determines C, the pushed-forward law can be in the family only as the law
        with that C; the densities then agree, or it is not closed. So `closure` is tested in both directions.
        """
        if isinstance(family.pattern, LowRank | Tied) or family.dim < 3:
            return  # the scatter does not determine C (low rank), or C is not a triangular root of it (tied)
        parameters = parameters_of(family, 3)
        z = self.points(family, parameters)
        matrix = family.matrix(parameters["scale"])
        for name, action in actions_on(family.dim).items():
            if not isinstance(action, LinearAction) or family.scale_size == 0:
                continue
            same = True
            for g in elements_of(action):
                linear = action.matrix(g)
                root = torch.linalg.cholesky(linear @ matrix @ matrix.mT @ linear.mT)
                scale = {"isotropic": root[0, 0], "diagonal": root.diagonal()}.get(family.pattern.name, root)
                inside = torch.allclose(family.matrix(scale), root, rtol=0, atol=1e-9)
                allowed = family.pattern.complaint(torch.where(root.abs() < 1e-12, 0.0, root)) is None
                if not inside or not (allowed or scale is not root):
                    same = False
                    continue
                law = {**parameters, "loc": action.act(g, parameters["loc"]), "scale": scale}
                moved = family.log_prob(action.act(g, z), law) + action.log_abs_det(g, z)
                same &= torch.allclose(moved, family.log_prob(z, parameters), rtol=1e-7, atol=1e-7)
            assert bool(family.closure(action)) == same, name

    def test_an_open_action_is_closed_where_all_its_bound_ones_are(self, family: LocationScale) -> None:
        assert family.closure(groups.PointReflection())
        assert not family.closure(groups.PointReflection()).moves_scale
        assert family.closure(groups.AxisFlips()) == family.closure(groups.AxisFlips(center=0.3))
        wide = family.spherical and family.pattern.name == "full"
        assert bool(family.closure(groups.EllipticalRotation())) == wide
        with pytest.raises(ValueError, match=r"expected a bound action, got .* because .*; try .bind"):
            family.push_forward(parameters_of(family), groups.PointReflection(), torch.tensor([-1.0]))

    def test_what_leaves_the_scale_alone_does(self, family: LocationScale) -> None:
        for name, action in self.actions(family).items():
            closure = family.closure(action)
            if not closure:
                continue
            moves = False
            for seed in range(3):
                parameters = parameters_of(family, seed)
                matrix = family.matrix(parameters["scale"])
                for g in elements_of(action):
                    moved = family.matrix(family.push_forward(parameters, action, g)["scale"])
                    moves |= not torch.allclose(moved @ moved.mT, matrix @ matrix.mT, atol=1e-9)
            assert moves <= closure.moves_scale, name
            if not isinstance(family.pattern, Tied | LowRank):
                assert moves == closure.moves_scale, name

    # the scale

    def test_scale_patterns(self, family: LocationScale) -> None:
        scale = parameters_of(family)["scale"]
        matrix = family.matrix(scale)
        assert matrix.shape == (family.dim, family.dim)
        assert family.pattern.complaint(scale) is None
        assert float(torch.linalg.det(matrix)) > 0
        if not family.pattern.mixes:
            assert torch.equal(matrix, torch.diag(matrix.diagonal()))
        start = family.matrix(family.initial(0.3, matrix)["scale"])
        if family.scale_size:
            assert torch.allclose(start, 0.3 * torch.eye(family.dim, dtype=torch.float64), atol=1e-3)

    def test_apply_and_log_det_are_those_of_the_matrix(self, family: LocationScale) -> None:
        scale, noise = parameters_of(family)["scale"], points_of(family, 4, 3)
        matrix = family.matrix(scale)
        assert torch.allclose(family.apply(scale, noise), torch.einsum("ij,abj->abi", matrix, noise))
        assert torch.allclose(family.log_det(scale), torch.linalg.slogdet(matrix)[1])

    def test_the_vector_covers_the_pattern(self, family: LocationScale) -> None:
        vector = torch.randn(family.scale_size, dtype=torch.float64, generator=generator(3))
        if family.scale_size == 0:
            assert torch.equal(family.scale_from_vector(vector), family.initial(1.0, vector.new_zeros(()))["scale"])
            return
        jacobian = torch.autograd.functional.jacobian(lambda v: family.matrix(family.scale_from_vector(v)), vector)
        assert int(torch.linalg.matrix_rank(jacobian.reshape(-1, family.scale_size))) == min(
            family.scale_size, family.dim**2
        )

    def test_around_moves_from_the_reference(self, family: LocationScale) -> None:
        reference = parameters_of(family, 2)
        root = torch.linalg.cholesky(torch.eye(family.dim, dtype=torch.float64) * 2)
        still = family.around(reference, root, torch.zeros(family.size, dtype=torch.float64))
        assert all(torch.allclose(still[name], reference[name]) for name in reference)
        x = 0.3 * torch.randn(family.size, dtype=torch.float64, generator=generator(1))
        moved = family.around(reference, root, x)
        assert torch.allclose(moved["loc"], reference["loc"] + root @ x[: family.dim])
        assert all(family.complaint(name, value) is None for name, value in moved.items())

    def test_batches_are_the_single_laws(self, family: LocationScale) -> None:
        parameters = parameters_of(family, 0, 2, 3)
        if family.scale_size == 0:
            parameters["scale"] = family.initial(1.0, parameters["loc"])["scale"]
        law = family.distribution(parameters)
        assert law.batch_shape == (2, 3) and law.event_shape == (family.dim,)
        torch.manual_seed(0)
        z = law.rsample((4,))
        assert z.shape == (4, 2, 3, family.dim)
        log_p = law.log_prob(z)
        assert torch.allclose(log_p, family.log_prob(z, parameters))
        one = {n: v[1, 2] if v.shape[:2] == (2, 3) else v for n, v in parameters.items()}
        assert torch.allclose(log_p[:, 1, 2], family.log_prob(z[:, 1, 2], one))
        levels = torch.tensor([0.2, 0.9], dtype=torch.float64)
        column = {n: v[:, 2:] if v.shape[:2] == (2, 3) else v for n, v in parameters.items()}
        quantiles = family.quantiles(levels, column)
        assert quantiles.shape == (2, 2, 1, family.dim)
        assert torch.allclose(quantiles[:, 1, 0], family.quantiles(levels, one))
        assert not torch.allclose(quantiles[:, 0, 0], quantiles[:, 1, 0])

    # the law

    def test_standardize_undoes_apply(self, family: LocationScale) -> None:
        parameters, noise = parameters_of(family), points_of(family, 4, 3)
        z = parameters["loc"] + family.apply(parameters["scale"], noise)
        assert torch.allclose(family.standardize(z, parameters), noise)

    def test_log_prob_is_the_change_of_variables(self, family: LocationScale) -> None:
        parameters = parameters_of(family)
        z = self.points(family, parameters)
        noise = torch.linalg.solve(family.matrix(parameters["scale"]), (z - parameters["loc"])[..., None])[..., 0]
        base = family.base_distribution(z, parameters).log_prob(noise)
        expected = base - torch.linalg.slogdet(family.matrix(parameters["scale"]))[1]
        assert torch.allclose(family.log_prob(z, parameters), expected)

    def test_the_pyro_distribution_is_the_same_law(self, family: LocationScale) -> None:
        parameters = parameters_of(family)
        z = self.points(family, parameters)
        law = family.distribution(parameters)
        assert law.event_shape == (family.dim,) and law.batch_shape == ()
        assert torch.allclose(law.log_prob(z), family.log_prob(z, parameters))
        noise = points_of(family, 4, 3)
        transform = family.transform(parameters["loc"], parameters["scale"])
        moved = transform(noise)
        assert torch.allclose(moved, parameters["loc"] + family.apply(parameters["scale"], noise))
        assert torch.allclose(transform.inv(moved), noise)

    def test_the_law_is_even_about_its_location(self, family: LocationScale) -> None:
        parameters = parameters_of(family)
        z = self.points(family, parameters)
        reflected = 2 * parameters["loc"] - z
        assert torch.allclose(family.log_prob(z, parameters), family.log_prob(reflected, parameters))
        assert not torch.allclose(family.log_prob(z, parameters), family.log_prob(-z, parameters))

    def test_spherical_is_what_rotations_leave_alone(self, family: LocationScale) -> None:
        if family.dim == 1:
            return
        noise, parameters = points_of(family, 50), parameters_of(family)
        rotation = torch.linalg.qr(torch.randn(family.dim, family.dim, dtype=torch.float64, generator=generator(8)))[0]
        turned = family.log_base(noise @ rotation, parameters)
        assert torch.allclose(turned, family.log_base(noise, parameters), rtol=1e-9) == family.spherical

    # statistics

    def test_correlation_is_that_of_the_scatter(self, family: LocationScale) -> None:
        parameters = parameters_of(family)
        matrix = family.matrix(parameters["scale"])
        scatter = matrix @ matrix.mT
        deviation = scatter.diagonal().sqrt()
        assert torch.allclose(family.correlation(parameters), scatter / torch.outer(deviation, deviation))
        variance = family.at(parameters).law.variance(family.dim)
        if variance > 0 and math.isfinite(variance):
            assert torch.allclose(family.standard_deviation(parameters), (scatter.diagonal() * variance).sqrt())
        else:
            assert not bool(torch.isfinite(family.standard_deviation(parameters)).any())

    def test_quantiles_are_symmetric_increasing_and_equivariant(self, family: LocationScale) -> None:
        parameters = parameters_of(family)
        levels = torch.tensor([0.01, 0.3, 0.5, 0.7, 0.99], dtype=torch.float64)
        quantiles = family.quantiles(levels, parameters)
        assert quantiles.shape == (5, family.dim)
        assert torch.allclose(quantiles + quantiles.flip(0), 2 * parameters["loc"].expand(5, -1), atol=1e-9)
        assert torch.equal(quantiles[2], parameters["loc"])
        assert bool((quantiles.diff(dim=0) > 0).all())
        moved = {**parameters, "loc": parameters["loc"] + 1}
        assert torch.allclose(family.quantiles(levels, moved), quantiles + 1, atol=1e-9)

    def test_quantiles_against_draws(self, family: LocationScale) -> None:
        """Share of 20,000 draws below each quantile; standard error sqrt(u (1 - u) / n) <= 0.0036, five of them."""
        parameters = parameters_of(family)
        levels = torch.tensor([0.1, 0.25, 0.8], dtype=torch.float64)
        n = 20_000
        with torch.random.fork_rng():
            torch.manual_seed(11)
            draws = family.distribution(parameters).sample((n,))
        share = (draws[None] <= family.quantiles(levels, parameters)[:, None]).double().mean(1)
        error = (levels * (1 - levels) / n).sqrt()[:, None]
        assert bool(((share - levels[:, None]).abs() <= 5 * error).all())

    # starting points

    def test_reverse_kl_start_for_a_normal_target(self, family: LocationScale) -> None:
        """At `from_root` reverse KL between normals, -log|C| + tr(P C C^T) / 2, is stationary (not for low rank)."""
        if family.scale_size == 0 or isinstance(family.pattern, LowRank):
            return
        root = torch.randn(family.dim, family.dim, dtype=torch.float64, generator=generator(6)).tril()
        root = root + 2 * torch.eye(family.dim, dtype=torch.float64)
        root = root * root.diagonal().sign()
        precision = torch.cholesky_inverse(root)
        start = family.pattern.from_root(root)
        assert family.pattern.complaint(start) is None
        x = torch.zeros(family.scale_size, dtype=torch.float64, requires_grad=True)
        scale = family.pattern.around(start, x)
        matrix = family.matrix(scale)
        divergence = -family.log_det(scale) + (precision @ matrix @ matrix.mT).diagonal().sum() / 2
        (gradient,) = torch.autograd.grad(divergence, x)
        assert float(gradient.abs().max()) < 1e-9

    def test_maximum_likelihood_scale_for_a_covariance(self, family: LocationScale) -> None:
        """At `from_covariance` log|C| + tr(S^-1 Cov) / 2 is stationary."""
        root = torch.randn(family.dim, family.dim, dtype=torch.float64, generator=generator(6)).tril()
        covariance = root @ root.mT + torch.eye(family.dim, dtype=torch.float64)
        found = family.pattern.from_covariance(covariance)
        if found is None or family.scale_size == 0:
            assert isinstance(family.pattern, LowRank) or family.scale_size == 0
            return
        x = torch.zeros(family.scale_size, dtype=torch.float64, requires_grad=True)
        scale = family.pattern.around(found, x)
        matrix = family.matrix(scale)
        value = family.log_det(scale) + torch.linalg.solve(matrix @ matrix.mT, covariance).diagonal().sum() / 2
        (gradient,) = torch.autograd.grad(value, x)
        assert float(gradient.abs().max()) < 1e-9

    # dtype

    def test_float32_stays_float32(self, family: LocationScale) -> None:
        double = parameters_of(family)
        single = {name: value.float() for name, value in double.items()}
        z = self.points(family, double)
        log_p = family.log_prob(z.float(), single)
        assert log_p.dtype == torch.float32
        assert torch.allclose(log_p.double(), family.log_prob(z, double), rtol=1e-3, atol=1e-3)
        assert family.quantiles(torch.tensor([0.2]), single).dtype == torch.float32
        moved = family.push_forward(single, groups.PointReflection().bind(family.dim, center=0.0), torch.tensor([-1.0]))
        assert {value.dtype for value in moved.values()} == {torch.float32}
