"""The contract of a location-scale family: inherit `FamilyContract` and give the family as the fixture ``family``.

Everything is checked against what defines the family: z = loc + C xi with the base law of xi, by autograd, sums and the
base's own density. Which base law it is, is tested against SciPy elsewhere.
"""

import copy
import dataclasses
import math
import pickle

import pytest
import torch
from torch import Tensor

from pyro_symvi.families import LocationScale
from pyro_symvi.families.location_scale import Parameters


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters_of(family: LocationScale, seed: int = 0) -> Parameters:
    """Some parameters of a family, in float64."""
    loc = torch.randn(family.dim, dtype=torch.float64, generator=generator(seed))
    vector = 0.5 * torch.randn(family.scale_size, dtype=torch.float64, generator=generator(seed + 1))
    return {"loc": loc, "scale": family.scale_from_vector(vector)}


def points_of(family: LocationScale, *batch: int) -> Tensor:
    return 2 * torch.randn(*batch, family.dim, dtype=torch.float64, generator=generator(5))


class FamilyContract:
    @pytest.fixture
    def family(self) -> LocationScale:
        raise NotImplementedError("give the family under test as the fixture 'family'")

    # a frozen value

    def test_it_is_a_frozen_value(self, family: LocationScale) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            family.df = 3.0
        assert len({family, copy.deepcopy(family), pickle.loads(pickle.dumps(family))}) == 1
        assert eval(repr(family), {"LocationScale": LocationScale}) == family
        assert LocationScale(family.dim + 1, family.base, family.scale, family.df) != family

    # the scale

    def test_scale_patterns(self, family: LocationScale) -> None:
        scale = parameters_of(family)["scale"]
        assert scale.shape == {"isotropic": (), "diagonal": (family.dim,), "full": (family.dim,) * 2}[family.scale]
        matrix = family.matrix(scale)
        assert matrix.shape == (family.dim, family.dim)
        assert torch.equal(matrix, matrix.tril())
        assert float(matrix.diagonal().min()) > 0
        if family.scale != "full":
            assert torch.equal(matrix, torch.diag(matrix.diagonal()))
        if family.scale == "isotropic":
            assert len(set(matrix.diagonal().tolist())) == 1

    def test_apply_and_log_det_are_those_of_the_matrix(self, family: LocationScale) -> None:
        scale, noise = parameters_of(family)["scale"], points_of(family, 4, 3)
        matrix = family.matrix(scale)
        assert torch.allclose(family.apply(scale, noise), torch.einsum("ij,abj->abi", matrix, noise))
        assert torch.allclose(family.log_det(scale), torch.linalg.slogdet(matrix)[1])

    def test_compose_is_the_product(self, family: LocationScale) -> None:
        first, second = parameters_of(family, 1)["scale"], parameters_of(family, 2)["scale"]
        product = family.matrix(first) @ family.matrix(second)
        assert torch.allclose(family.matrix(family.compose(first, second)), product)

    def test_the_vector_covers_the_pattern(self, family: LocationScale) -> None:
        vector = torch.randn(family.scale_size, dtype=torch.float64, generator=generator(3))
        jacobian = torch.autograd.functional.jacobian(lambda v: family.matrix(family.scale_from_vector(v)), vector)
        assert int(torch.linalg.matrix_rank(jacobian.reshape(-1, family.scale_size))) == family.scale_size
        diagonal = family.matrix(family.scale_from_vector(vector)).diagonal()
        first = vector[:1].expand(family.dim) if family.scale == "isotropic" else vector[: family.dim]
        assert torch.allclose(diagonal.log(), first)

    # the law

    def test_standardize_undoes_apply(self, family: LocationScale) -> None:
        parameters, noise = parameters_of(family), points_of(family, 4, 3)
        z = parameters["loc"] + family.apply(parameters["scale"], noise)
        assert torch.allclose(family.standardize(z, parameters), noise)

    def test_log_prob_is_the_change_of_variables(self, family: LocationScale) -> None:
        parameters, z = parameters_of(family), points_of(family, 4, 3)
        noise = torch.linalg.solve(family.matrix(parameters["scale"]), (z - parameters["loc"])[..., None])[..., 0]
        base = family.law.distribution(family.dim, z).log_prob(noise)
        expected = base - torch.linalg.slogdet(family.matrix(parameters["scale"]))[1]
        assert torch.allclose(family.log_prob(z, parameters), expected)

    def test_the_pyro_distribution_is_the_same_law(self, family: LocationScale) -> None:
        parameters, z = parameters_of(family), points_of(family, 4, 3)
        law = family.distribution(parameters)
        assert law.event_shape == (family.dim,) and law.batch_shape == ()
        assert torch.allclose(law.log_prob(z), family.log_prob(z, parameters))
        noise = points_of(family, 4, 3)
        moved = family.transform(**parameters)(noise)
        assert torch.allclose(moved, parameters["loc"] + family.apply(parameters["scale"], noise))

    def test_the_law_is_even_about_its_location(self, family: LocationScale) -> None:
        parameters, z = parameters_of(family), points_of(family, 4, 3)
        reflected = 2 * parameters["loc"] - z
        assert torch.allclose(family.log_prob(z, parameters), family.log_prob(reflected, parameters))
        assert not torch.allclose(family.log_prob(z, parameters), family.log_prob(-z, parameters))

    def test_spherical_is_what_rotations_leave_alone(self, family: LocationScale) -> None:
        if family.dim == 1:
            return
        noise = points_of(family, 50)
        rotation = torch.linalg.qr(torch.randn(family.dim, family.dim, dtype=torch.float64, generator=generator(8)))[0]
        same = torch.allclose(family.log_base(noise @ rotation), family.log_base(noise), rtol=1e-9)
        assert same == family.spherical

    # statistics

    def test_correlation_is_that_of_the_scatter(self, family: LocationScale) -> None:
        parameters = parameters_of(family)
        matrix = family.matrix(parameters["scale"])
        scatter = matrix @ matrix.mT
        deviation = scatter.diagonal().sqrt()
        assert torch.allclose(family.correlation(parameters), scatter / torch.outer(deviation, deviation))
        if family.law.variance > 0 and math.isfinite(family.law.variance):
            expected = (scatter.diagonal() * family.law.variance).sqrt()
            assert torch.allclose(family.standard_deviation(parameters), expected)
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
        doubled = {"loc": parameters["loc"] + 1, "scale": 2 * parameters["scale"]}
        stretched = 2 * (quantiles - parameters["loc"]) + parameters["loc"] + 1
        assert torch.allclose(family.quantiles(levels, doubled), stretched, atol=1e-8)

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

    # dtype

    def test_float32_stays_float32(self, family: LocationScale) -> None:
        double = parameters_of(family)
        single = {name: value.float() for name, value in double.items()}
        z = points_of(family, 4)
        log_p = family.log_prob(z.float(), single)
        assert log_p.dtype == torch.float32
        assert torch.allclose(log_p.double(), family.log_prob(z, double), rtol=1e-3, atol=1e-3)
        assert family.quantiles(torch.tensor([0.2]), single).dtype == torch.float32
