"""The outbox: notices owed to people, written with what they are about, sent afterwards."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from responder.core.match import Evidence
from responder.core.notice import Audience, Channel, Delivery, Notice, Topic
from responder.store import Transaction
from responder.store.dialect import add
from responder.store.tables import incidents
from responder.store.tables import notices as t

_PROOFS = [evidence.word for evidence in Evidence if evidence.proof]
_CLAIM = timedelta(minutes=5)
"""After this long a claim is taken for abandoned: no sending takes longer."""


def owe(
    tx: Transaction,
    incident_id: str,
    audience: Audience,
    topic: Topic,
    channel: Channel,
    to: str,
    now: datetime,
    *,
    again: bool = False,
) -> bool:
    """Write down that somebody is to be told; False if that was written before.

    With *again*, what was told before is owed once more: the matter is another.
    """
    row = {
        "id": f"ntc_{secrets.token_hex(10)}",
        "incident_id": incident_id,
        "audience": audience.value,
        "topic": topic.value,
        "channel": channel.value,
        "to": to,
        "status": Delivery.PENDING.value,
        "attempts": 0,
        "written_at": now,
    }
    unique = ["incident_id", "audience", "topic", "channel", "to"]
    if add(tx, t, row, unique):
        return True
    if not again:
        return False
    same = [t.c[name] == row[name] for name in unique]
    free = {"claimed_by": None, "claimed_at": None}
    fresh = {name: row[name] for name in ("status", "attempts", "written_at")} | free
    tx.execute(sa.update(t).where(*same, t.c.status != Delivery.PENDING.value).values(fresh))
    return True


def claim(
    tx: Transaction, incident_id: str, claimer: str, now: datetime, pause: Callable[[int], timedelta]
) -> Sequence[Notice]:
    """Take the incident's pending notices, but for those somebody else is sending right now, or tried just before.

    Args:
        tx: a writing transaction.
        incident_id: whose notices.
        claimer: the task that sends; the same task takes its own claims up again after a crash.
        now: UTC.
        pause: how long after so many attempts the next may be, whoever makes it.
    """
    free = sa.or_(t.c.claimed_by.is_(None), t.c.claimed_by == claimer, t.c.claimed_at < now - _CLAIM)
    mine = sa.and_(t.c.incident_id == incident_id, t.c.status == Delivery.PENDING.value, free)
    rows = tx.execute(sa.select(t).where(mine).order_by(t.c.written_at, t.c.id).with_for_update()).all()
    due = [
        row
        for row in rows
        if row.claimed_by is not None or row.attempts == 0 or now - row.claimed_at >= pause(row.attempts)
    ]
    ids = [row.id for row in due]
    tx.execute(sa.update(t).where(t.c.id.in_(ids)).values(claimed_by=claimer, claimed_at=now))
    return [_notice(row) for row in due]


def settle(tx: Transaction, notice: Notice, status: Delivery, now: datetime) -> None:
    """Write down what became of one attempt."""
    sent = now if status is Delivery.SENT else None
    values = {"status": status.value, "attempts": notice.attempts + 1, "claimed_by": None, "sent_at": sent}
    tx.execute(sa.update(t).where(t.c.id == notice.id).values(values))


def pending(tx: Transaction, incident_id: str) -> bool:
    """Whether anything is still to be sent."""
    found = sa.select(t.c.id).where(t.c.incident_id == incident_id, t.c.status == Delivery.PENDING.value)
    return tx.execute(found.limit(1)).first() is not None


def pending_since(
    tx: Transaction, instant: datetime, pause: Callable[[int], timedelta], now: datetime
) -> Sequence[str]:
    """What has had notices pending since before *instant*, tried last longer ago than the pause after so many."""
    late = (t.c.status == Delivery.PENDING.value, t.c.written_at < instant)
    old = sa.select(t.c.incident_id, t.c.attempts, t.c.claimed_at).where(*late)
    rows = tx.execute(old.order_by(t.c.claimed_at.nulls_first()).limit(1000)).all()
    due = (row.incident_id for row in rows if row.claimed_at is None or now - row.claimed_at >= pause(row.attempts))
    return list(dict.fromkeys(due))


def gathering(tx: Transaction, prefix: str, instant: datetime) -> str | None:
    """What has a name that begins with *prefix*, and a pending notice written after *instant*."""
    named = (t.c.incident_id.startswith(prefix, autoescape=True), t.c.status == Delivery.PENDING.value)
    return tx.execute(
        sa.select(t.c.incident_id).where(*named, t.c.written_at > instant).limit(1)
    ).scalar_one_or_none()


def written_since(
    tx: Transaction, topic: Topic, instant: datetime, to: str | None = None, *, proved: bool | None = None
) -> int:
    """How many notices of a topic were written after *instant*.

    Args:
        tx: a transaction.
        topic: the topic.
        instant: UTC.
        to: only those to this address.
        proved: only those about incidents whose key is proved, or about those whose key is not.
    """
    count = sa.select(sa.func.count()).select_from(t).where(t.c.topic == topic.value, t.c.written_at > instant)
    if to is not None:
        count = count.where(t.c.to == to)
    if proved is not None:
        known = sa.select(incidents.c.id).where(incidents.c.evidence.in_(_PROOFS))
        count = count.where(t.c.incident_id.in_(known) if proved else t.c.incident_id.not_in(known))
    return tx.execute(count).scalar_one()


def is_about_a_proved_key(tx: Transaction, incident_id: str) -> bool:
    """Whether the evidence of an incident is a proof."""
    found = sa.select(incidents.c.id).where(incidents.c.id == incident_id, incidents.c.evidence.in_(_PROOFS))
    return tx.execute(found).first() is not None


def of(tx: Transaction, incident_id: str) -> Sequence[Notice]:
    """Every notice of an incident, in the order they were written."""
    rows = tx.execute(sa.select(t).where(t.c.incident_id == incident_id).order_by(t.c.written_at, t.c.id))
    return [_notice(row) for row in rows]


def _notice(row: sa.Row[tuple[object, ...]]) -> Notice:
    return Notice(
        row.id,
        Audience(row.audience),
        Topic(row.topic),
        Channel(row.channel),
        row.to,
        Delivery(row.status),
        row.attempts,
        row.sent_at,
    )
