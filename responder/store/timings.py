"""How long it took from hearing of a leak to asking for its end, and to seeing it: histograms that only grow.

Each measurement is counted in the transaction that writes the event, so that it
is there exactly once, whichever process wrote it, after any restart, and when
the incident itself has long been forgotten.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from responder.store import Transaction
from responder.store.dialect import insert
from responder.store.tables import events
from responder.store.tables import timings as t

CLOCKS = ("revoke_requested", "confirmed_dead")
"""Events whose distance from ``received`` is measured."""

BOUNDS_MS = (
    *(25, 50, 100, 250, 500),
    *(1_000, 2_500, 5_000, 10_000, 30_000),
    *(60_000, 120_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000),
)
"""Upper bounds of the buckets, milliseconds; one without a bound comes after the last."""

_BEYOND = 2**53
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Histogram:
    """What was measured with one clock.

    Attributes:
        buckets: for each of `BOUNDS_MS` and beyond, how many took as long or less.
        total: of all of them together.
    """

    buckets: Sequence[int]
    total: timedelta


def measure(tx: Transaction, incident_id: str, event: str, at: datetime) -> None:
    """Count the time from hearing of an incident to *event*; call it before the first such event is written.

    An event that is written once more, and one about nothing that was received, counts for nothing.
    """
    first = sa.select(events.c.event, sa.func.min(events.c.at).label("at")).where(
        events.c.incident_id == incident_id, events.c.event.in_(("received", event))
    )
    known = {row.event: row.at for row in tx.execute(first.group_by(events.c.event))}
    if event in known or "received" not in known:
        return
    took = max(at - known["received"], timedelta())
    place = bisect_left(BOUNDS_MS, took / timedelta(milliseconds=1))
    row = {
        "clock": event,
        "bound_ms": BOUNDS_MS[place] if place < len(BOUNDS_MS) else _BEYOND,
        "measured": 1,
        "total_us": took // _MICROSECOND,
    }
    new = insert(tx, t).values(row)
    more = {"measured": t.c.measured + 1, "total_us": t.c.total_us + new.excluded.total_us}
    tx.execute(new.on_conflict_do_update(index_elements=["clock", "bound_ms"], set_=more))


def read(tx: Transaction) -> Mapping[str, Histogram]:
    """Every clock's histogram; those without a measurement too."""
    counted: dict[str, dict[int, int]] = defaultdict(dict)
    total: dict[str, int] = defaultdict(int)
    for row in tx.execute(sa.select(t)):
        counted[row.clock][row.bound_ms] = row.measured
        total[row.clock] += row.total_us
    return {
        clock: Histogram(
            [
                sum(count for bound, count in counted[clock].items() if bound <= most)
                for most in (*BOUNDS_MS, _BEYOND)
            ],
            total[clock] * _MICROSECOND,
        )
        for clock in CLOCKS
    }
