"""Lowest Hessian eigenvalues in a part: closed forms, the full Hessian, committees, and what is refused."""

import dataclasses
import functools
import math

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import (
    CoordinatePermutation,
    Cyclic,
    FiniteMatrixGroup,
    NaturalAction,
    Orthogonal,
    PointReflection,
    SignedPermutations,
    SignedUnitPermutation,
    Symmetric,
)
from pyro_symvi.multiindex import (
    Instability,
    Link,
    committee_elbo,
    irrep_instability,
    project_irrep,
    standard_curvature,
)

F64 = torch.float64


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def data(link: Link, units: int = 3, dim: int = 5, n: int = 15) -> tuple[Tensor, Tensor]:
    x, w = normal(n, dim), normal(units, dim, seed=1) / math.sqrt(dim)
    return x, link(x @ w.mT).sum(-1) / math.sqrt(units) + 0.5 * normal(n, seed=2)


@functools.cache
def committee(activation: str):
    """The bound of a committee under independent normal weights, without draws, of loc and log_scale."""
    link = Link.of(activation)
    x, y = data(link)
    return lambda q: committee_elbo(q["loc"], q["log_scale"].exp(), x, y, activation=link, noise=0.25)


def tied(units: int = 3, dim: int = 5, loc: float = 0.3) -> dict[str, Tensor]:
    return {
        "loc": (loc * normal(1, dim, seed=3)).repeat(units, 1),
        "log_scale": torch.full((units, 1), -0.8, dtype=F64),
    }


def full_hessian(elbo, params: dict[str, Tensor]) -> Tensor:
    """Of minus the ELBO on the concatenated parameters, by torch."""

    def loss(flat: Tensor) -> Tensor:
        parts = flat.split([v.numel() for v in params.values()])
        return -elbo({name: part.reshape(v.shape) for part, (name, v) in zip(parts, params.items(), strict=True)})

    return torch.autograd.functional.hessian(loss, torch.cat([v.reshape(-1) for v in params.values()]))


# -- closed forms ----------------------------------------------------------------------------------------------------


def exchangeable(units: int, own: Tensor, shared: Tensor):
    """Loss (1/2) sum_k w_k.A w_k + (1/2) s.B s with s = sum_k w_k: A on contrasts, A + p B on the mean."""
    return lambda w: -((w @ own * w).sum() + w.sum(0) @ shared @ w.sum(0)) / 2


def test_quadratic_form_under_permutations():
    own, shared = normal(4, 4, seed=5), normal(4, 4, seed=6)
    own, shared = own + own.mT, shared + shared.mT
    elbo, start = exchangeable(5, own, shared), normal(1, 4).repeat(5, 1)
    found = irrep_instability(elbo, start, Symmetric(5))
    values, vectors = torch.linalg.eigh(own)
    assert found.eigenvalue == pytest.approx(float(values[0]), abs=1e-7)
    assert found.converged and found.residual < 1e-6 and found.iterations <= 4 and found.dimension == 16
    assert float(found.direction.sum(0).abs().max()) < 1e-12 and float(found.direction.norm()) == pytest.approx(1.0)
    assert float((found.direction @ vectors[:, 0]).norm()) == pytest.approx(1.0, abs=1e-9)
    fixed = irrep_instability(elbo, start, Symmetric(5), "trivial")
    assert fixed.eigenvalue == pytest.approx(float(torch.linalg.eigvalsh(own + 5 * shared)[0]), abs=1e-6)
    assert fixed.eigenvalue != pytest.approx(found.eigenvalue, abs=1e-2)  # the parts are not mixed up
    assert irrep_instability(elbo, start, Symmetric(5), 1).eigenvalue == pytest.approx(found.eigenvalue, abs=1e-9)


@pytest.mark.parametrize("curvature", [-1.0, 0.5])
def test_double_well_is_a_saddle_and_a_well_is_none(curvature):
    """ELBO -c w^2 / 2 - w^4 / 4 for each of three units: the loss has curvature c at 0, both ways."""
    group = SignedPermutations(3)
    found = irrep_instability(lambda w: (-curvature * w**2 / 2 - w**4 / 4).sum(), torch.zeros(3, 2, dtype=F64), group)
    assert found.eigenvalue == pytest.approx(curvature, abs=1e-12)
    assert found.is_unstable == (curvature < 0) and found.dimension == 6 and found.iterations == 1
    assert ("saddle" in found.report()) == (curvature < 0) and found.to_dict()["eigenvalue"] == found.eigenvalue


def test_the_direction_raises_the_bound_by_the_stated_amount():
    elbo, start = committee("gelu"), tied()
    found = irrep_instability(elbo, start, Symmetric(3))
    t = 1e-3
    moved = {name: start[name] + t * found.direction[name] for name in start}
    back = {name: start[name] - t * found.direction[name] for name in start}
    rise = (elbo(moved) + elbo(back) - 2 * elbo(start)) / t**2
    assert float(rise) == pytest.approx(-found.eigenvalue, rel=1e-4)


# -- the full Hessian ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_permutations_against_the_full_hessian(activation):
    elbo, start = committee(activation), tied()
    found = irrep_instability(elbo, start, Symmetric(3))
    contrast = torch.eye(3, dtype=F64) - 1 / 3
    projection = torch.block_diag(torch.kron(contrast, torch.eye(5, dtype=F64)), contrast)
    lift = 1e4 * (torch.eye(18, dtype=F64) - projection)  # the rest of the space, out of the way
    values = torch.linalg.eigvalsh(projection @ full_hessian(elbo, start) @ projection + lift)
    assert found.eigenvalue == pytest.approx(float(values[0]), abs=1e-6)
    assert values[0] == pytest.approx(values[1])  # one irreducible part: its dimension is 2
    assert found.converged and found.iterations <= 6  # at most one product for each of the six copies
    assert found.gradient_norm < 1e-12  # at a gradient of norm 30
    assert float(gradient_norm_of(elbo, start)) > 10.0


@pytest.mark.parametrize("activation", ["b4", "abs"])
def test_signed_permutations_against_the_full_hessian(activation):
    elbo, start = committee(activation), tied(loc=0.0)
    found = irrep_instability(elbo, start, SignedPermutations(3), unsigned=["log_scale"])
    hessian = full_hessian(elbo, start)
    assert found.eigenvalue == pytest.approx(float(torch.linalg.eigvalsh(hessian[:15, :15])[0]), abs=1e-6)
    assert float(hessian[:15, 15:].abs().max()) < 1e-9  # parts do not mix
    assert found.gradient_norm < 1e-12 and float(found.direction["log_scale"].abs().max()) == 0.0
    scales = irrep_instability(elbo, start, SignedPermutations(3), "contrast", unsigned=["log_scale"])
    contrast = torch.eye(3, dtype=F64) - 1 / 3
    ours = torch.linalg.eigvalsh(contrast @ hessian[15:, 15:] @ contrast)
    assert scales.dimension == 2 and float((ours - scales.eigenvalue).abs().min()) < 1e-8


def test_permutations_against_the_block_of_one_copy():
    """The other way to the same number: the block of a single copy by formula (2d of them, scaled by sqrt d)."""
    link = Link.of("gelu")
    x, y = data(link)
    loc, scale = 0.3 * normal(5, seed=3), normal(5, seed=4).exp() / 3

    def elbo(q: dict[str, Tensor]) -> Tensor:
        scales = q["log_scale"].exp()
        return committee_elbo(q["loc"] / math.sqrt(5), scales, x, y, activation=link, noise=0.25)

    start = {"loc": math.sqrt(5) * loc.repeat(3, 1), "log_scale": scale.log().repeat(3, 1)}
    block = standard_curvature(loc, scale, x, y, units=3, activation=link, noise=0.25)
    found = irrep_instability(elbo, start, Symmetric(3))
    assert found.eigenvalue == pytest.approx(float(torch.linalg.eigvalsh(block)[0]), rel=1e-7)


def test_a_flat_vector_and_other_groups():
    """The same committee as a flat vector under actions on it; cyclic shifts know less and see the same minimum."""
    elbo, start = committee("gelu"), tied()
    loc, scale = start["loc"], start["log_scale"]
    expected = irrep_instability(lambda w: elbo({"loc": w, "log_scale": scale}), loc, Symmetric(3))
    blocks = [range(5 * k, 5 * k + 5) for k in range(3)]

    def flat(w: Tensor) -> Tensor:
        return elbo({"loc": w.reshape(3, 5), "log_scale": scale})

    for action in (CoordinatePermutation(15, blocks), CoordinatePermutation(15, blocks, Cyclic(3))):
        found = irrep_instability(flat, loc.reshape(-1), action)
        assert found.eigenvalue == pytest.approx(expected.eigenvalue, abs=1e-6)
    for group, irrep in ((Cyclic(3), "standard"), (Symmetric(3), "[2,1]"), (Symmetric(3), Symmetric(3).irreps()[2])):
        found = irrep_instability(lambda w: elbo({"loc": w, "log_scale": scale}), loc, group, irrep)
        assert found.eigenvalue == pytest.approx(expected.eigenvalue, abs=1e-6)
    even = committee("b4")

    def signed(w: Tensor) -> Tensor:
        return even({"loc": w.reshape(3, 5), "log_scale": scale})

    found = irrep_instability(signed, torch.zeros(15, dtype=F64), SignedUnitPermutation(15, blocks))
    dense = torch.autograd.functional.hessian(lambda w: -signed(w), torch.zeros(15, dtype=F64))
    assert found.eigenvalue == pytest.approx(float(torch.linalg.eigvalsh(dense)[0]), abs=1e-6)


def test_unit_axes_and_parameters_that_do_not_move():
    params = {"a": torch.zeros(2, 4, dtype=F64), "noise": torch.ones((), dtype=F64)}

    def elbo(q: dict[str, Tensor]) -> Tensor:
        return -(q["noise"] * q["a"].square()).sum() - 5 * q["noise"] ** 2

    found = irrep_instability(elbo, params, Symmetric(4), axes={"a": 1, "noise": None})
    assert found.eigenvalue == pytest.approx(2.0) and found.dimension == 6
    assert float(found.direction["noise"]) == 0.0 and params["a"].requires_grad is False


def test_the_projections_sum_to_the_parameters():
    values = {"loc": normal(3, 4), "log_scale": normal(3, 1)}
    group, unsigned = SignedPermutations(3), ["log_scale"]
    parts = [project_irrep(values, group, i, unsigned=unsigned) for i in ("trivial", "standard", "contrast")]
    for name, value in values.items():
        assert torch.allclose(sum(part[name] for part in parts), value)
    assert float(parts[0]["loc"].abs().max()) == 0.0
    assert torch.allclose(parts[0]["log_scale"], values["log_scale"].mean(0).expand(3, 1))
    w = normal(4, 2)
    assert torch.allclose(project_irrep(w, Symmetric(4)), w - w.mean(0))
    listed = [project_irrep(values, group, i.label, unsigned=unsigned) for i in group.irreps()]
    turned = normal(5, 2)  # two of the three parts of Cyclic(5) are of complex type
    for name, value in values.items():
        assert torch.allclose(sum(part[name] for part in listed), value)
        assert any(torch.allclose(part[name], parts[0][name]) for part in listed)  # the one of the trivial label
    parts = [project_irrep(turned, Cyclic(5), irrep) for irrep in Cyclic(5).irreps()]
    assert torch.allclose(sum(parts), turned) and all(float(part.norm()) > 0.1 for part in parts)


def test_without_the_check_the_part_of_the_hessian_is_taken():
    """A quadratic form that is not invariant: the lowest eigenvalue of P H P on the range of P."""
    root = normal(6, 6)
    hessian = root + root.mT
    found = irrep_instability(
        lambda w: -(w.reshape(-1) @ hessian @ w.reshape(-1)) / 2, torch.zeros(3, 2, dtype=F64), Symmetric(3),
        check=False,
    )  # fmt: skip
    frame = torch.linalg.qr(torch.eye(3, dtype=F64) - 1 / 3)[0][:, :2].contiguous()
    part = torch.kron(frame, torch.eye(2, dtype=F64))
    assert found.eigenvalue == pytest.approx(float(torch.linalg.eigvalsh(part.mT @ hessian @ part)[0]), rel=1e-9)
    assert float(found.direction.sum(0).abs().max()) < 1e-12


def test_single_precision_and_few_products():
    elbo = exchangeable(5, torch.diag(torch.tensor([-2.0, 1.0, 3.0])), torch.zeros(3, 3))
    found = irrep_instability(elbo, torch.zeros(5, 3), Symmetric(5))
    assert found.direction.dtype == torch.float32 and found.eigenvalue == pytest.approx(-2.0, abs=1e-5)
    short = irrep_instability(elbo, torch.zeros(5, 3), Symmetric(5), max_iterations=1)
    assert not short.converged and short.eigenvalue > -2.0 and short.residual > 0.1 and "NOT" in short.report()


def gradient_norm_of(elbo, start: dict[str, Tensor]) -> Tensor:
    """Norm of the whole gradient at a point."""
    leaves = {name: value.clone().requires_grad_() for name, value in start.items()}
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(elbo(leaves), list(leaves.values()))]).norm()


def test_rotations_of_the_unit_axis():
    """O(3) on the first axis: a function of the Gram matrix; its part is the vector one, 3 copies at d = 3."""
    form = torch.diag(torch.tensor([-1.0, 2.0, 5.0], dtype=F64))
    action = NaturalAction(Orthogonal(3))
    found = irrep_instability(lambda w: -((w.mT @ w) * form).sum() / 2, torch.zeros(3, 3, dtype=F64), action)
    assert found.eigenvalue == pytest.approx(-1.0) and found.dimension == 9
    with pytest.raises(ValueError, match="the group leaves alone"):
        irrep_instability(lambda w: w[0].square().sum(), torch.zeros(3, 3, dtype=F64), action)


def test_the_sign_is_settled_in_a_stiff_problem():
    """A curvature of -1 beside one of 10^9: the residual is below the value, not merely below 10^-8 times the norm."""
    values = torch.cat([torch.tensor([-1.0], dtype=F64), torch.logspace(0, 9, 40, dtype=F64)])
    found = irrep_instability(lambda w: -(w.square() * values).sum() / 2, torch.zeros(3, 41, dtype=F64), Symmetric(3))
    assert found.eigenvalue == pytest.approx(-1.0, abs=0.1) and found.is_unstable and found.residual < 0.1
    assert not dataclasses.replace(found, residual=1.5).is_unstable  # the sign is not settled


# -- refusals --------------------------------------------------------------------------------------------------------


def test_untied_parameters_are_refused():
    elbo = committee("gelu")
    untied = {**tied(), "loc": normal(3, 5)}
    with pytest.raises(ValueError, match="expected tied parameters, got 'loc' at a distance"):
        irrep_instability(elbo, untied, Symmetric(3))
    with pytest.raises(ValueError, match="expected tied parameters, got 'loc'"):
        irrep_instability(committee("b4"), tied(), SignedPermutations(3), unsigned=["log_scale"])  # S_3, not B_3
    with pytest.raises(ValueError, match=r"or unsigned=\('log_scale',\)"):
        irrep_instability(committee("b4"), tied(loc=0.0), SignedPermutations(3))
    assert isinstance(
        irrep_instability(elbo, project_irrep(untied, Symmetric(3), "trivial"), Symmetric(3)), Instability
    )


def test_an_elbo_that_is_not_invariant_is_refused():
    elbo, start = committee("gelu"), tied()
    weights = torch.tensor([1.0, 1.0, 1.1], dtype=F64)[:, None]

    def tilted(q: dict[str, Tensor]) -> Tensor:
        return elbo({**q, "loc": q["loc"] * weights})

    with pytest.raises(ValueError, match="expected an ELBO that the group leaves alone, got a gradient"):
        irrep_instability(tilted, start, Symmetric(3))
    assert irrep_instability(tilted, start, Symmetric(3), check=False).gradient_norm > 1e-3
    odd = committee("tanh")  # an odd activation without output weights: no sign symmetry, and 0 is tied
    with pytest.raises(ValueError, match="no sign symmetry"):
        irrep_instability(odd, tied(loc=0.0), SignedPermutations(3), unsigned=["log_scale"])
    with pytest.raises(ValueError, match="relative changes"):  # no gradient at 0, but another Hessian
        irrep_instability(lambda w: -(w.square() * weights).sum(), torch.zeros(3, 2, dtype=F64), Symmetric(3))


def test_noise_is_refused():
    generator = torch.Generator().manual_seed(0)

    def noisy(w: Tensor) -> Tensor:
        return -(w + 0.1 * torch.randn(w.shape, generator=generator, dtype=F64)).square().sum()

    with pytest.raises(ValueError, match="expected a deterministic ELBO, got two evaluations"):
        irrep_instability(noisy, torch.zeros(3, 2, dtype=F64), Symmetric(3))


ZERO = torch.zeros(3, 2, dtype=F64)
SHEARED = FiniteMatrixGroup.generated_by([torch.tensor([[1.0, 1.0], [0.0, -1.0]], dtype=F64)])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: irrep_instability(lambda w: w, ZERO, Symmetric(3)), TypeError, r"scalar tensor, got shape \[3, 2\]"),
        (lambda: irrep_instability(lambda w: 0.0, ZERO, Symmetric(3)), TypeError, "scalar tensor, got float"),
        (lambda: irrep_instability(lambda w: ZERO.sum(), ZERO, Symmetric(3)), ValueError, "without gradient"),
        (lambda: irrep_instability(lambda w: w.sum() / 0, ZERO, Symmetric(3)), ValueError, "expected a finite ELBO"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO, Symmetric(4)), ValueError, "unit axis of length 4 .*got 3"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO, Symmetric(3), 2), ValueError, "irrep among trivial"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO, Symmetric(3), "A1"), ValueError, "labels; try"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO, Symmetric(3), axes=2), ValueError, "expected a unit axis"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO, Symmetric(3), axes={"w": 0}), ValueError, "no such param"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO, Symmetric(3), unsigned="w"), ValueError, "flips no signs"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO[:1], Symmetric(1)), ValueError, "that occurs"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO, Orthogonal(3)), TypeError, "group of permutations"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO, PointReflection(1.0).bind(3)), ValueError, "about zero"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO[:2], NaturalAction(SHEARED)), ValueError, "orthogonal"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO, "S_3"), TypeError, "a group or a linear action"),
        (lambda: irrep_instability(lambda w: w.sum(), [1.0], Symmetric(3)), TypeError, "expected params"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO.long(), Symmetric(3)), TypeError, "floating"),
        (lambda: irrep_instability(lambda w: w.sum(), ZERO[:0], CoordinatePermutation(4, permutations=Cyclic(4))),
         ValueError, "length 4"),
        (lambda: project_irrep(normal(5), Cyclic(5)), ValueError, r"have dimensions \[2, 2\]; try irrep=1"),
    ],
)  # fmt: skip
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
