"""What those who watch us ask for: numbers only, each from an index, so that asking often costs little."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from responder.core.incident import State
from responder.core.match import Evidence
from responder.core.notice import Delivery
from responder.store import Transaction
from responder.store.tables import accounts, audit, deliveries, incidents, notices

_UNCLOSED = [state.value for state in State if state is not State.CLOSED]
_PROOFS = [evidence.word for evidence in Evidence if evidence.proof]


@dataclass(frozen=True, slots=True)
class Unclosed:
    """Incidents that are not closed, and alike in this.

    Attributes:
        state, severity: of the incident.
        lives: the token is proved to be a key of ours, and that key was not seen dead yet.
        count: how many.
        oldest: when we first heard of the oldest, UTC.
    """

    state: str
    severity: str
    lives: bool
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Queued:
    """Deliveries of one source that have not ended.

    Attributes:
        source: the door they came through.
        state: waiting, or started.
        count: how many.
        oldest: when the oldest was accepted, UTC.
    """

    source: str
    state: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Notices that did not reach anybody.

    Attributes:
        pending: still to be sent.
        oldest: when the oldest of those was written, UTC; None if there is none.
        failed: given up.
    """

    pending: int
    oldest: datetime | None
    failed: int


@dataclass(frozen=True, slots=True)
class Inventoried:
    """An account, and when its keys were last listed; as `store.accounts.Listing`."""

    provider: str
    account: str
    tried_at: datetime
    complete_at: datetime | None
    is_complete: bool


def unclosed(tx: Transaction) -> Sequence[Unclosed]:
    """Every incident that is not closed, counted by what it has in common with others."""
    t = incidents.c
    lives = sa.and_(t.evidence.in_(_PROOFS), t.dead_at.is_(None)).label("lives")
    kinds = (t.state, t.severity, lives)
    counted = sa.select(*kinds, sa.func.count().label("many"), sa.func.min(t.opened_at).label("oldest"))
    rows = tx.execute(counted.where(t.state.in_(_UNCLOSED)).group_by(*kinds))
    return [Unclosed(row.state, row.severity, bool(row.lives), row.many, row.oldest) for row in rows]


def queued(tx: Transaction) -> Sequence[Queued]:
    """Every delivery that has not ended, counted by source and state."""
    t = deliveries.c
    counted = sa.select(t.source, t.state, sa.func.count().label("many"), sa.func.min(t.received_at).label("oldest"))
    rows = tx.execute(counted.where(t.state.in_(("waiting", "started"))).group_by(t.source, t.state))
    return [Queued(row.source, row.state, row.many, row.oldest) for row in rows]


def undelivered(tx: Transaction) -> Undelivered:
    """Notices that are pending, and those that failed."""
    t = notices.c
    counted = sa.select(t.status, sa.func.count().label("many"), sa.func.min(t.written_at).label("oldest"))
    mine = t.status.in_((Delivery.PENDING.value, Delivery.FAILED.value))
    found = {row.status: (row.many, row.oldest) for row in tx.execute(counted.where(mine).group_by(t.status))}
    pending, oldest = found.get(Delivery.PENDING.value, (0, None))
    return Undelivered(pending, oldest, found.get(Delivery.FAILED.value, (0, None))[0])


def inventories(tx: Transaction) -> Sequence[Inventoried]:
    """Every account whose keys anybody tried to list."""
    t = accounts.c
    tried = sa.select(t.provider, t.account, t.tried_at, t.complete_at, t.problem).where(t.tried_at.is_not(None))
    return [
        Inventoried(row.provider, row.account, row.tried_at, row.complete_at, row.problem is None)
        for row in tx.execute(tried)
    ]


def sealed(tx: Transaction) -> int:
    """How many sealed bodies are at rest."""
    return tx.execute(
        sa.select(sa.func.count()).select_from(deliveries).where(deliveries.c.sealed.is_not(None))
    ).scalar_one()


def audited(tx: Transaction) -> int:
    """How many entries the audit record has: they are numbered without a gap."""
    return int(tx.execute(sa.select(sa.func.coalesce(sa.func.max(audit.c.id), 0))).scalar_one())
