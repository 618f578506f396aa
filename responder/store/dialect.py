"""What SQLite and PostgreSQL do differently: INSERT with an eye on conflicts, and being alone."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from responder.store import Transaction


def insert(tx: Transaction, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that understands ``on_conflict_…`` in the dialect of *tx*."""
    return sqlite.insert(table) if tx.dialect.name == "sqlite" else postgresql.insert(table)


def add(tx: Transaction, table: sa.Table, row: Mapping[str, object], unique: Sequence[str]) -> bool:
    """Add *row* unless one with the same *unique* columns is there; whether it was added.

    The row itself is asked for: what drivers count after such an INSERT is not to be relied on.
    """
    statement = insert(tx, table).values(dict(row)).on_conflict_do_nothing(index_elements=unique)
    return tx.execute(statement.returning(sa.literal(1))).first() is not None


def alone(tx: Transaction, name: str) -> None:
    """Until *tx* ends, nobody else is in a transaction that has asked for the same *name*.

    On SQLite nobody else is in one that writes, in the first place.
    """
    if tx.dialect.name != "sqlite":
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))


def alone_or_not(tx: Transaction, name: str) -> bool:
    """As `alone`, without waiting: whether nobody else is in such a transaction (PostgreSQL only)."""
    return bool(tx.execute(sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtextextended(name, 0)))).scalar())
