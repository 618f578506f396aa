"""Five thousand deliveries at once over 64 connections: how long the slowest answer takes, and until all is finished.

Run it with ``.venv/bin/python -m tests.bench.burst``; with ``--postgres URL`` of an empty database on that.
A few of the deliveries are real leaks, so that it shows what a burst does to them.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import sqlalchemy as sa

from responder.simulator import World
from responder.store.tables import deliveries
from tests.bench.load import Load, generate
from tests.running import Group, eventually


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--postgres", help="URL of an empty database, instead of SQLite")
    wanted = parser.parse_args()
    settings = {"RESPONDER_DATABASE_URL": wanted.postgres} if wanted.postgres else {}
    done: list[Load] = []
    with tempfile.TemporaryDirectory() as folder, World() as world:
        key = world.openai.add_key("in the burst", owner=world.openai.add_user("Ada", "ada@acme.example"))
        with Group(Path(folder), world.environment() | settings).prepare() as group:
            group.start("serve").wait_until_ready()
            world.github.hook_url = f"{group.origin}/hooks/github"
            # The simulated GitHub signs with its own secret.
            secret = group.environment["RESPONDER_GITHUB__WEBHOOK_SECRET"]
            started = time.monotonic()
            burst = threading.Thread(
                target=lambda: done.append(
                    generate(group.origin, "/hooks/github", wanted.count, wanted.connections, lanes=40, secret=secret)
                )
            )
            burst.start()
            eventually(lambda: _stored(group) > wanted.count // 5, "the burst to be under way", 120)
            delivery = world.github.commit_and_push(world.github.add_repository(), {"a.py": f"K = '{key.value}'\n"})
            leaked = time.monotonic()
            assert delivery is not None
            assert delivery.status_code == 202
            eventually(lambda: world.openai.deletions, "the deletion", 120)
            deleted = world.openai.deletions[0].monotonic_seconds - leaked
            burst.join()
            group.wait_until_idle(1200)
            finished = time.monotonic() - started
            stored = _stored(group)
    (load,) = done
    rows = (
        ("deliveries", f"{wanted.count}"),
        ("answered other than 2xx", f"{load.bad}"),
        ("answers a second", f"{load.rate:.0f}"),
        ("p50, ms", f"{load.at(0.5):.0f}"),
        ("slowest, ms", f"{load.slowest:.0f}"),
        ("on disk, the leak among them", f"{stored}"),
        ("a leak in its midst: 202 to DELETE, s", f"{deleted:.2f}"),
        ("all finished after, s", f"{finished:.0f}"),
    )
    for name, value in rows:
        print(f"{name:40}{value:>10}")


def _stored(group: Group) -> int:
    with group.store.read() as tx:
        return tx.execute(sa.select(sa.func.count()).select_from(deliveries)).scalar_one()


if __name__ == "__main__":
    main()
