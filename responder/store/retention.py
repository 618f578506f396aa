"""What ended long enough ago is forgotten, a batch at a time; the audit record and the revocations stay."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from responder.core.incident import State
from responder.store import Transaction
from responder.store.tables import damages, deliveries, events, incidents, notices, redeliveries, sightings

BATCH = 500
"""At most so many are forgotten in one transaction."""


def forget_deliveries(tx: Transaction, before: datetime) -> int:
    """Forget deliveries that ended before *before*, unless an incident that is not closed was told of by them.

    What was noted about such a delivery itself goes with it.
    """
    needed = (
        sa.select(sightings.c.delivery_id)
        .join(incidents, incidents.c.id == sightings.c.incident_id)
        .where(incidents.c.state != State.CLOSED.value)
    )
    ended = sa.select(deliveries.c.id).where(deliveries.c.ended_at < before, deliveries.c.id.not_in(needed))
    ids = tx.execute(ended.limit(BATCH)).scalars().all()
    tx.execute(sa.delete(redeliveries).where(redeliveries.c.at < before))
    _forget_about(tx, ids)
    tx.execute(sa.delete(deliveries).where(deliveries.c.id.in_(ids)))
    return len(ids)


def forget_incidents(tx: Transaction, before: datetime) -> int:
    """Forget incidents that were closed before *before*, with all that was noted about them."""
    closed = sa.select(incidents.c.id).where(incidents.c.state == State.CLOSED.value, incidents.c.closed_at < before)
    ids = tx.execute(closed.limit(BATCH)).scalars().all()
    _forget_about(tx, ids)
    for table in (sightings, damages):
        tx.execute(sa.delete(table).where(table.c.incident_id.in_(ids)))
    tx.execute(sa.delete(incidents).where(incidents.c.id.in_(ids)))
    return len(ids)


def _forget_about(tx: Transaction, ids: Sequence[str]) -> None:
    for table in (events, notices):
        tx.execute(sa.delete(table).where(table.c.incident_id.in_(ids)))
