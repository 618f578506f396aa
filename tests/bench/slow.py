"""How long honest deliveries wait while others hold their connections open at a byte a second.

Run it with ``.venv/bin/python -m tests.bench.slow``. Honest ones come one after the other, each with a connection of
its own, so that they stand in line as everybody else does.
"""

import argparse
import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from tests.hook import dump, push, status
from tests.running import Group
from tests.siege import SETTINGS, House
from tests.slow import Slow


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="honest deliveries a row")
    parser.add_argument("--slow", type=int, nargs="*", default=[0, 200, 800])
    wanted = parser.parse_args()
    print(f"{'slow ones':>10}{'p50 ms':>10}{'p99 ms':>10}{'slowest':>10}{'not 202':>10}{'hung up on':>12}")
    with tempfile.TemporaryDirectory() as folder, Group(Path(folder), SETTINGS).prepare() as group:
        group.start("web").wait_until_listening()
        house = House(group)
        for slow in wanted.slow:
            _row(house, slow, wanted.count)


def _row(house: House, slow: int, count: int) -> None:
    door, waits, bad = house.doors["github"], [], 0
    with Slow(house.group.origin, slow) if slow else nullcontext() as others:
        for n in range(count):
            body = dump(push(repository={"id": 1000 + n}))
            began = time.monotonic()
            bad += status(house.post(door, body, door.prove(body))) != 202
            waits.append((time.monotonic() - began) * 1000)
            time.sleep(0.01)
        gone = len(others.answered()) if others else 0
    places = statistics.quantiles(waits, n=100)
    figures = f"{places[49]:>10.1f}{places[98]:>10.1f}{max(waits):>10.1f}"
    print(f"{slow:>10}{figures}{bad:>10}{gone:>12}", flush=True)


if __name__ == "__main__":
    main()
