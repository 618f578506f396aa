"""How many leaks a second one, two and four workers bring to their end, on one PostgreSQL.

Run it with ``.venv/bin/python -m tests.bench.workers``. The leaks are on disk before the first worker starts, each
in a repository of its own; every answer of the simulated services is 100 ms away, so that waiting is what there is
to share. Counted from the first deletion asked for to the last incident closed.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from responder.inbox import Inbox
from responder.simulator import World
from responder.sources import GITHUB_EVENTS, doors
from responder.store.deliveries import Delivery
from tests.postgres import database
from tests.running import Group, eventually

_SETTINGS = {
    "RESPONDER_OPENAI__CALLS_PER_SECOND": "10000",
    "RESPONDER_POLICY__MAX_REVOKES_PER_HOUR": "100000",
}


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaks", type=int, default=150)
    parser.add_argument("--away", type=float, default=0.1, help="seconds before every simulated answer")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    wanted = parser.parse_args()
    print(f"{wanted.leaks} leaks, answers {wanted.away * 1000:.0f} ms away")
    print(f"{'workers':>8}{'seconds':>10}{'a second':>10}{'ratio':>8}{'deletions':>11}")
    first = None
    for count in wanted.workers:
        seconds, deletions = _play(wanted.leaks, wanted.away, count)
        rate = wanted.leaks / seconds
        first = first or rate
        print(f"{count:8}{seconds:10.1f}{rate:10.2f}{rate / first:8.2f}{deletions:11}", flush=True)


def _play(leaks: int, away: float, workers: int) -> tuple[float, int]:
    with tempfile.TemporaryDirectory() as folder, World() as world, database() as url:
        owner = world.openai.add_user("Ada Example", "ada@acme.example")
        keys = [world.openai.add_key(f"key {n}", owner=owner) for n in range(leaks)]
        settings = {**world.environment(), **_SETTINGS, "RESPONDER_DATABASE_URL": url}
        groups: Sequence[Group] = []
        try:
            groups = [Group(Path(folder) / str(n), settings) for n in range(workers)]
            for group in groups[1:]:
                group.environment["RESPONDER_DATA_DIR"] = str(groups[0].data)
            groups[0].prepare()
            for key in keys:
                world.github.commit_and_push(world.github.add_repository(), {"a.py": f"K = '{key.value}'\n"})
            inbox = Inbox(groups[0].store, groups[0].data)
            for number, sent in enumerate(world.github.deliveries):
                door = GITHUB_EVENTS[sent.event]
                told = doors()[door].told(sent.payload)
                inbox.accept(Delivery(f"gh_{number}", door, told.lane, told.refs, datetime.now(UTC)))
            world.openai.latency_seconds = world.github.latency_seconds = away
            for group in groups:
                group.start("worker")
            eventually(lambda: world.openai.deletions, "the first deletion", 120)
            started = world.openai.deletions[0].monotonic_seconds
            groups[0].wait_until_idle(1800)
            return time.monotonic() - started, len(world.openai.deletions)
        finally:
            for group in groups:
                with group:  # which ends here
                    pass


if __name__ == "__main__":
    main()
