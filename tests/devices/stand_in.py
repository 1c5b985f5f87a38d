"""A device that is none, for machines without a GPU: tensors said to lie on ``standin:0`` and kept on the CPU.

Mixing devices, ``numpy()`` and generators of another device raise as they do with CUDA; values are those of the CPU.
What it cannot tell: speed, rounding, CUDA graphs, code under ``device.type == "cuda"``, and compiled functions. Only a
run on a GPU can. It stands on parts of torch that may change (2.13 has them).

    SYMVI_TEST_DEVICE=standin python -m pytest -p tests.devices.stand_in tests/devices
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "standin"
ANYWHERE = {
    "_copy_from", "_index_put_impl_", "_to_copy", "_unsafe_index", "copy_", "fill_", "index", "index_put", "index_put_",
    "lift", "lift_fresh", "masked_fill", "masked_fill_",
}  # fmt: skip
"""Operators that may see tensors of two devices."""
PLAIN = {"_conj": "conj_physical", "_efficientzerotensor": "zeros", "_neg_view": "neg"}
"""Operators whose results have a dispatch key that the stand-in lacks, and what takes their place."""
GENERATORS: dict[int, Any] = {}
"""Those of the stand-in, by the address of their C++ object."""


class Tagged(Tensor):
    """A tensor of the stand-in, around one of the CPU."""

    element: Tensor

    @staticmethod
    def __new__(cls, element: Tensor) -> Tagged:
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined, no-any-return]
            cls, element.size(), strides=element.stride(), storage_offset=element.storage_offset(),
            dtype=element.dtype, layout=element.layout, device=torch.device(NAME, 0),
        )  # fmt: skip

    def __init__(self, element: Tensor) -> None:
        self.element = element

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]
        return f"{self.element} on {NAME}"

    def tolist(self) -> Any:
        """Values, as those of a GPU would be given."""
        return self.element.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


class Watch(TorchDispatchMode):
    """Sees the operators that take no tensor of the stand-in, factories above all."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operator on the CPU, its results on the stand-in where they belong; RuntimeError where devices are mixed."""
    name, leaves = func.overloadpacket.__name__, tree_leaves((args, kwargs))
    tagged = [x for x in leaves if isinstance(x, Tagged)]
    others = [x for x in leaves if isinstance(x, Tensor) and not isinstance(x, Tagged)]
    wanted = kwargs.get("device")
    away = torch.device(wanted).type == NAME if wanted is not None else bool(tagged)
    if name == "copy_":
        away = isinstance(args[0], Tagged)
    if tagged and name not in ANYWHERE:
        scalars = torch.Tag.pointwise in func.tags or name in ("add", "mul", "where", "pow", "mean")
        refuse(name, [x for x in others if x.ndim or not scalars])
    elif tagged and name.lstrip("_").startswith("index") and not isinstance(args[0], Tagged):
        refuse(name, others)
    for generator in (x for x in leaves if isinstance(x, torch._C.Generator)):
        if (generator._cdata in GENERATORS) != away:  # type: ignore[attr-defined]
            raise RuntimeError(f"Expected a {NAME if away else 'cpu'!r} device type for generator, in {name}")
    outer: dict[int, Tagged] = {}

    def inside(x: Any) -> Any:
        if not isinstance(x, Tagged):
            return x
        outer[id(x.element)] = x
        return x.element

    args, kwargs = tree_map(inside, (args, kwargs))
    kwargs |= {"device": torch.device("cpu")} if wanted is not None else {}
    kwargs |= {"pin_memory": False} if "pin_memory" in kwargs else {}
    found = (getattr(torch.ops.aten, PLAIN[name]).default if away and name in PLAIN else func)(*args, **kwargs)
    if not away or name == "_local_scalar_dense":
        return found
    return tree_map(lambda x: outside(x, outer), found)


def outside(x: Any, outer: dict[int, Tagged]) -> Any:
    """A result as a tensor of the stand-in, the very one that was given where it was changed in place."""
    if not isinstance(x, Tensor) or isinstance(x, Tagged):
        return x
    return outer[id(x)] if id(x) in outer else Tagged(x)


def refuse(name: str, tensors: list[Tensor]) -> None:
    """RuntimeError if there are any."""
    if tensors:
        shapes = [list(x.shape) for x in tensors]
        raise RuntimeError(f"Expected all tensors to be on the same device, but {name} found {shapes} on the CPU")


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """``torch.tensor``, which makes its result where no mode sees it."""
    if isinstance(data, Tensor):
        made = data.detach().clone().to(device=device or data.device, dtype=dtype or data.dtype)
    else:
        made = TENSOR(data, dtype=dtype).to(device or "cpu")
    return made.requires_grad_() if requires_grad else made


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """``torch.as_tensor``, likewise."""
    made = data if isinstance(data, Tensor) else AS_TENSOR(data, dtype=dtype)
    return made.to(device=made.device if device is None else device, dtype=dtype or made.dtype)


def new_tensor(self: Tensor, data: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """``Tensor.new_tensor``, likewise."""
    return tensor(data, dtype=dtype or self.dtype, device=device or self.device)


def empty_strided(size: Any, stride: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """Of the stand-in."""
    return Tagged(torch.empty_strided(size, stride, dtype=dtype, device="cpu"))


def copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    """Values of one tensor into another."""
    inner = [x.element if isinstance(x, Tagged) else x for x in (source, target)]
    inner[1].copy_(inner[0])
    return target


TENSOR, AS_TENSOR = torch.tensor, torch.as_tensor


def start() -> TorchDispatchMode:
    """Register the stand-in for the rest of the process."""
    from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

    class Generator(torch.Generator):
        def __new__(cls, device: Any = "cpu") -> Any:
            made = super().__new__(cls, "cpu")
            made.place = torch.device(device) if torch.device(device).type == "cpu" else torch.device(NAME, 0)
            if made.place.type == NAME:
                GENERATORS[made._cdata] = made
            return made

        @property
        def device(self) -> torch.device:  # type: ignore[override]
            return self.place  # type: ignore[attr-defined, no-any-return]

        def manual_seed(self, seed: int) -> Any:
            super().manual_seed(seed)
            return self

    _setup_privateuseone_for_python_backend(NAME, backend_module=_DummyBackendModule())
    torch.autograd.set_multithreading_enabled(False)  # the mode is not seen by other threads
    torch.Generator, torch.tensor, torch.as_tensor = Generator, tensor, as_tensor  # type: ignore[misc, assignment]
    torch.Tensor.new_tensor = new_tensor  # type: ignore[method-assign, assignment]
    library = torch.library.Library("aten", "IMPL")  # what C++ asks of the backend itself, as in x[[0, 1]]
    library.impl("empty_strided", empty_strided, "PrivateUse1")
    library.impl("_copy_from", copy_from, "PrivateUse1")
    mode = Watch()
    mode.library = library  # type: ignore[attr-defined]
    mode.__enter__()
    return mode


def pytest_configure(config: pytest.Config) -> None:
    """As a plugin."""
    config._stand_in = start()  # type: ignore[attr-defined]
