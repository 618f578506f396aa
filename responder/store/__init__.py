"""The database: SQLite on one machine, PostgreSQL on many. SQLAlchemy lives only here.

`Store` opens transactions; the modules beside it hold the questions and the
changes, each a function of a transaction. A transaction that has returned is on
disk.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from responder import failpoint

Transaction = sa.Connection
"""What the functions of this package take: an open transaction."""

_BUSY_SECONDS = 5
_FIRST_NAP_SECONDS, _LONGEST_NAP_SECONDS = 0.0005, 0.001
FLOOR_BYTES = 64 * 1024 * 1024
"""With less free on its disk nothing new is taken in, so that what was taken in can be brought to its end."""
_CACHE_KIBIBYTES = 512  # of each connection, of which there are many; the system keeps the file in memory as it is
_POOL_SECONDS = 3  # for a connection, so that a delivery is refused before GitHub gives up at ten


class StoreUnavailable(Exception):
    """The database cannot be read or written right now.

    Args:
        why: the driver's error class; its message may hold values, and is dropped.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class Store:
    """One database.

    Args:
        url: ``sqlite:///path`` or ``postgresql://…``.
        free_bytes: how many are left on the disk of a folder.
    """

    def __init__(self, url: str, free_bytes: Callable[[Path], int] = _free_bytes) -> None:
        self.is_sqlite = url.startswith("sqlite")
        self._file = Path(url.removeprefix("sqlite:///")).absolute()
        self._free_bytes = free_bytes
        if self.is_sqlite:
            self._engine = sa.create_engine(
                url,
                connect_args={"timeout": _BUSY_SECONDS},
                hide_parameters=True,
                pool_size=8,  # what a crowd opened besides is closed after it, and its caches with it
                max_overflow=40,
                pool_timeout=_POOL_SECONDS,
                pool_use_lifo=True,
            )
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        else:
            self._engine = sa.create_engine(
                url.replace("postgresql://", "postgresql+psycopg://", 1),
                connect_args={"connect_timeout": _BUSY_SECONDS, "options": "-c statement_timeout=15000"},
                hide_parameters=True,
                pool_pre_ping=True,
                pool_size=16,
                max_overflow=32,
                pool_timeout=_POOL_SECONDS,
                pool_use_lifo=True,
            )
        self._writing = self._engine.execution_options(writing=True)

    @contextmanager
    def begin(self, name: str) -> Iterator[Transaction]:
        """A transaction that may write: on disk when the block ends, undone when it raises.

        Args:
            name: what it does; also names the failpoints around its commit.

        Raises:
            StoreUnavailable: the database cannot be used right now.
        """
        from responder.store import audit  # noqa: PLC0415 -- it names this module's types

        try:
            with self._writing.begin() as tx:
                audit.forget(tx)  # of an undone one that had this connection before
                yield tx
                audit.append(tx)
                failpoint.hit(f"commit.{name}.before")
        except (sa.exc.DBAPIError, sqlite3.Error) as error:  # the latter from before SQLAlchemy was asked
            raise StoreUnavailable(type(getattr(error, "orig", error)).__name__) from None
        except sa.exc.TimeoutError:
            raise StoreUnavailable("no free connection") from None
        failpoint.hit(f"commit.{name}.after")

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that only reads, and never waits for a writer on SQLite.

        Raises:
            StoreUnavailable: as `begin`.
        """
        try:
            with self._engine.connect() as tx:
                yield tx
        except (sa.exc.DBAPIError, sqlite3.Error) as error:  # the latter from before SQLAlchemy was asked
            raise StoreUnavailable(type(getattr(error, "orig", error)).__name__) from None
        except sa.exc.TimeoutError:
            raise StoreUnavailable("no free connection") from None

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """No other process is in a block of the same *name*; on SQLite there is one worker as it is.

        Raises:
            StoreUnavailable: as `begin`.
        """
        if self.is_sqlite:
            yield
            return
        from responder.store import dialect  # noqa: PLC0415 -- it names this module's types

        with self.read() as tx:
            dialect.alone(tx, name)
            yield

    @contextmanager
    def alone_or_not(self, name: str) -> Iterator[bool]:
        """As `alone`, but without waiting: whether no other process is in such a block.

        Raises:
            StoreUnavailable: as `begin`.
        """
        if self.is_sqlite:
            yield True
            return
        from responder.store import dialect  # noqa: PLC0415 -- as above

        with self.read() as tx:
            yield dialect.alone_or_not(tx, name)

    def notify(self, tx: Transaction, channel: str) -> None:
        """Wake every listener of *channel* once *tx* is on disk; does nothing on SQLite."""
        if not self.is_sqlite:
            tx.execute(sa.text("SELECT pg_notify(:channel, '')"), {"channel": channel})

    def listen(self, channel: str, patience_seconds: float) -> Iterator[bool]:
        """Wait for `notify`, again and again: True when woken, False after *patience_seconds* (PostgreSQL only).

        Raises:
            StoreUnavailable: the connection is lost.
        """
        import psycopg  # noqa: PLC0415 -- nothing that SQLite needs
        from psycopg import sql  # noqa: PLC0415

        try:
            with psycopg.connect(self._engine.url.set(drivername="postgresql").render_as_string(False)) as connection:
                connection.autocommit = True
                connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                while True:
                    yield any(connection.notifies(timeout=patience_seconds, stop_after=1))
        except psycopg.Error as error:
            raise StoreUnavailable(type(error).__name__) from None

    def upgrade(self) -> None:
        """Bring the tables to the version this code needs.

        Raises:
            StoreUnavailable: as `begin`, or a newer version of ours has changed them.
        """
        from alembic import command  # noqa: PLC0415 -- a quarter of a second that a receiver never needs
        from alembic.util import CommandError  # noqa: PLC0415 -- as above

        with self.begin("upgrade") as tx:
            if not self.is_sqlite:
                tx.execute(sa.text("SELECT pg_advisory_xact_lock(7263748)"))
            try:
                command.upgrade(_alembic(tx), "head")
            except CommandError:
                raise StoreUnavailable("its tables are those of a newer version") from None

    def is_current(self) -> bool:
        """Whether the tables have the version this code needs.

        Raises:
            StoreUnavailable: as `begin`.
        """
        with self.read() as tx:
            if not sa.inspect(tx).has_table("alembic_version"):
                return False
            return tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == [HEAD]

    def has_room(self) -> bool:
        """Whether the disk takes more: SQLite wants some left to end what was begun; a server looks after its own."""
        try:
            return not self.is_sqlite or self._free_bytes(self._file.parent) >= FLOOR_BYTES
        except OSError:  # no such folder: whoever reads or writes hears more of it
            return True

    def is_there(self) -> bool:
        """Whether the file of SQLite is: open connections go on writing to one that was taken away, and to nobody."""
        try:
            return not self.is_sqlite or self._file.exists()
        except OSError:  # it may be, and nobody can tell
            return False

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


HEAD = "0002"
"""The newest migration."""


def _alembic(tx: Transaction) -> Any:  # noqa: ANN401 -- alembic is imported only where tables are changed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = tx
    return config


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, below
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",
        "foreign_keys=ON",
        f"cache_size=-{_CACHE_KIBIBYTES}",
        f"busy_timeout={_BUSY_SECONDS * 1000}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """Take the write lock at once where we mean to write: a late upgrade of a read lock would fail.

    The waiting is done here, in short sleeps: SQLite's own would hold up every
    request of a receiver's process, since it runs them all in one thread. Past
    SQLAlchemy, whose way of running a statement costs more than these do.
    """
    raw: Any = connection.connection.dbapi_connection
    if not connection.get_execution_options().get("writing", False):
        raw.execute("BEGIN")
        return
    end, nap = time.monotonic() + _BUSY_SECONDS, _FIRST_NAP_SECONDS
    raw.execute("PRAGMA busy_timeout=0").close()
    try:
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                    raise
                time.sleep(nap)
                nap = min(2 * nap, _LONGEST_NAP_SECONDS)
            else:
                return
    finally:
        raw.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000}").close()
