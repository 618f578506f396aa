"""Where deliveries wait: written down before they are acknowledged, handed out fairly.

The bell only saves time. A lost ring costs one sweep, never a delivery.
"""

import errno
import os
import select
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from responder.store import Store, StoreUnavailable, deliveries
from responder.store.deliveries import Delivery

if TYPE_CHECKING:  # the receiver accepts, and must not pay for what executes
    from responder.engine import Engine, Task

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
_CHANNEL = "responder_deliveries"


class Inbox:
    """The receiver's side.

    Args:
        store: where deliveries are kept.
        folder: the data directory, in which the bell hangs.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._bell = folder / "bell"

    def accept(self, delivery: Delivery) -> bool:
        """Put *delivery* on disk and ring; False if it was there already.

        Raises:
            StoreUnavailable: it is not on disk, and must not be acknowledged.
        """
        with self._store.begin("accept") as tx:
            new = deliveries.accept(tx, delivery)
            self._store.notify(tx, _CHANNEL)
        if self._store.is_sqlite:
            _ring(self._bell)
        return new


class Waiter:
    """The worker's side: starts what waits, at once, and no more than it can carry.

    Args:
        store: where deliveries are kept.
        folder: the data directory.
        engine: what they are started in.
        places: how many may be under way at once; of one lane, a third of them.
        task: makes the task for a delivery's id.
    """

    def __init__(
        self, store: Store, folder: Path, engine: "Engine", places: int, task: Callable[[str], "Task"]
    ) -> None:
        self._store = store
        self._folder = folder
        self._engine = engine
        self._places = places
        self._task = task
        self._under_way: dict[str, str] = {}
        self._lock = threading.Lock()
        self._free = threading.Event()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._start_for_ever, name="waiter", daemon=True)]
        if store.is_sqlite:
            self._ear = _open_bell(folder / "bell")
        else:
            self._threads.append(threading.Thread(target=self._listen_for_ever, name="listener", daemon=True))
            self._ear = _open_bell(folder / f"bell-{os.getpid()}")

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def ended(self, delivery_id: str) -> None:
        """Say that a delivery no longer occupies a place."""
        with self._lock:
            self._under_way.pop(delivery_id, None)
        self._free.set()
        with suppress(OSError):  # full of rings, or closed
            os.write(self._ear, b"!")  # what was left waiting because its lane was full may go on

    def close(self) -> None:
        """Stop starting anything."""
        self._stop.set()
        self._free.set()
        for thread in self._threads:
            thread.join(timeout=5)
        os.close(self._ear)

    def _start_for_ever(self) -> None:
        while not self._stop.is_set():
            try:
                while self._start_some():
                    pass
            except StoreUnavailable as error:
                log.warning("inbox_unreadable", why=error.why)
            readable, _, _ = select.select([self._ear], [], [], SWEEP_SECONDS)
            if readable:
                os.read(self._ear, 65536)

    def _start_some(self) -> bool:
        """Start as many as there are places for; True if there may be more."""
        with self._lock:
            room = self._places - len(self._under_way)
        if room <= 0:
            self._free.clear()
            self._free.wait(SWEEP_SECONDS)
            return not self._stop.is_set()
        ids = self._choose(room)
        for id_ in ids:
            self._engine.start(self._task(id_))
        if ids:
            with self._store.begin("start") as tx:
                deliveries.start(tx, ids)
        return bool(ids)

    def _choose(self, room: int) -> Sequence[str]:
        """The next to be started, at most *room*, which have their places from now on.

        No lane has more than a third of all places: whoever fills one with work that takes
        long must not keep the others waiting until it is done.
        """
        most = max(1, self._places // 3)
        with self._lock:
            taken = Counter(self._under_way.values())
        with self._store.read() as tx:
            ids = deliveries.next_waiting(tx, room, [lane for lane, count in taken.items() if count >= most])
            lanes = deliveries.lanes(tx, ids)
        chosen = []
        for id_ in ids:
            if taken[lanes[id_]] < most:
                taken[lanes[id_]] += 1
                chosen.append(id_)
        with self._lock:
            self._under_way |= {id_: lanes[id_] for id_ in chosen}
        return chosen

    def _listen_for_ever(self) -> None:
        """Pass PostgreSQL's notifications on to our own bell."""
        while not self._stop.is_set():
            try:
                for woken in self._store.listen(_CHANNEL, SWEEP_SECONDS):
                    if woken:
                        _ring(self._folder / f"bell-{os.getpid()}")
                    if self._stop.is_set():
                        return
            except StoreUnavailable as error:
                log.warning("listener_lost", why=error.why)
                self._stop.wait(SWEEP_SECONDS)


def _open_bell(path: Path) -> int:
    """A named pipe, kept open for writing too, so that it never reads as ended."""
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)


def _ring(path: Path) -> None:
    try:
        bell = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ENOENT):
            log.warning("bell_broken", errno=error.errno)
        return  # nobody is there to hear it: the sweep will find the delivery
    try:
        with suppress(BlockingIOError):  # full of rings: one more would say nothing new
            os.write(bell, b"!")
    finally:
        os.close(bell)
