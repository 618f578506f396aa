"""How many deliveries a second the receiver puts on disk, beside a view that only checks the signature.

Run it with ``.venv/bin/python -m tests.bench.intake``. Another view also keeps the delivery's id in SQLite, with
nothing between: what durability costs by itself. All are Flask under the same gunicorn; a closed loop of eight
connections posts signed bodies of 4 KB to each in turns, while a worker handles what ours accepted.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx

from responder.simulator import World
from tests.bench.load import Load, generate
from tests.hook import SECRET
from tests.running import ROOT, Group, eventually, free_port


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1500, help="deliveries a round")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--postgres", help="URL of an empty database, instead of SQLite")
    wanted = parser.parse_args()
    settings = {"RESPONDER_GITHUB__WEBHOOK_SECRET": SECRET}
    if wanted.postgres:
        settings["RESPONDER_DATABASE_URL"] = wanted.postgres
    ours: list[Load] = []
    floor: list[Load] = []
    durable: list[Load] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        World() as world,
        _floor() as bare,
        _floor(str(Path(folder) / "kept.sqlite")) as kept,
    ):
        group = Group(Path(folder) / "group", world.environment() | settings)
        with group.prepare():
            group.start("serve").wait_until_ready()
            for _ in range(wanted.rounds):
                for origin, row in ((bare, floor), (kept, durable), (group.origin, ours)):
                    row.append(generate(origin, "/hooks/github", wanted.count, wanted.connections, lanes=50))
                group.wait_until_idle(600)
    print(f"{wanted.rounds} rounds of {wanted.count} deliveries of 4 KB, {wanted.connections} connections, in turns")
    print(f"{'':22}{'a second':>10}{'p50 ms':>10}{'p99 ms':>10}{'slowest':>10}{'not 2xx':>10}")
    for name, row in (("signature only", floor), ("and its id on disk", durable), ("responder", ours)):
        figures = (
            statistics.median(one.rate for one in row),
            statistics.median(one.at(0.5) for one in row),
            statistics.median(one.at(0.99) for one in row),
            max(one.slowest for one in row),
            sum(one.bad for one in row),
        )
        print(f"{name:22}" + "".join(f"{value:10.0f}" for value in figures))
    for name, row in (("signature only", floor), ("id on disk", durable)):
        ratio = statistics.median(a.rate / b.rate for a, b in zip(ours, row, strict=True))
        print(f"{f'of {name}':22}{ratio:10.2f}")


@contextlib.contextmanager
def _floor(*file: str) -> Iterator[str]:
    bind = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.floor", bind, *file],
        cwd=ROOT,
        env=dict(os.environ),
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _answers(bind), "the bare view to answer")
        yield f"http://{bind}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(bind: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://{bind}/", trust_env=False).status_code == 404
    return False


if __name__ == "__main__":
    main()
