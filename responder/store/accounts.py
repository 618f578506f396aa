"""Configured accounts, and when the keys of each were last listed.

One listing of an account at a time, whatever the number of processes: whoever
begins one claims the account, says now and then that it is still at it, and its
result counts only as long as nobody else had reason to take over.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from responder.store import Transaction
from responder.store.dialect import insert
from responder.store.rows import Rows
from responder.store.tables import accounts as t

LEASE = timedelta(seconds=20)
"""A listing not heard of for so long has died with its process."""


@dataclass(frozen=True, slots=True)
class Listing:
    """When an account's keys were last listed.

    Attributes:
        tried_at: when the last attempt began.
        complete_at: when the last one began whose every page arrived and was believed; None: never.
        problem: why the last attempt was not, in words; None: it was.
    """

    tried_at: datetime
    complete_at: datetime | None
    problem: str | None


def number(tx: Transaction, provider: str, account: str) -> int:
    """The account's own number, given out at first sight; *tx* writes."""
    found = _number(tx, provider, account)
    if found is not None:
        return found
    new = insert(tx, t).values(provider=provider, account=account)
    tx.execute(new.on_conflict_do_nothing(index_elements=["provider", "account"]))
    return int(tx.execute(sa.select(t.c.id).where(*_is(provider, account))).scalar_one())


def number_of(provider: str | sa.BindParameter[str], account: str | sa.BindParameter[str]) -> sa.ScalarSelect[int]:
    """The account's own number, within a question; NULL if it was never seen."""
    return sa.select(t.c.id).where(t.c.provider == provider, t.c.account == account).scalar_subquery()


def claim(tx: Transaction, provider: str, account: str, now: datetime, forced_gap: timedelta | None = None) -> bool:
    """Begin a listing at *now*, unless one is under way; whether it may begin.

    Args:
        tx: a writing transaction.
        provider: whose account.
        account: its name.
        now: when the listing begins; also what it goes by until it ends.
        forced_gap: refuse as well if the last list was forced more recently than this.
    """
    mine = number(tx, provider, account)
    columns = (t.c.claimed_at, t.c.renewed_at, t.c.forced_at)
    row = tx.execute(sa.select(*columns).where(t.c.id == mine).with_for_update()).one()
    if _is_alive(row.claimed_at, row.renewed_at, now):
        return False
    if forced_gap is not None and row.forced_at is not None and abs(now - row.forced_at) < forced_gap:
        return False
    values = {"claimed_at": now, "renewed_at": now} | ({"forced_at": now} if forced_gap is not None else {})
    tx.execute(sa.update(t).where(t.c.id == mine).values(values))
    return True


def claimed(tx: Transaction, provider: str, account: str, now: datetime) -> datetime | None:
    """When the listing under way began; None if there is none."""
    row = tx.execute(sa.select(t.c.claimed_at, t.c.renewed_at).where(*_is(provider, account))).one_or_none()
    return row.claimed_at if row is not None and _is_alive(row.claimed_at, row.renewed_at, now) else None


def renew(tx: Transaction, provider: str, account: str, started: datetime, now: datetime) -> bool:
    """Say that the listing begun at *started* is still under way; False if another has taken over."""
    still = sa.update(t).where(*_is(provider, account), t.c.claimed_at == started)
    return tx.execute(still.values(renewed_at=now)).rowcount == 1


def listing(tx: Transaction, provider: str, account: str) -> Listing | None:
    """When the account was last listed, or None."""
    columns = (t.c.tried_at, t.c.complete_at, t.c.problem)
    row = tx.execute(sa.select(*columns).where(*_is(provider, account))).one_or_none()
    return None if row is None or row.tried_at is None else Listing(row.tried_at, row.complete_at, row.problem)


def listed(tx: Transaction, provider: str, account: str, started: datetime, problem: str | None) -> None:
    """Write down an attempt to list everything, begun at *started*, which ends with that."""
    values: dict[str, object] = {"tried_at": started, "problem": problem, "claimed_at": None, "renewed_at": None}
    if problem is None:
        values |= {"complete_at": started, "doubted": None}
    tx.execute(sa.update(t).where(t.c.id == number(tx, provider, account)).values(values))


def doubted(tx: Transaction, provider: str, account: str) -> Rows:
    """The keys that the last complete list lacked, if it was not believed."""
    return Rows(tx.execute(sa.select(t.c.doubted).where(*_is(provider, account))).scalar_one_or_none() or b"")


def doubt(tx: Transaction, provider: str, account: str, rows: Rows) -> None:
    """Remember which keys a complete list lacked that is not believed."""
    tx.execute(sa.update(t).where(*_is(provider, account)).values(doubted=rows.bits))


def _number(tx: Transaction, provider: str, account: str) -> int | None:
    return tx.execute(sa.select(t.c.id).where(*_is(provider, account))).scalar_one_or_none()


def _is(provider: str, account: str) -> tuple[sa.ColumnElement[bool], ...]:
    return t.c.provider == provider, t.c.account == account


def _is_alive(claimed_at: datetime | None, renewed_at: datetime | None, now: datetime) -> bool:
    """A clock that jumps back must not keep a claim alive for days: far in the future is no sign of life either."""
    return claimed_at is not None and renewed_at is not None and abs(now - renewed_at) < LEASE
