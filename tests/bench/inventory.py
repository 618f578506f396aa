"""A million known keys in the embedded database: their size, how fast one is found, what a listing costs.

Run it with ``.venv/bin/python -m tests.bench.inventory``; ``--keys`` makes it smaller. The lists come from a provider
made up on the spot, a page of 100 keys at a time, so that what is measured is ours alone: comparing and writing.
Every key is fingerprinted, the largest a database can get.
"""

import argparse
import random
import resource
import statistics
import string
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from responder.core.key import KeyKind, KnownKey, Mask, Owner
from responder.core.token import Fingerprint
from responder.inventory import Inventory
from responder.store import Store, keys

_ALNUM = string.ascii_letters + string.digits
_BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_HEAD = "sk-proj-"
_LENGTH = 164
_PAGE = 100
_MARK = 7
_NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Made:
    """A provider of as many keys as wanted, the same at every listing but for what is said to have been used.

    Attributes:
        used: projects whose first page was used since; None: every key was.
    """

    provider = "openai"
    account = "default"

    def __init__(self, projects: int, each: int) -> None:
        self.projects = projects
        self.each = each
        self.used: set[int] | None = set()

    def list_keys(self) -> Iterator[Sequence[KnownKey]]:
        """Page by page; nothing is kept."""
        for project in range(self.projects):
            made = self.list_numbered(project)
            for first in range(0, self.each, _PAGE):
                page = made[first : first + _PAGE]
                used = self.used is None or (project in self.used and first == 0)
                yield [replace(key, last_used_at=_NOON + timedelta(hours=1)) for key in page] if used else page

    def list_numbered(self, project: int) -> Sequence[KnownKey]:
        """The keys of a project."""
        chance = random.Random(project)
        id_, name = f"proj_{_text(chance, 24)}", f"Project number {project}"
        owners = [
            Owner("user", f"user-{_text(chance, 24)}", "Ada Example", f"ada{n}@acme.example") for n in range(20)
        ]
        return [self._key(chance, id_, name, owners[number % 20], number) for number in range(self.each)]

    def _key(self, chance: random.Random, project: str, name: str, owner: Owner, number: int) -> KnownKey:
        tail = "".join(chance.choices(_BASE64URL, k=2)) + chance.choice(_BASE64URL[::4]) + "A"
        return KnownKey(
            provider=self.provider,
            account=self.account,
            id=f"key_{_text(chance, 24)}",
            kind=KeyKind.PROJECT,
            name=f"service {number} production",
            mask=Mask(_HEAD, tail, _LENGTH),
            owner=owner,
            project=project,
            project_name=name,
            created_at=_NOON - timedelta(seconds=chance.randrange(10**8)),
            last_used_at=_NOON - timedelta(seconds=chance.randrange(10**6)),
        )


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000, help="how many, in projects of 1,000")
    parser.add_argument("--lookups", type=int, default=2_000, help="of each kind")
    wanted = parser.parse_args()
    provider = Made(max(wanted.keys // 1000, 1), min(wanted.keys, 1000))
    count = provider.projects * provider.each
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "responder.sqlite"
        store = Store(f"sqlite:///{path}")
        store.upgrade()
        inventory = Inventory(store, provider, (), lambda: datetime.now(UTC))  # type: ignore[arg-type]  # lists only
        before = _resident_kilobytes()
        first, _ = _sync(inventory)
        grown = _resident_kilobytes() - before
        _bind(store)
        _checkpoint(store)
        size = path.stat().st_size / count
        samples = _samples(provider, store, wanted.lookups)
        by_fingerprint = [_lookup(inventory, one, 1) for one in samples]
        by_mask = [_lookup(inventory, replace(one, digest="00" * 32), 0) for one in samples]
        same, same_written = _sync(inventory)
        provider.used = {provider.projects // 2}
        page, page_written = _sync(inventory)
        provider.used = None
        everything, everything_written = _sync(inventory)
        with store.read() as tx:
            began = time.perf_counter()
            coverage = keys.coverage(tx, "openai", "default")
            covered = time.perf_counter() - began
            alike = keys.shared_masks(tx, "openai", "default")
            counted = time.perf_counter() - began - covered
        store.close()
    print(f"{count:,} known keys in {provider.projects:,} projects, all fingerprinted ({coverage[1]:,}), SQLite")
    print(f"{'database, bytes a key':44}{size:10.0f}")
    for name, rows in (("lookup by fingerprint", by_fingerprint), ("lookup by mask alone", by_mask)):
        wall, busy = zip(*rows, strict=True)
        print(f"{name + ', ms: median / p99':44}{_ms(wall, 50):10.3f} /{_ms(wall, 99):7.3f}")
        print(f"{'  of that computing, ms: median / p99':44}{_ms(busy, 50):10.3f} /{_ms(busy, 99):7.3f}")
    print(f"{'first list, s; memory it grew by, MB':44}{first:10.1f} /{grown / 1024:7.1f}")
    print(f"{'list without change, s; MB written':44}{same:10.1f} /{same_written:7.2f}")
    print(f"{'one page of 100 keys changed, s; MB written':44}{page:10.1f} /{page_written:7.2f}")
    print(f"{'every key changed, s; MB written':44}{everything:10.1f} /{everything_written:7.2f}")
    print(f"{'coverage, s; shared masks (' + format(alike, ',') + '), s':44}{covered:10.2f} /{counted:7.2f}")


def _sync(inventory: Inventory) -> tuple[float, float]:
    """Seconds that a listing took, and megabytes that were written for it."""
    written, began = _written_bytes(), time.perf_counter()
    assert inventory.sync()
    return time.perf_counter() - began, (_written_bytes() - written) / 1e6


def _written_bytes() -> int:
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["wchar"])


def _bind(store: Store) -> None:
    """Give every key a fingerprint, as long proving would."""
    chance = random.Random(1)
    with store.begin("bind") as tx:
        ids = tx.execute(sa.text("SELECT id FROM known_keys")).scalars().all()
        change = sa.text("UPDATE known_keys SET fingerprint = :digest, pepper = :mark WHERE id = :id")
        for first in range(0, len(ids), 10_000):
            rows = [{"id": id_, "digest": chance.randbytes(32), "mark": _MARK} for id_ in ids[first : first + 10_000]]
            tx.execute(change, rows)


def _checkpoint(store: Store) -> None:
    with store.read() as tx:
        tx.rollback()
        tx.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]


def _samples(provider: Made, store: Store, count: int) -> Sequence[Fingerprint]:
    """Fingerprints of known keys, anywhere in the database."""
    chance = random.Random(2)
    found = []
    for project in chance.choices(range(provider.projects), k=count // 20):
        chosen = chance.sample(provider.list_numbered(project), 20)
        with store.read() as tx:
            for key in chosen:
                known = keys.get(tx, "openai", "default", key.id)
                assert known is not None
                assert known.fingerprint is not None
                found.append(
                    Fingerprint(known.fingerprint, "openai-project", _LENGTH, _HEAD, key.mask.tail, (), (_MARK,))
                )
    return found


def _lookup(inventory: Inventory, seen: Fingerprint, expected: int) -> tuple[float, float]:
    """Seconds it took, and how many of them this thread was at work: a busy machine makes others wait."""
    began, busy = time.perf_counter(), time.thread_time()
    found = inventory.candidates(seen)
    taken = time.perf_counter() - began, time.thread_time() - busy
    assert sum(key.fingerprint == seen.digest for key in found) == expected
    assert any(key.mask.tail == seen.tail for key in found)
    return taken


def _ms(row: Sequence[float], percent: int) -> float:
    return statistics.quantiles(row, n=100)[percent - 1] * 1000


def _resident_kilobytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _text(chance: random.Random, length: int) -> str:
    return "".join(chance.choices(_ALNUM, k=length))


if __name__ == "__main__":
    main()
