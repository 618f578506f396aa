"""Whether anything that was accepted is still on its way."""

import sqlalchemy as sa

from responder.core.decision import Action
from responder.core.incident import State
from responder.core.notice import Delivery, Topic
from responder.store import Transaction
from responder.store.tables import deliveries, incidents, notices


def unfinished(tx: Transaction) -> int:
    """How many deliveries, incidents and notices still have a next step of their own.

    A digest waits for its ten minutes to pass, a held incident for a person, and an open
    one that looked dead for its second look, a quarter of an hour away: none is counted.
    """
    waiting = deliveries.c.state.in_(("waiting", "started"))
    second_look = sa.and_(incidents.c.decision == Action.HOLD.value, incidents.c.looked_dead_at.is_not(None))
    moving = sa.or_(
        sa.and_(incidents.c.state == State.OPEN.value, sa.not_(sa.func.coalesce(second_look, sa.false()))),
        incidents.c.state == State.CONTAINED.value,
    )
    owed = sa.and_(notices.c.status == Delivery.PENDING.value, notices.c.topic.not_in((Topic.DIGEST, Topic.BACKFILL)))
    return sum(
        tx.execute(sa.select(sa.func.count()).select_from(table).where(condition)).scalar_one()
        for table, condition in ((deliveries, waiting), (incidents, moving), (notices, owed))
    )
