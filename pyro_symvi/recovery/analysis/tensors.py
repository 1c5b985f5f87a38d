"""Symbolic tensors: an int64 tensor of numbers of scalar expressions, which torch's own structural operations move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from .expressions import Expressions
from .polynomials import Polynomial
from .refusals import Refused


@dataclass(frozen=True)
class Symbolic:
    """A tensor that depends on the unknowns: ``ids[*shape]`` point into `Elements`.

    ``boolean`` marks one of indicators (0 or 1).
    """

    ids: torch.Tensor
    boolean: bool = False


class Elements:
    """The scalar expressions of all symbolic tensors; number 0 is the constant zero.

    So that operations which fill with zeros (tril, padding) put in the right expression.
    """

    def __init__(self, table: Expressions, most: int = 200_000) -> None:
        self.table = table
        self.items: list[Polynomial] = [table.zero]
        self._constants: dict[float | int, int] = {}
        self._most = most

    def add(self, p: Polynomial) -> int:
        """The number of a new element."""
        if p is self.table.zero:
            return 0
        self.items.append(p)
        if len(self.items) > self._most:
            raise Refused(f"more than {self._most} scalar expressions: too large for exact analysis")
        return len(self.items) - 1

    def constant(self, value: float | int | bool) -> int:
        """The number of a constant, taken as the exact rational stored."""
        value = int(value) if isinstance(value, bool) else value
        if value == 0:
            return 0
        if value != value:
            return self.add(self.table.number(float("nan")))
        found = self._constants.get(value)
        if found is None:
            found = self._constants[value] = self.add(self.table.number(value))
        return found

    def lift(self, value: Any) -> torch.Tensor:
        """Numbers ``[*shape]`` of the entries of a tensor or a number."""
        if isinstance(value, Symbolic):
            return value.ids
        if isinstance(value, torch.Tensor):
            if value.is_complex():
                raise Refused("complex numbers")
            flat = [self.constant(x) for x in value.detach().reshape(-1).tolist()]
            return torch.tensor(flat, dtype=torch.int64).reshape(value.shape)
        if isinstance(value, (bool, int, float)):
            return torch.tensor(self.constant(value), dtype=torch.int64)
        raise Refused(f"a value of type {type(value).__name__} where a number was expected")

    def polynomials(self, ids: torch.Tensor) -> list[Polynomial]:
        """The expressions of a tensor, in order."""
        return [self.items[i] for i in ids.reshape(-1).tolist()]

    def build(self, polynomials: list[Polynomial], shape: torch.Size | tuple[int, ...]) -> Symbolic:
        """A symbolic tensor of new expressions."""
        numbers: dict[int, int] = {}
        out = []
        for p in polynomials:
            found = numbers.get(id(p))
            if found is None:
                found = numbers[id(p)] = self.add(p)
            out.append(found)
        return Symbolic(torch.tensor(out, dtype=torch.int64).reshape(shape))

    def unary(self, rule: Callable[[Polynomial], Polynomial], x: Any) -> Symbolic:
        """Apply a rule to every entry, once for each distinct one."""
        ids = self.lift(x)
        memo: dict[int, int] = {}
        out = []
        for i in ids.reshape(-1).tolist():
            if i not in memo:
                memo[i] = self.add(rule(self.items[i]))
            out.append(memo[i])
        return Symbolic(torch.tensor(out, dtype=torch.int64).reshape(ids.shape))

    def binary(self, rule: Callable[[Polynomial, Polynomial], Polynomial], x: Any, y: Any) -> Symbolic:
        """Broadcast, then apply a rule to every pair, once for each distinct one."""
        a, b = torch.broadcast_tensors(self.lift(x), self.lift(y))
        memo: dict[tuple[int, int], int] = {}
        out = []
        for pair in zip(a.reshape(-1).tolist(), b.reshape(-1).tolist(), strict=True):
            if pair not in memo:
                memo[pair] = self.add(rule(self.items[pair[0]], self.items[pair[1]]))
            out.append(memo[pair])
        return Symbolic(torch.tensor(out, dtype=torch.int64).reshape(a.shape))

    def reduce(
        self, rule: Callable[[list[Polynomial]], Polynomial], x: Any, dims: tuple[int, ...], keepdim: bool
    ) -> Symbolic:
        """Apply a rule to the entries along ``dims`` (all, if empty)."""
        ids = self.lift(x)
        dims = tuple(sorted({d % ids.dim() for d in dims})) if dims and ids.dim() else tuple(range(ids.dim()))
        keep = [d for d in range(ids.dim()) if d not in dims]
        moved = ids.permute(*keep, *dims) if ids.dim() else ids
        lead = [ids.shape[d] for d in keep]
        rows = moved.reshape(*lead, -1) if ids.dim() else moved.reshape(1)
        flat = rows.reshape(-1, rows.shape[-1])
        shape = [1 if d in dims else ids.shape[d] for d in range(ids.dim())] if keepdim else lead
        return self.build([rule(self.polynomials(row)) for row in flat], tuple(shape))

    def decided(self, value: Symbolic) -> Symbolic | torch.Tensor:
        """Indicators that all are constants, as a tensor of booleans; else as they are."""
        constants = [p.constant for p in self.polynomials(value.ids)]
        if any(c is None for c in constants):
            return Symbolic(value.ids, boolean=True)
        return torch.tensor([bool(c) for c in constants]).reshape(value.ids.shape)
