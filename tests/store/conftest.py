"""Every test of the store runs on SQLite and on PostgreSQL, each in a database of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.store import Store
from responder.store.tables import metadata
from tests.postgres import database


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where there is nothing yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'responder.sqlite'}"
        return
    with database() as made:
        yield made


@pytest.fixture
def upgraded(url: str) -> Iterator[Store]:
    """A database with our tables, as an installation makes them."""
    made = Store(url)
    made.upgrade()
    yield made
    made.close()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """The same tables, made in a tenth of the time."""
    made = Store(url)
    with made.begin("make") as tx:
        metadata.create_all(tx)
    yield made
    made.close()
