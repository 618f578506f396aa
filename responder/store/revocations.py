"""The journal of revocations: the intent is on disk before a key is touched."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from responder.core.revocation import Outcome
from responder.store import Transaction
from responder.store.dialect import add
from responder.store.tables import revocations as t


@dataclass(frozen=True, slots=True)
class Intent:
    """That a key was to be revoked, and what is known of it since.

    Attributes:
        holder: the process that wrote or last took up the intent.
        outcome: None as long as nobody knows.
        attempts: requests made so far.
    """

    incident_id: str
    holder: str
    outcome: Outcome | None
    requested_at: datetime
    attempts: int


def intend(
    tx: Transaction, provider: str, account: str, key_id: str, incident_id: str, holder: str, now: datetime
) -> bool:
    """Write the intent to revoke a key; False if it was written before, by whomever."""
    row = {
        "provider": provider,
        "account": account,
        "key_id": key_id,
        "incident_id": incident_id,
        "holder": holder,
        "requested_at": now,
        "attempts": 0,
    }
    return add(tx, t, row, ["provider", "account", "key_id"])


def get(tx: Transaction, provider: str, account: str, key_id: str) -> Intent | None:
    """The intent for a key, or None."""
    row = tx.execute(sa.select(t).where(*_is(provider, account, key_id))).one_or_none()
    if row is None:
        return None
    return Intent(row.incident_id, row.holder, row.outcome and Outcome(row.outcome), row.requested_at, row.attempts)


def take_up(tx: Transaction, provider: str, account: str, key_id: str, holder: str) -> None:
    """Make *holder* the one who finds out what became of it."""
    tx.execute(sa.update(t).where(*_is(provider, account, key_id)).values(holder=holder))


def reopen(tx: Transaction, provider: str, account: str, key_id: str, holder: str) -> None:
    """Take up an intent again that was refused before: a person wants it once more."""
    tx.execute(sa.update(t).where(*_is(provider, account, key_id)).values(holder=holder, outcome=None, ended_at=None))


def settle(tx: Transaction, provider: str, account: str, key_id: str, outcome: Outcome | None, now: datetime) -> None:
    """Write down what became of one request; None: nobody knows yet, and whoever comes first may find out."""
    ended = now if outcome is not None else None
    values = {"outcome": outcome and outcome.value, "ended_at": ended, "attempts": t.c.attempts + 1, "holder": ""}
    tx.execute(sa.update(t).where(*_is(provider, account, key_id)).values(values))


def since(tx: Transaction, instant: datetime) -> int:
    """How many revocations were intended after *instant*, those by hand apart."""
    by_hand = t.c.incident_id.like("manual:%")
    return tx.execute(sa.select(sa.func.count()).where(t.c.requested_at > instant, sa.not_(by_hand))).scalar_one()


def _is(provider: str, account: str, key_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return t.c.provider == provider, t.c.account == account, t.c.key_id == key_id
