"""Every operation's rule against torch: values and gradients of the lowered expression, at random points."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_symvi.recovery.analysis import analyze
from pyro_symvi.recovery.analysis.differential import compare
from pyro_symvi.recovery.analysis.driver import read
from pyro_symvi.recovery.analysis.expressions import Expressions
from pyro_symvi.recovery.analysis.lowering import RULES, lower
from pyro_symvi.recovery.analysis.refusals import Refused
from pyro_symvi.recovery.analysis.schemas import SCHEMAS
from tests.recovery.analysis.quick import expression, traced

F = torch.nn.functional
A = torch.tensor([[2.0, 0.0, 0.0], [0.5, 1.5, 0.0], [-1.0, 0.25, 3.0]], dtype=torch.float64)
X = torch.tensor([[0.3, -1.0, 2.0], [1.5, 0.7, -0.2]], dtype=torch.float64)
MASK = torch.tensor([True, False, True])
aten = torch.ops.aten


def in_place(z: torch.Tensor) -> torch.Tensor:
    out = torch.zeros(2, 3, dtype=torch.float64)
    out[1] = z
    out[0, 1:] = z[:2] ** 2
    out[:, 0] += 1.0
    return (out * X).sum()


def positive(z: torch.Tensor) -> torch.Tensor:
    return torch.exp(z) + 0.5


USES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "add with alpha": lambda z: torch.add(z, z**2, alpha=3).sum(),
    "sub with alpha": lambda z: torch.sub(z, z**2, alpha=0.5).sum(),
    "rsub": lambda z: torch.rsub(z, 2.5, alpha=2).sum() + torch.rsub(z, z**2).sum(),
    "mul, div": lambda z: (z * 3 / 7 / (1 + z.exp()) * X[0]).sum(),
    "reciprocal of a sum": lambda z: torch.reciprocal(2 + z**2).sum(),
    "negative lead in a divisor": lambda z: (1 / (-3 * z.exp() - z**2)).sum(),
    "integer powers": lambda z: (z**3 - 2 * z**4 + (1 + z[0] * z[1]) ** 5).sum(),
    "negative powers": lambda z: (positive(z) ** -2 + positive(z) ** -0.5).sum(),
    "half powers": lambda z: (torch.sqrt(1 + z**2) + torch.rsqrt(positive(z)) + positive(z) ** 1.5).sum(),
    "root of exp": lambda z: torch.sqrt(4 * torch.exp(3 * z)).sum(),
    "root of a square": lambda z: torch.sqrt(9 * z**2).sum(),
    "power of numbers": lambda z: (torch.pow(2.5, z) + torch.pow(positive(z), z)).sum(),
    "exponent of tensor": lambda z: torch.pow(positive(z), torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)).sum(),
    "exp and log": lambda z: (torch.log(3 * torch.exp(2 * z)) * z + torch.exp(2 * torch.log(positive(z)))).sum(),
    "log of products": lambda z: torch.log(0.2 * torch.exp(z) * torch.sigmoid(z) / positive(z) ** 2).sum(),
    "expm1, log1p": lambda z: (torch.expm1(z) + torch.log1p(z**2) + torch.log1p(torch.exp(-z))).sum(),
    "log of two exponentials": lambda z: torch.log(2 * torch.exp(z) + 0.25 * torch.exp(-3 * z)).sum(),
    "softplus": lambda z: (F.softplus(z) - F.softplus(-2 * z, beta=0.5) + F.softplus(-z.abs())).sum(),
    "softplus of an absolute value": lambda z: F.softplus(3 * z.abs()).sum(),
    "logsigmoid": lambda z: (F.logsigmoid(z) * z + F.logsigmoid(-z)).sum(),
    "sigmoid": lambda z: (torch.sigmoid(z) * z - torch.log(1 - torch.sigmoid(-z))).sum(),
    "erfc, log Phi": lambda z: (torch.special.erfc(z - 1) * z).sum() + torch.special.log_ndtr(2 * z - 1).sum(),
    "tanh, erf, sin, cos, atan": lambda z: (
        torch.tanh(-z) + torch.erf(z - 1) * z + torch.sin(-2 * z) + torch.cos(1 - z) + torch.atan(-z)
    ).sum(),
    "lgamma": lambda z: torch.lgamma(positive(z)).sum(),
    "abs, relu": lambda z: (torch.abs(2 - 3 * z) + torch.relu(z) * z + torch.relu(-z - 1)).sum(),
    "abs of known sign": lambda z: (torch.abs(-torch.exp(z)) + torch.abs(z**2)).sum(),
    "maximum, minimum": lambda z: (torch.maximum(z, z**2) - torch.minimum(z, X[0])).sum(),
    "clamps": lambda z: (z.clamp(-1, 0.5) + z.clamp(min=0.1) * z.clamp(max=0.2)).sum(),
    "xlogy": lambda z: (torch.xlogy(X[0], positive(z)) + torch.xlogy(positive(z), 2.0)).sum(),
    "xlogy at zero": lambda z: torch.xlogy(torch.zeros(3, dtype=torch.float64), positive(z)).sum() + z.sum(),
    "xlogy of a number": lambda z: torch.xlogy(2.0, positive(z)).sum(),
    "logaddexp": lambda z: torch.logaddexp(z, 2 * z[0]).sum(),
    "addcmul, addcdiv": lambda z: (torch.addcmul(z, z, X[0], value=2) + torch.addcdiv(z, z, positive(z))).sum(),
    "comparisons decided": lambda z: (torch.where(z.exp() > 0, z, X[0]) + torch.where(z**2 < -1, X[0], z)).sum(),
    "comparisons open": lambda z: (torch.where(z > 0, z, -2 * z) + torch.where(z <= 0.3, z**2, z)).sum(),
    "equalities": lambda z: torch.where(z == 1, X[0], z).sum() + torch.where(z != 2, z, X[0]).sum(),
    "logic": lambda z: torch.where((z > 0) & ~(z >= 1) | (z < -2), z, z**2).sum(),
    "logical": lambda z: torch.where(torch.logical_or(torch.logical_not(z > 0), torch.logical_and(z > 1, z < 2)), z, 1),
    "masks": lambda z: z.masked_fill(MASK, 2.0).sum() + torch.where(MASK, z, z**2).sum(),
    "sums": lambda z: (X * z).sum(0).sum() + (X * z).sum((0, 1)) + (X * z).mean(1, keepdim=True).sum() + z.mean(),
    "products": lambda z: z.prod() + (X * z).prod(1).sum(),
    "cumulated": lambda z: (z.cumsum(0) * z + torch.cumprod(z, 0)).sum() + (X * z).cumsum(1).sum(),
    "softmax": lambda z: torch.log_softmax(z, 0)[1] + torch.softmax(z, 0)[2] + torch.logsumexp(X * z, 1).sum(),
    "logsumexp of all": lambda z: torch.logsumexp(X * z, (0, 1)),
    "mv, dot": lambda z: (X @ z).square().sum() + z @ z + torch.dot(z, X[0]),
    "mm": lambda z: torch.mm(X, torch.outer(z, z)).sum(),
    "bmm": lambda z: torch.bmm(X.expand(2, 2, 3), torch.outer(z, z).expand(2, 3, 3)).sum(),
    "addmm, addmv": lambda z: torch.addmm(z, X, A * z).sum() + torch.addmv(z[:2], X, z).sum(),
    "baddbmm": lambda z: torch.baddbmm(z, X[None], (A * z)[None]).sum(),
    "triangular": lambda z: torch.linalg.solve_triangular(A * z[0].exp(), z[:, None], upper=False).square().sum(),
    "upper triangular": lambda z: torch.linalg.solve_triangular(A.mT, torch.outer(z, z), upper=True).sum(),
    "unit triangular": lambda z: torch.linalg.solve_triangular(A, z[:, None], upper=False, unitriangular=True).sum(),
    "views": lambda z: (
        z.view(1, 3).expand(2, 3).permute(1, 0).reshape(-1).unsqueeze(0).squeeze() * X.reshape(-1)
    ).sum(),
    "cat, stack": lambda z: torch.stack([torch.cat([z, X[0]]), torch.cat([z**2, z])]).square().sum(),
    "selects": lambda z: z[0] * z[-1] + z[::2].sum() + z.narrow(0, 1, 2).prod() + z.flip(0)[0] * z.roll(1)[0],
    "index": lambda z: (z[torch.tensor([2, 0, 0])] * X[0]).sum() + z[MASK].sum() ** 2,
    "gather": lambda z: torch.gather(X * z, 1, torch.tensor([[0], [2]])).sum(),
    "index_select, repeat": lambda z: z.index_select(0, torch.tensor([1, 1])).repeat(2).prod(),
    "split, unbind, chunk": lambda z: z.split([1, 2])[1].prod() + z.unbind(0)[0] + z.chunk(3)[2].sum() * z[0],
    "triangles": lambda z: (
        (torch.outer(z, z).tril(-1) * 2 + torch.outer(z, z).triu()).sum() + torch.diag_embed(z).sum()
    ),
    "diagonals": lambda z: torch.diagonal(torch.outer(z, z + 1)).prod() + torch.outer(z, z).mT[0, 1],
    "padding": lambda z: (F.pad(z, (1, 1)) + F.pad(z, (0, 2), value=2.0)).square().sum(),
    "in place": in_place,
    "filled like": lambda z: (torch.zeros_like(z) + z + torch.ones_like(z) * z.new_full((3,), 2.0)).square().sum(),
    "bernoulli": lambda z: F.binary_cross_entropy_with_logits(z, MASK.double(), reduction="sum"),
    "scatter": lambda z: torch.zeros(4, dtype=torch.float64).scatter(0, torch.tensor([3, 0, 1]), z).square().sum(),
}


REPLACED = """
add.Scalar alias.default bitwise_and.Scalar chunk.default clamp_max.default clone.default
contiguous.default detach.default detach_.default diagonal_scatter.default div.Scalar expand.default
fill.Scalar fill.Tensor full_like.default ge.Tensor gt.Tensor index_put.default le.Tensor
lift_fresh.default log_sigmoid.default log_sigmoid_forward.default lt.Tensor masked_fill.Tensor
maximum.default mul.Scalar narrow.default ne.Tensor eq.Tensor new_ones.default new_zeros.default
reshape.default select_scatter.default slice_scatter.default square.default squeeze.dim squeeze.dims
squeeze_.default squeeze_.dim sub.Scalar t.default transpose.int unsqueeze_.default view.default
where.ScalarOther where.ScalarSelf xlogy.Scalar_Other unbind.int _unsafe_view.default rsub.Tensor
relu.default addmv.default repeat.default bitwise_not.default bitwise_or.Tensor bitwise_and.Tensor
"""
"""Others that functionalisation replaces, or spellings with the same rule."""


@pytest.mark.parametrize("name", USES)
def test_a_rule_agrees_with_torch(name: str) -> None:
    """`compare` refuses a difference above 1e-9 in values; gradients to 1e-7."""

    def function(z: torch.Tensor) -> torch.Tensor:
        return USES[name](z).sum() - 0.01 * (z**2).sum()

    table, p = expression(function, 3)
    agreement = compare(function, p, table, 3)
    assert agreement.points >= 3
    assert agreement.gradient


def test_every_rule_is_used_and_pinned() -> None:
    used = set()
    for use in USES.values():
        graph = traced(use, 3).graph
        used |= {str(node.target).removeprefix("aten.") for node in graph.graph.nodes if node.op == "call_function"}
    assert set(SCHEMAS) == set(RULES)
    unused = {name for name in set(RULES) - used if "copy" not in name}
    assert unused <= set(REPLACED.split())


def test_a_wrong_reading_is_refused() -> None:
    """The differential test sees a constant that is off by 1e-6."""
    table, p = expression(lambda z: -(z**2).sum(), 2)
    with pytest.raises(Refused, match="its reading is wrong"):
        compare(lambda z: -(1 + 1e-6) * (z**2).sum(), p, table, 2)


def test_constants_are_taken_exactly() -> None:
    """0.1 is its nearest double, not a tenth."""
    table, p, _, _ = read(lambda z: -0.1 * z[0] ** 2 + z[0] / 3, 1)
    square = table.monomial(((table.coordinate_atom(0), 2),))
    linear = table.monomial(((table.coordinate_atom(0), 1),))
    assert p.coefficient(square) == -Fraction(0.1) != -Fraction(1, 10)
    assert p.coefficient(linear) == Fraction(1, 3)


def test_another_schema_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMAS, "exp.default", "0" * 16)
    with pytest.raises(Refused, match="another schema"):
        lower(traced(lambda z: -torch.exp(z).sum(), 2), Expressions())


def test_extended_precision_of_large_ratios() -> None:
    from pyro_symvi.recovery.analysis.numerics import _ratio

    assert float(_ratio(1, 3)) == pytest.approx(1 / 3, rel=1e-16)
    assert float(_ratio(-(2**400) - 1, 2**401)) == -0.5
    assert abs(np.longdouble(10**20 + 1) - _ratio(10**20 + 1, 1)) <= 16


def test_data_have_the_precision_of_the_trace() -> None:
    """torch.ones(2) is float64 inside a LogDensity: its logarithm must not be run again in float32."""

    def model() -> None:
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.factor("f", (torch.log(torch.ones(2) / 3) * z**2).sum())

    (block,) = analyze(model).blocks
    assert block.is_gaussian


SIGNED: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "one minus sigmoid": lambda z: torch.log1p(-torch.sigmoid(z)).sum(),
    "stick breaking": lambda z: (
        torch.log(torch.sigmoid(z[0]) * (1 - torch.sigmoid(z[1])))
        + torch.log(torch.sigmoid(z[0]) - torch.sigmoid(z[0]) * torch.sigmoid(z[2]))
    ),
    "one minus a square of tanh": lambda z: torch.log(1 - torch.tanh(z) ** 2).sum(),
    "one plus erf": lambda z: torch.log(0.5 * (1 + torch.erf(z))).sum(),
    "a sum of products": lambda z: torch.log(2 - torch.tanh(z[0]) * torch.erf(z[1]) - torch.sigmoid(z[2])),
}


@pytest.mark.parametrize("name", SIGNED)
def test_arguments_that_are_positive_by_their_range(name: str) -> None:
    table, p = expression(lambda z: SIGNED[name](z).sum() - (z**2).sum(), 3)
    assert not table.open_obligations
    assert compare(lambda z: SIGNED[name](z).sum() - (z**2).sum(), p, table, 3).gradient


@pytest.mark.parametrize("offset", [0.99, 0.5, -1.0])
def test_arguments_that_may_be_negative(offset: float) -> None:
    for function in (torch.tanh, torch.erf, torch.sigmoid):
        table, _ = expression(partial(lambda f, z: torch.log(offset - f(z)).sum(), function), 1)
        assert table.open_obligations
