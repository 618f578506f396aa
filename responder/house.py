"""What the story needs, in one value that is handed from task to task."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from responder.outbox import Outbox
from responder.proof import Account
from responder.scan import Scanner
from responder.sources import Reach
from responder.store import Store


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings allow.

    Attributes:
        enforce: False: decide and tell, never call a mutating endpoint.
        max_revokes_per_hour: beyond it leaks are held.
        verify_seconds: how long to keep checking that a revoked key is dead.
        page_after: how long a leak may stay undecided before the security team is paged.
        close_alerts: close GitHub's alerts once the key is dead.
        keep_work: how long ended deliveries and tasks are kept.
        keep_incidents: how long closed incidents are kept; None: for ever.
    """

    enforce: bool = True
    max_revokes_per_hour: int = 100
    verify_seconds: int = 900
    page_after: timedelta = timedelta(minutes=15)
    close_alerts: bool = True
    keep_work: timedelta = timedelta(days=30)
    keep_incidents: timedelta | None = None


class Locks:
    """One at a time per token, within this process; the journal guards against the others."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Nobody else is in a block of the same *name*."""
        with self._guard:
            lock, users = self._held.get(name, (threading.Lock(), 0))
            self._held[name] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, users = self._held.pop(name)
                if users > 1:
                    self._held[name] = (lock, users - 1)

    @contextmanager
    def alone_or_not(self, name: str) -> Iterator[bool]:
        """Whether nobody else is in a block of the same *name*; does not wait for them."""
        with self._guard:
            free = name not in self._held
            if free:
                lock = threading.Lock()
                lock.acquire()
                self._held[name] = (lock, 1)
        if not free:
            yield False
            return
        try:
            yield True
        finally:
            with self._guard:
                _, users = self._held.pop(name)
                if users > 1:
                    self._held[name] = (lock, users - 1)
            lock.release()


@dataclass(frozen=True, slots=True)
class House:
    """Everything the story needs, handed in.

    Attributes:
        store: what is remembered.
        scanner: finds tokens.
        reach: what the worker can fetch with.
        accounts: configured accounts by provider.
        outbox: notices to people.
        policy: what the settings allow.
        peppers: name tokens, newest first; asked for each time, because they may be rotated meanwhile.
        private: opens sealed bodies; 32 bytes.
        clock: now, UTC.
        sleep: waits for seconds.
        holder: the name of this process.
        stopped: whether a person put up the stop file.
        is_alive: whether the process of that name lives.
        ended: called when a delivery no longer occupies a place.
    """

    store: Store
    scanner: Scanner
    reach: Reach
    accounts: Mapping[str, Sequence[Account]]
    outbox: Outbox
    policy: Policy
    peppers: Callable[[], Sequence[bytes]] = field(repr=False)
    private: bytes = field(repr=False)
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    holder: str
    stopped: Callable[[], bool]
    is_alive: Callable[[str], bool]
    ended: Callable[[str], None]
    locks: Locks = field(default_factory=Locks)
