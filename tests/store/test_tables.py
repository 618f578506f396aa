"""The database itself: its tables, its version and what it promises about the disk."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from responder.store import HEAD, Store, StoreUnavailable
from responder.store.tables import metadata

_UPGRADE = "import sys; from responder.store import Store; Store(sys.argv[1]).upgrade()"


def test_the_migrations_make_exactly_the_tables_the_code_speaks_of(upgraded: Store) -> None:
    """A column that only one of the two knows is found by the first user, at night."""
    with upgraded.read() as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_a_database_without_tables_is_not_current_and_an_upgraded_one_is(url: str) -> None:
    """A receiver that runs ahead of its tables must say so; one that runs behind must let them be."""
    store = Store(url)
    assert not store.is_current()
    store.upgrade()
    assert store.is_current()
    with store.begin("tamper") as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    assert not store.is_current()
    with pytest.raises(StoreUnavailable):
        store.upgrade()
    store.close()


def test_the_version_the_code_expects_is_the_last_migration(upgraded: Store) -> None:
    """Nobody is to remember to change a number in two places: this fails instead."""
    with upgraded.read() as tx:
        assert tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == [HEAD]


def test_upgrading_twice_changes_nothing(upgraded: Store) -> None:
    """Every start upgrades."""
    with upgraded.begin("write") as tx:
        tx.execute(sa.text("INSERT INTO heartbeats (name, at) VALUES ('w', 1)"))
    upgraded.upgrade()
    with upgraded.read() as tx:
        assert tx.execute(sa.text("SELECT count(*) FROM heartbeats")).scalar_one() == 1


def test_two_processes_may_upgrade_at_once(url: str) -> None:
    """Two replicas start together, on an empty database."""
    both = [subprocess.Popen([sys.executable, "-c", _UPGRADE, url], stderr=subprocess.PIPE) for _ in range(2)]
    errors = [one.communicate(timeout=60)[1].decode() for one in both]
    assert [one.returncode for one in both] == [0, 0], errors
    store = Store(url)
    assert store.is_current()
    store.close()


def test_what_sqlite_acknowledges_is_on_disk_and_what_it_deletes_is_gone(tmp_path: Path) -> None:
    """WAL lets intake go on beside readers; FULL survives power loss; secure_delete overwrites sealed bodies."""
    store = Store(f"sqlite:///{tmp_path / 'responder.sqlite'}")
    store.upgrade()
    with store.read() as tx:
        settings = {
            name: tx.execute(sa.text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "busy_timeout")
        }
    store.close()
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


def test_a_reader_never_waits_for_a_writer(store: Store) -> None:
    """The receiver asks whether it is ready while the worker writes."""
    with store.begin("slow") as writing:
        writing.execute(sa.text("INSERT INTO heartbeats (name, at) VALUES ('w', 1)"))
        with store.read() as reading:
            assert reading.execute(sa.text("SELECT count(*) FROM heartbeats")).scalar_one() == 0


def test_a_transaction_that_raises_leaves_nothing_behind(store: Store) -> None:
    """The decision, the intent and the notice are on disk together, or not at all."""

    def half() -> None:
        with store.begin("half") as tx:
            tx.execute(sa.text("INSERT INTO heartbeats (name, at) VALUES ('w', 1)"))
            raise KeyError

    with pytest.raises(KeyError):
        half()
    with store.read() as tx:
        assert tx.execute(sa.text("SELECT count(*) FROM heartbeats")).scalar_one() == 0


def test_a_database_error_becomes_a_word_without_values(store: Store) -> None:
    """A driver's message repeats the row it choked on."""
    with pytest.raises(StoreUnavailable) as caught, store.begin("bad") as tx:
        tx.execute(sa.text("INSERT INTO nowhere VALUES (:value)"), {"value": "do-not-repeat-me"})
    assert caught.value.args == (caught.value.why,)
    assert caught.value.why.isidentifier()
    assert "do-not-repeat-me" not in str(caught.value)


def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    """What cannot be written down must not be acknowledged: the caller has to learn of it."""
    store = Store(f"sqlite:///{tmp_path / 'missing' / 'responder.sqlite'}")
    with pytest.raises(StoreUnavailable), store.begin("write"):
        pass
    with pytest.raises(StoreUnavailable):
        store.is_current()
    store.close()


def test_a_listener_on_postgresql_wakes_when_a_delivery_is_on_disk(store: Store) -> None:
    """A leak waits for the network's round trips, never for a polling tick."""
    if store.is_sqlite:
        with store.begin("ring") as tx:
            store.notify(tx, "responder_test")
        return
    heard = store.listen("responder_test", 0.05)
    assert next(heard) is False
    with store.begin("ring") as tx:
        store.notify(tx, "responder_test")
    assert next(heard) is True
    heard.close()  # type: ignore[attr-defined]  # it is a generator, and the connection ends with it
