"""Deliveries: accepted, waiting their turn, done."""

import functools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

import sqlalchemy as sa

from responder.store import Transaction
from responder.store.dialect import alone
from responder.store.tables import Instant, Json
from responder.store.tables import deliveries as t

ENDED = ("done", "failed")
"""States after which nothing more becomes of a delivery."""

_MOST_RANKED = 1000
"""Of so many of a source's oldest it is looked at when their lanes were served."""

_COLUMNS = ("id", "source", "lane", "refs", "sealed", "received_at", "state")
_REFS, _RECEIVED_AT = Json(), Instant()

ARRIVALS = "responder_deliveries"
"""The channel on which PostgreSQL tells of new ones."""


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

    @property
    def whole(self) -> str:
        """Under which id people hear of it: that of the delivery it is a part of, if it is."""
        return str(self.refs.get("of", self.id))

    @property
    def backfill(self) -> bool:
        """Whether it tells of the past, from before we were listening."""
        return self.refs.get("backfill") is True


@dataclass(frozen=True, slots=True)
class Turn:
    """A waiting delivery, and in which queues it stands."""

    id: str
    source: str
    lane: str


@dataclass(frozen=True, slots=True)
class Quota:
    """At most so many deliveries in one lane within so much time; what was refused does not count."""

    most: int
    within: timedelta


class Crowded(Exception):
    """A lane has had as many deliveries as its quotas allow.

    Args:
        seconds: until it may have another; at least 1.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def accept(tx: Transaction, delivery: Delivery, quotas: Sequence[Quota] = ()) -> bool:
    """Write *delivery* down; False if it was here already, which no quota counts twice.

    Counted in the transaction that writes, by one at a time for each lane: exact however many
    processes and machines accept.

    Raises:
        Crowded: a quota of its lane is used up; the transaction must not be committed.
    """
    if quotas:
        alone(tx, delivery.lane)
    new = bool(accept_all(tx, [delivery]))
    if new:
        waits = [until for quota in quotas if (until := _crowded_until(tx, delivery, quota))]
        if waits:
            raise Crowded(math.ceil((max(waits) - delivery.received_at).total_seconds()))
    return new


def accept_all(tx: Transaction, some: Sequence[Delivery]) -> Collection[str]:
    """Write *some* down; the ids of those that were not here already."""
    if not some:
        return set()
    values = tuple(value for one in some for value in _row(one, tx.dialect))
    return set(tx.exec_driver_sql(_insertion(tx.dialect.paramstyle, len(some)), values).scalars())


@functools.lru_cache(64)
def _insertion(paramstyle: str, rows: int) -> str:
    """The INSERT of so many *rows*, as the driver takes it: in SQLAlchemy's way a commit takes half as long again."""
    marks = ", ".join(["?" if paramstyle == "qmark" else "%s"] * len(_COLUMNS))
    values = ", ".join([f"({marks})"] * rows)
    into = f"deliveries ({', '.join(_COLUMNS)})"
    return f"INSERT INTO {into} VALUES {values} ON CONFLICT (id) DO NOTHING RETURNING id"  # noqa: S608 -- names and marks


def _row(one: Delivery, dialect: sa.Dialect) -> Sequence[object]:
    """The values of `_COLUMNS`."""
    refs = _REFS.process_bind_param(dict(one.refs), dialect)
    received_at = _RECEIVED_AT.process_bind_param(one.received_at, dialect)
    return one.id, one.source, one.lane, refs, one.sealed, received_at, "waiting"


def _crowded_until(tx: Transaction, newest: Delivery, quota: Quota) -> datetime | None:
    """When the oldest delivery too many leaves the quota's time; None if there are not too many."""
    others = sa.select(t.c.received_at).where(t.c.lane == newest.lane, t.c.id != newest.id)
    oldest: datetime | None = tx.execute(
        others.order_by(t.c.received_at.desc()).offset(quota.most - 1).limit(1)
    ).scalar_one_or_none()
    if oldest is None or oldest + quota.within <= newest.received_at:
        return None
    return oldest + quota.within


def next_waiting(
    tx: Transaction,
    limit: int,
    full_lanes: Collection[str] = (),
    full_sources: Collection[str] = (),
    served: Mapping[str, float] = MappingProxyType({}),
) -> Sequence[Turn]:
    """Waiting deliveries, oldest first within a lane; sources take turns, and within a source its lanes.

    Sources first, because lanes of reports cost nothing: whoever has many addresses has as many lanes.
    A lane that was not *served* for longest comes first, or one with older deliveries, however many,
    would always go before one in which something has just happened.

    Args:
        tx: any transaction.
        limit: how many at most.
        full_lanes: which have no turn now.
        full_sources: likewise.
        served: when each lane had its last turn, on any clock.
    """
    mine = (t.c.state == "waiting", t.c.lane.not_in(full_lanes), t.c.source.not_in(full_sources))
    ranked: list[tuple[int, int, float, datetime, Turn]] = []
    for source in tx.execute(sa.select(t.c.source).where(*mine).distinct()).scalars().all():
        place = sa.func.row_number().over(partition_by=t.c.lane, order_by=(t.c.received_at, t.c.id)).label("place")
        columns = (place, t.c.received_at, t.c.id, t.c.lane)
        its = sa.select(*columns).where(*mine, t.c.source == source).subquery().c
        queue = sa.select(*its).order_by(its.place, its.received_at, its.id).limit(max(limit, _MOST_RANKED))
        rows = sorted(tx.execute(queue), key=lambda row: (row.place, served.get(row.lane, 0.0)))  # is stable
        for round_, row in enumerate(rows):
            turn = Turn(row.id, source, row.lane)
            ranked.append((round_, row.place, served.get(row.lane, 0.0), row.received_at, turn))
    return [turn for *_, turn in sorted(ranked, key=lambda one: one[:4])[:limit]]


def still_waiting(tx: Transaction, ids: Sequence[str]) -> Collection[str]:
    """Those of *ids* that nobody has taken over yet."""
    return set(tx.execute(sa.select(t.c.id).where(t.c.id.in_(ids), t.c.state == "waiting")).scalars())


def under_way(tx: Transaction, ids: Sequence[str]) -> Sequence[str]:
    """Those of *ids* that have not ended."""
    return tx.execute(sa.select(t.c.id).where(t.c.id.in_(ids), t.c.ended_at.is_(None))).scalars().all()


def get(tx: Transaction, id: str) -> Delivery | None:  # noqa: A002 -- an id is called id
    """The delivery, or None."""
    row = tx.execute(sa.select(t).where(t.c.id == id)).one_or_none()
    return None if row is None else Delivery(row.id, row.source, row.lane, row.refs, row.received_at, row.sealed)


def state(tx: Transaction, id: str) -> str | None:  # noqa: A002
    """Where the delivery stands: waiting, started, or one of `ENDED`; None if there is none."""
    return tx.execute(sa.select(t.c.state).where(t.c.id == id)).scalar_one_or_none()


def outcome(tx: Transaction, id: str) -> str | None:  # noqa: A002
    """How the delivery ended; None before that."""
    return tx.execute(sa.select(t.c.outcome).where(t.c.id == id)).scalar_one_or_none()


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
    if ids:
        tx.execute(sa.update(t).where(t.c.id.in_(ids)).values(sealed=None))


def unopened_before(tx: Transaction, instant: datetime) -> Sequence[str]:
    """Deliveries with a sealed body that were received before *instant*, and have not ended."""
    late = (t.c.received_at < instant, t.c.sealed.is_not(None), t.c.state.not_in(ENDED))
    return tx.execute(sa.select(t.c.id).where(*late).limit(1000)).scalars().all()


def shred_before(tx: Transaction, instant: datetime) -> None:
    """Forget sealed bodies received before *instant*, whoever might still want them."""
    tx.execute(sa.update(t).where(t.c.received_at < instant, t.c.sealed.is_not(None)).values(sealed=None))


def unfinished(tx: Transaction) -> int:
    """How many accepted deliveries have not ended."""
    return tx.execute(sa.select(sa.func.count()).where(t.c.state.in_(("waiting", "started")))).scalar_one()
