"""The record of what was decided and done: append-only, each entry bound to the one before it.

An entry's digest is the SHA-256 of the digest before it and of its own content,
so nothing can be changed, left out or slipped in without breaking every later
one. Whoever can write to the database could still write the whole chain anew:
the head is therefore logged once a day, and a head that was logged must be found
in the chain. Triggers refuse updates and deletions.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from responder.store import Transaction
from responder.store.dialect import alone
from responder.store.tables import audit as t

RECORDED = frozenset(
    {
        "decided",
        "would_revoke",
        "approved",
        "dismissed",
        "revoke_requested",
        "revoked",
        "already_gone",
        "revoke_refused",
        "revoke_unknown",
        "confirmed_dead",
        "alert_resolved",
        "alert_not_resolved",
        "closed",
    }
)
"""Events of an incident's timeline that are also entries here: decisions, mutating calls, people's words."""

START = bytes(32).hex()
"""The digest before the first entry."""

_WAITING = "audit"
_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry.

    Attributes:
        entries: how many there are.
        digest: of the newest, in hex.
    """

    entries: int
    digest: str


class Broken(Exception):
    """The chain does not hold.

    Args:
        entry: the first that does not follow from those before it.
        why: in a few words.
    """

    def __init__(self, entry: int, why: str) -> None:
        super().__init__(entry, why)
        self.entry = entry
        self.why = why


def record(tx: Transaction, at: datetime, event: str, subject: str, detail: Mapping[str, object]) -> None:
    """Add an entry, with the end of *tx*.

    Args:
        tx: a writing transaction.
        at: when it happened, UTC.
        event: what, in the past tense.
        subject: the id of what it is about: an incident, a key, a setting.
        detail: plain values; nothing secret.
    """
    tx.info.setdefault(_WAITING, []).append((at, event, subject, dict(detail)))


def forget(tx: Transaction) -> None:
    """Drop what an undone transaction would have recorded."""
    tx.info.pop(_WAITING, None)


def append(tx: Transaction) -> None:
    """Write what *tx* recorded, as the last thing it does: only now is the end of the chain held by it."""
    waiting = tx.info.pop(_WAITING, None)
    if not waiting:
        return
    alone(tx, "audit")
    last = head(tx)
    id_, digest = last.entries, last.digest
    for at, event, subject, detail in waiting:
        id_ += 1
        digest = _digest(digest, id_, at, event, subject, detail)
        row = {"id": id_, "at": at, "event": event, "subject": subject, "detail": detail, "digest": digest}
        tx.execute(sa.insert(t).values(row))


def head(tx: Transaction) -> Head:
    """The newest entry; of an empty record, none and `START`."""
    row = tx.execute(sa.select(t.c.id, t.c.digest).order_by(t.c.id.desc()).limit(1)).one_or_none()
    return Head(0, START) if row is None else Head(row.id, row.digest)


def last(tx: Transaction, event: str) -> Mapping[str, object] | None:
    """The detail of the newest entry about such an event."""
    found = sa.select(t.c.detail).where(t.c.event == event).order_by(t.c.id.desc()).limit(1)
    detail: Mapping[str, object] | None = tx.execute(found).scalar_one_or_none()
    return detail


def verify(tx: Transaction, known: str | None = None) -> Head:
    """Follow the chain from its start.

    Args:
        tx: any transaction.
        known: a digest that was logged once, and must be in it.

    Raises:
        Broken: an entry is missing, was changed or slipped in, or *known* is not there.
    """
    digest, id_, met = START, 0, known in (None, START)
    while True:
        rows = tx.execute(sa.select(t).where(t.c.id > id_).order_by(t.c.id).limit(_PAGE)).all()
        for row in rows:
            if row.id != id_ + 1:
                raise Broken(id_ + 1, "it is missing")
            digest = _digest(digest, row.id, row.at, row.event, row.subject, row.detail)
            if digest != row.digest:
                raise Broken(row.id, "it does not follow from the entries before it")
            id_, met = row.id, met or digest == known
        if not rows:
            break
    if not met:
        raise Broken(id_, "the digest that was logged is not in the record: its end was cut off or written anew")
    return Head(id_, digest)


def _digest(before: str, id_: int, at: datetime, event: str, subject: str, detail: Mapping[str, object]) -> str:
    content = json.dumps([id_, at.isoformat(), event, subject, detail], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(bytes.fromhex(before) + content.encode()).hexdigest()
