"""Somebody who posts signed webhooks as fast as they are answered, over a few connections.

Run as a process of its own, so that it does not share a thread with what it measures:
``python -m tests.bench.load ORIGIN PATH SECRET COUNT CONNECTIONS BODY_BYTES LANES`` prints one JSON object.
Every body is a push that deletes a branch: it is accepted, stored and handled, and there is nothing to fetch.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.hook import SECRET, dump, sign
from tests.running import ROOT

NOTHING = "0" * 40


@dataclass(frozen=True, slots=True)
class Load:
    """What became of the requests.

    Attributes:
        seconds: from the first to the last answer.
        statuses: how many answers had each.
        latencies: of each, in seconds.
    """

    seconds: float
    statuses: dict[int, int]
    latencies: Sequence[float]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def at(self, quantile: float) -> float:
        """A quantile of the latencies, in milliseconds."""
        cuts = statistics.quantiles(self.latencies, n=1000, method="inclusive")
        return cuts[min(round(quantile * 1000), 999) - 1] * 1000

    @property
    def slowest(self) -> float:
        """Milliseconds."""
        return max(self.latencies) * 1000

    @property
    def bad(self) -> int:
        """Answers other than 2xx."""
        return sum(count for status, count in self.statuses.items() if not 200 <= status < 300)


def generate(
    origin: str, path: str, count: int, connections: int, *, size: int = 4096, lanes: int = 1, secret: str = SECRET
) -> Load:
    """Have a process of its own post *count* webhooks."""
    arguments = [origin, path, secret, *(str(number) for number in (count, connections, size, lanes))]
    answer = subprocess.run(
        [sys.executable, "-m", "tests.bench.load", *arguments],
        capture_output=True,
        check=True,
        cwd=ROOT,
        timeout=1200,
    )
    found = json.loads(answer.stdout)
    return Load(found["seconds"], {int(k): v for k, v in found["statuses"].items()}, found["latencies"])


def request(host: str, path: str, secret: str, size: int, lane: int) -> bytes:
    """One signed webhook with an id of its own."""
    whole = {"ref": "refs/heads/gone", "after": NOTHING, "commits": [], "repository": {"id": lane}, "padding": ""}
    whole["padding"] = "x" * max(0, size - len(dump(whole)))
    body = dump(whole)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-GitHub-Event: push\r\nX-GitHub-Delivery: {uuid.uuid4()}\r\n"
        f"X-Hub-Signature-256: {sign(body, secret)}\r\n\r\n"
    )
    return head.encode() + body


async def _post(origin: str, path: str, mine: Sequence[bytes], statuses: Counter[int], took: list[float]) -> None:
    parts = urlsplit(origin)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for sent in mine:
        started = time.monotonic()
        writer.write(sent)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        await reader.readexactly(length)
        took.append(time.monotonic() - started)
        statuses[int(head.split(b" ", 2)[1])] += 1
    writer.close()


async def _main(origin: str, path: str, secret: str, count: int, connections: int, size: int, lanes: int) -> None:
    host = urlsplit(origin).netloc
    sent = [request(host, path, secret, size, 1 + number % lanes) for number in range(count)]
    statuses: Counter[int] = Counter()
    took: list[float] = []
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            group.create_task(_post(origin, path, sent[number::connections], statuses, took))
    seconds = time.monotonic() - started
    sys.stdout.write(json.dumps({"seconds": seconds, "statuses": statuses, "latencies": took}))


if __name__ == "__main__":
    _origin, _path, _secret, *_numbers = sys.argv[1:]
    asyncio.run(_main(_origin, _path, _secret, *(int(number) for number in _numbers)))
