"""Shared by all tests: a clean Pyro, one thread, an unchanged default dtype, and where the reference data lie."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pyro
import pytest
import torch

REPOSITORY = Path(__file__).resolve().parent.parent

torch.set_num_threads(1)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Imports and test items stay to the end: the collector neither runs while they are made nor visits them later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def clean_state() -> Iterator[None]:
    """Each test starts with an empty parameter store and leaves the default dtype as it found it."""
    dtype = torch.get_default_dtype()
    pyro.clear_param_store()
    yield
    torch.set_default_dtype(dtype)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of reference data: ``$SYMVI_DATA``, else ``../shared/data`` beside the repository."""
    folder = Path(os.environ.get("SYMVI_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the reference data are not here; set SYMVI_DATA to their folder")
    return folder
