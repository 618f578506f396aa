"""What the answer to a report gives away: whether size or time tells a known key's token from a made-up one.

Run it with ``.venv/bin/python -m tests.bench.oracle``. Tokens of a registered key, of its look-alikes and of nobody
are reported in random order to a whole responder; the area under the curve of "known" against each of the others is
0.5 if the time says nothing.
"""

import argparse
import random
import tempfile
import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path

from responder.simulator import World, growth
from tests.hook import somebody
from tests.running import Group


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="reports of a kind")
    wanted = parser.parse_args()
    chance = random.Random(5)
    with tempfile.TemporaryDirectory() as folder, World() as world:
        key = world.openai.add_key("known")
        settings = {"RESPONDER_TRUSTED_PROXIES": "1", "RESPONDER_POLICY__PROTECTED": "known"}
        with Group(Path(folder), world.environment() | settings) as group:
            group.start("serve").wait_until_ready()
            registered = group.run("keys", "register", "-", stdin=key.value)
            assert registered.returncode == 0, registered.stderr
            kinds = ["known", "look-alike", "nobody's"] * wanted.count
            chance.shuffle(kinds)
            waits: dict[str, list[float]] = {kind: [] for kind in set(kinds)}
            sizes = set()
            for kind in kinds:
                body = {"token": _token(kind, key.value, chance)}
                headers = somebody()
                began = time.perf_counter()
                answer = group.client.post("/v1/reports", json=body, headers=headers)
                waits[kind].append(time.perf_counter() - began)
                sizes.add((answer.status_code, len(answer.content), tuple(answer.headers)))
    print(f"{wanted.count} reports of a kind; {len(sizes)} shape of answer")
    print(f"{'known against':>16}{'AUC':>8}")
    for kind in ("look-alike", "nobody's"):
        print(f"{kind:>16}{_area(waits['known'], waits[kind]):>8.3f}")


def _token(kind: str, known: str, chance: random.Random) -> str:
    if kind == "known":
        return known
    return growth.lookalike(known, chance) if kind == "look-alike" else growth.grow("openai-project", chance)


def _area(some: Sequence[float], others: Sequence[float]) -> float:
    """How often one of *some* took longer than one of *others*; a draw counts half."""
    line = sorted(others)
    wins = sum((bisect_left(line, one) + bisect_right(line, one)) / 2 for one in some)
    return wins / (len(some) * len(line))


if __name__ == "__main__":
    main()
