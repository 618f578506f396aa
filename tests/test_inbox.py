"""What arrives together goes to disk together, and nobody is told that theirs is there before it is."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from responder.inbox import Inbox
from responder.store import Store, StoreUnavailable, Transaction
from responder.store.deliveries import Delivery
from responder.store.tables import deliveries, metadata

AT = datetime(2026, 11, 23, 6, tzinfo=UTC)


class Slow(Store):
    """A database whose first commit takes until it is let go, and may fail."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.go = threading.Event()
        self.commits = 0
        self.fails = False

    @contextmanager
    def begin(self, name: str) -> Iterator[Transaction]:
        """As usual, but for the wait."""
        with super().begin(name) as tx:
            yield tx
            if name == "accept":
                self.commits += 1
                assert self.go.wait(20)
                if self.fails:
                    raise StoreUnavailable("made to fail")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Slow]:
    """SQLite, with tables."""
    made = Slow(f"sqlite:///{tmp_path / 'responder.sqlite'}")
    with made.begin("make") as tx:
        metadata.create_all(tx)
    yield made
    made.close()


def _accept(inbox: Inbox, number: int) -> bool | None:
    """Whether it was new; None if it was refused."""
    try:
        return inbox.accept(Delivery(f"gh_{number}", "github_push", "github:1", {}, AT))
    except StoreUnavailable:
        return None


def _stored(store: Store) -> set[str]:
    with store.read() as tx:
        return set(tx.execute(sa.select(deliveries.c.id)).scalars())


@pytest.mark.parametrize("fails", [False, True])
def test_those_that_came_meanwhile_share_one_commit_or_one_refusal(store: Slow, tmp_path: Path, fails: bool) -> None:
    """An acknowledged delivery that is not on disk is lost; one that waits twice as long is given up by GitHub."""
    inbox, store.fails = Inbox(store, tmp_path), fails
    with ThreadPoolExecutor(24) as pool:
        answers = [pool.submit(_accept, inbox, number % 20) for number in range(24)]
        while not store.commits or sum(one.running() for one in answers) < 24:
            assert not any(one.done() for one in answers), "nobody is answered before the commit"
        store.go.set()
        said = [one.result() for one in answers]
    if fails:
        assert said == [None] * 24
        assert _stored(store) == set()
    else:
        assert said.count(True) == 20, "each is new once, however often it came"
        assert said.count(False) == 4
        assert _stored(store) == {f"gh_{number}" for number in range(20)}
    assert store.commits <= 4, "not one for each"


def test_a_database_that_is_taken_away_while_it_is_waited_for_acknowledges_nothing(
    store: Slow, tmp_path: Path
) -> None:
    """The open connection would go on writing, to a file that nobody will read again."""
    inbox, path = Inbox(store, tmp_path), tmp_path / "responder.sqlite"
    store.go.set()
    assert _accept(inbox, 1)
    with ThreadPoolExecutor(1) as pool, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = pool.submit(_accept, inbox, 2)
        time.sleep(0.2)
        assert not waiting.done()
        path.rename(tmp_path / "elsewhere")
        other.execute("ROLLBACK")
        assert waiting.result() is None
    (tmp_path / "elsewhere").rename(path)
    assert _accept(inbox, 2)
    assert _stored(store) == {"gh_1", "gh_2"}


def test_an_error_that_nobody_foresaw_keeps_nothing_for_later(
    store: Slow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was answered with an error sends again: it may not be written beside that."""
    inbox = Inbox(store, tmp_path)
    store.go.set()
    with monkeypatch.context() as patch:
        patch.setattr(store, "has_room", lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            _accept(inbox, 1)
    assert _accept(inbox, 2)
    assert _stored(store) == {"gh_2"}
