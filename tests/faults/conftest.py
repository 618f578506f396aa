"""A database to copy, and cells that clean up after themselves."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from responder.seal import Keys
from responder.store import Store
from tests.faults.cell import Cell

_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory where there is one: each cell commits a hundred times, and need not survive a power cut."""
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path_factory.mktemp("faults")
        return
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=_MEMORY))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template(fast: Path) -> Path:
    """A database as an installation makes it; the keys of the installation lie beside it."""
    folder = fast / "template"
    folder.mkdir()
    Keys(folder / "keys").create()
    path = folder / "responder.sqlite"
    with closing(Store(f"sqlite:///{path}")) as store:
        store.upgrade()
    return path


@pytest.fixture
def make_cell(fast: Path, template: Path) -> Iterator[Callable[..., Cell]]:
    """Makes cells; parameters as of `Cell`."""
    with ExitStack() as made:

        def make(**how: Any) -> Cell:
            folder = Path(tempfile.mkdtemp(dir=fast))
            made.callback(shutil.rmtree, folder)
            cell = Cell(folder, template, **how)
            made.callback(cell.close)
            return cell

        yield make
