"""Signs of life of the processes."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from responder.store import Transaction
from responder.store.dialect import insert
from responder.store.tables import heartbeats as t

WORKER = "worker"
"""The name of the one who was heard of last; each by itself has that, a colon, and its own."""

STALE = timedelta(seconds=15)
"""A worker that was not heard of for so long is taken for dead."""


def beat(tx: Transaction, name: str, now: datetime) -> None:
    """Say that *name* is alive now."""
    statement = insert(tx, t).values(name=name, at=now)
    tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"at": now}))


def last(tx: Transaction, name: str) -> datetime | None:
    """When *name* was last alive."""
    return tx.execute(sa.select(t.c.at).where(t.c.name == name)).scalar_one_or_none()


def alive(tx: Transaction, prefix: str, since: datetime) -> int:
    """How many of those whose name begins with *prefix* were alive at *since* or later."""
    mine = sa.select(sa.func.count()).select_from(t).where(t.c.name.startswith(prefix, autoescape=True))
    return tx.execute(mine.where(t.c.at >= since)).scalar_one()


def bury(tx: Transaction, prefix: str, before: datetime) -> None:
    """Forget those whose name begins with *prefix* and who were last alive before *before*."""
    tx.execute(sa.delete(t).where(t.c.name.startswith(prefix, autoescape=True), t.c.at < before))
