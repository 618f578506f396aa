"""What tests of listings are made of: a clock that stands still, a provider by the book, either database."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from responder.core.key import KnownKey
from responder.inventory import Inventory
from responder.store import Store, keys
from responder.store.accounts import Listing
from responder.store.tables import metadata
from tests.grown import NOON
from tests.postgres import database

ACCOUNT = ("openai", "default")
BOTH = ["sqlite", "postgres"]


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> datetime:
        """Later, or earlier; what time it is then."""
        self.now += timedelta(seconds=seconds)
        return self.now


class Scripted:
    """A provider whose lists are written down beforehand; a page may be a thing to do first.

    Args:
        lists: each a sequence of pages, one list after the other.
    """

    provider = "openai"
    account = "default"

    def __init__(self, *lists: Sequence[Any]) -> None:
        self.lists = list(lists)
        self.listed = 0

    def list_keys(self) -> Iterator[Sequence[KnownKey]]:
        """The next list."""
        self.listed += 1
        for page in self.lists.pop(0):
            yield page() if callable(page) else page


def made(kind: str, folder: Path) -> Iterator[Store]:
    """A database with our tables, one of `BOTH`."""
    if kind == "postgres":
        with database() as url:
            yield from _with_tables(url)
    else:
        yield from _with_tables(f"sqlite:///{folder / 'responder.sqlite'}")


def _with_tables(url: str) -> Iterator[Store]:
    store = Store(url)
    with store.begin("make") as tx:
        metadata.create_all(tx)
    yield store
    store.close()


def listing(store: Store) -> Listing:
    """The last one."""
    with store.read() as tx:
        found = keys.listing(tx, *ACCOUNT)
    assert found is not None
    return found


def gone(inventory: Inventory) -> set[str]:
    """The ids of tombstones."""
    return {key.id for key in inventory.every() if key.gone_at is not None}
