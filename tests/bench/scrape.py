"""What one scrape of a full database costs, on SQLite and, where it is found, on PostgreSQL.

Run: ``python -m tests.bench.scrape [incidents]``
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import sqlalchemy as sa

from responder import metrics
from responder.store import Store
from responder.store.tables import deliveries, incidents, metadata, notices
from tests.grown import NOON
from tests.postgres import database

_AT_ONCE = 5000
_OPEN = 1000
"""One in so many is not over yet."""


def fill(store: Store, count: int) -> None:
    """Years of incidents, nearly all of them over."""
    with store.begin("make") as tx:
        metadata.create_all(tx)
    for first in range(0, count, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, count))
        with store.begin("fill") as tx:
            tx.execute(sa.insert(incidents), [_incident(number) for number in numbers])
            tx.execute(sa.insert(deliveries), [_delivery(number) for number in numbers])
            tx.execute(sa.insert(notices), [_notice(number) for number in numbers])


def scrape(store: Store, rounds: int = 31) -> Sequence[float]:
    """Seconds of each scrape."""
    stale = timedelta(seconds=15)
    shown = metrics.registry(metrics.Known(store, lambda: datetime.now(UTC), "worker", stale, lambda: [1]))
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        metrics.expose(shown, "")
        took.append(time.perf_counter() - began)
    return took


def main(count: int = 100_000) -> None:
    """Print a line for each database."""
    with tempfile.TemporaryDirectory() as folder:
        _measure("SQLite", f"sqlite:///{Path(folder) / 'responder.sqlite'}", count)
    with database() as url:
        _measure("PostgreSQL", url, count)


def _measure(name: str, url: str, count: int) -> None:
    store = Store(url)
    fill(store, count)
    took = sorted(scrape(store))
    print(f"{name}: {count} incidents, a scrape {median(took) * 1000:.1f} ms p50, {took[-1] * 1000:.1f} ms at most")
    store.close()


def _incident(number: int) -> dict[str, object]:
    over = number % _OPEN != 0
    return {
        "id": f"inc_{number}",
        "fingerprint": f"{number:064x}",
        "head": "sk-proj-",
        "tail": "abcd",
        "length": 51,
        "family": "openai-project",
        "provider": "openai",
        "account": "default",
        "state": "closed" if over else ("open", "held", "contained")[number // _OPEN % 3],
        "evidence": "probe",
        "reason": "One of many.",
        "severity": "normal",
        "backfill": False,
        "key": {"name": "one of many", "owner": {"email": "olivia@acme.example"}},
        "opened_at": NOON + timedelta(seconds=number),
        "looks": 1,
        "dead_in_a_row": 3 if over else 0,
        "dead_at": NOON + timedelta(seconds=number + 3) if over else None,
    }


def _delivery(number: int) -> dict[str, object]:
    over = number % _OPEN != 0
    return {
        "id": f"rep_{number}",
        "source": "report",
        "lane": "lane",
        "refs": {},
        "sealed": None if over else b"sealed",
        "received_at": NOON,
        "state": "done" if over else "waiting",
        "ended_at": NOON if over else None,
    }


def _notice(number: int) -> dict[str, object]:
    return {
        "id": f"ntc_{number}",
        "incident_id": f"inc_{number}",
        "audience": "owner",
        "topic": "revoked",
        "channel": "mail",
        "to": "olivia@acme.example",
        "status": "sent" if number % _OPEN else "pending",
        "attempts": 1,
        "written_at": NOON,
    }


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
