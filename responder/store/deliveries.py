"""Deliveries: accepted, waiting their turn, done."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from responder.store import Transaction
from responder.store.dialect import add
from responder.store.tables import deliveries as t


@dataclass(frozen=True, slots=True)
class Delivery:
    """One authenticated delivery.

    Attributes:
        id: ours; the same for a redelivery of the same thing.
        source: the name of a door, see `sources`.
        lane: whose turn it takes: repository or reporter.
        refs: ids and SHAs only.
        sealed: what may contain a token, sealed to the worker; or None.
        received_at: UTC.
    """

    id: str
    source: str
    lane: str
    refs: Mapping[str, object]
    received_at: datetime
    sealed: bytes | None = None


def accept(tx: Transaction, delivery: Delivery) -> bool:
    """Write *delivery* down; False if it was here already."""
    row = {
        "id": delivery.id,
        "source": delivery.source,
        "lane": delivery.lane,
        "refs": dict(delivery.refs),
        "sealed": delivery.sealed,
        "received_at": delivery.received_at,
        "state": "waiting",
    }
    return add(tx, t, row, ["id"])


def next_waiting(tx: Transaction, limit: int, full: Collection[str] = ()) -> Sequence[str]:
    """Ids of waiting deliveries, oldest first within a lane, lanes taking turns; none of those that are *full*."""
    turn = sa.func.row_number().over(partition_by=t.c.lane, order_by=(t.c.received_at, t.c.id))
    mine = (t.c.state == "waiting", t.c.lane.not_in(full))
    queue = sa.select(t.c.id, t.c.received_at, turn.label("turn")).where(*mine).subquery()
    return (
        tx.execute(sa.select(queue.c.id).order_by(queue.c.turn, queue.c.received_at, queue.c.id).limit(limit))
        .scalars()
        .all()
    )


def lanes(tx: Transaction, ids: Sequence[str]) -> Mapping[str, str]:
    """The lane of each of these deliveries."""
    return {row.id: row.lane for row in tx.execute(sa.select(t.c.id, t.c.lane).where(t.c.id.in_(ids)))}


def get(tx: Transaction, id: str) -> Delivery | None:  # noqa: A002 -- an id is called id
    """The delivery, or None."""
    row = tx.execute(sa.select(t).where(t.c.id == id)).one_or_none()
    return None if row is None else Delivery(row.id, row.source, row.lane, row.refs, row.received_at, row.sealed)


def start(tx: Transaction, ids: Sequence[str]) -> None:
    """Remember that the engine has taken these over."""
    tx.execute(sa.update(t).where(t.c.id.in_(ids), t.c.state == "waiting").values(state="started"))


def end(tx: Transaction, id: str, outcome: str, now: datetime, *, failed: bool = False) -> None:  # noqa: A002
    """Remember how a delivery ended."""
    tx.execute(
        sa.update(t).where(t.c.id == id).values(state="failed" if failed else "done", outcome=outcome, ended_at=now)
    )


def shred(tx: Transaction, ids: Sequence[str]) -> None:
    """Forget sealed bodies that nobody needs any more."""
    tx.execute(sa.update(t).where(t.c.id.in_(ids)).values(sealed=None))


def shred_before(tx: Transaction, instant: datetime) -> None:
    """Forget sealed bodies received before *instant*, whoever might still want them."""
    tx.execute(sa.update(t).where(t.c.received_at < instant, t.c.sealed.is_not(None)).values(sealed=None))


def unfinished(tx: Transaction) -> int:
    """How many accepted deliveries have not ended."""
    return tx.execute(sa.select(sa.func.count()).where(t.c.state.in_(("waiting", "started")))).scalar_one()
