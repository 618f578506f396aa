"""Signs of life of the processes."""

from datetime import datetime

import sqlalchemy as sa

from responder.store import Transaction
from responder.store.dialect import insert
from responder.store.tables import heartbeats as t


def beat(tx: Transaction, name: str, now: datetime) -> None:
    """Say that *name* is alive now."""
    statement = insert(tx, t).values(name=name, at=now)
    tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"at": now}))


def last(tx: Transaction, name: str) -> datetime | None:
    """When *name* was last alive."""
    return tx.execute(sa.select(t.c.at).where(t.c.name == name)).scalar_one_or_none()
