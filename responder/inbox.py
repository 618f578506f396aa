"""Where deliveries wait: written down before they are acknowledged, handed out fairly.

The bell only saves time. A lost ring costs one sweep, never a delivery.
"""

import errno
import os
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from responder.store import Store, StoreUnavailable, deliveries, origins
from responder.store.deliveries import Crowded, Delivery, Quota
from responder.store.origins import Came, Hook

if TYPE_CHECKING:  # the receiver accepts, and must not pay for what executes
    from responder.engine import Engine, Task

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
_CHANNEL = "responder_deliveries"
_HOUR = timedelta(hours=1)
_MOST_NOTED = 10_000


@dataclass(slots=True)
class _Waiting:
    """A delivery on its way to disk, and what became of it."""

    delivery: Delivery
    came: Came | None
    over: bool = False
    new: bool = False
    error: StoreUnavailable | Crowded | None = field(default_factory=lambda: StoreUnavailable("not written"))


class Inbox:
    """The receiver's side.

    What arrives together goes to disk together: one commit for all of it.

    Args:
        store: where deliveries are kept.
        folder: the data directory, in which the bell hangs.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._bell = folder / "bell"
        self._noted: dict[Hook | int, datetime] = {}
        self._waiting: list[_Waiting] = []
        self._writing = threading.Lock()

    def accept(self, delivery: Delivery, quotas: Sequence[Quota] = (), came: Came | None = None) -> bool:
        """Put *delivery* on disk and ring; False if it was there already.

        Where it *came* from is noted with it, unless that was done within the hour.

        Raises:
            StoreUnavailable: it is not on disk, and must not be acknowledged.
            Crowded: its lane has used up one of *quotas*; it is not on disk.
        """
        if not self._store.has_room():
            raise StoreUnavailable("disk nearly full")
        if not self._store.is_there():
            raise StoreUnavailable("database missing")
        mine = _Waiting(delivery, came)
        if quotas:  # it may have to be undone, by itself
            self._write([mine], quotas)
        else:
            self._waiting.append(mine)
            time.sleep(0)  # lets whoever else is about to accept something join
            with self._writing:
                if not mine.over:
                    together, self._waiting = self._waiting, []
                    self._write(together)
        if mine.error is not None:
            raise mine.error
        if self._store.is_sqlite:
            _ring(self._bell)
        return mine.new

    def _write(self, together: Sequence[_Waiting], quotas: Sequence[Quota] = ()) -> None:
        """Put all of them on disk, or none; each hears of it."""
        noted: dict[Hook | int, datetime] = {}
        try:
            with self._store.begin("accept") as tx:
                if quotas:
                    new = {one.delivery.id for one in together if deliveries.accept(tx, one.delivery, quotas)}
                else:
                    new = set(deliveries.accept_all(tx, [one.delivery for one in together]))
                for one in together:
                    at = one.delivery.received_at
                    if (news := self._news(one.came, at)) is not None:
                        origins.note(tx, news, at)
                        noted |= {what: at for what in (news.hook, news.repository) if what is not None}
                self._store.notify(tx, _CHANNEL)
        except (StoreUnavailable, Crowded) as error:
            if not quotas:  # who came meanwhile would wait as long again, and has ten seconds
                together, self._waiting = [*together, *self._waiting], []
            for one in together:
                one.error = error
        else:
            self._noted |= noted
            for one in together:
                one.new, one.error = one.delivery.id in new, None
                new.discard(one.delivery.id)  # sent twice at once, it is new once
        finally:  # whatever it was, those that are not known to be on disk are not acknowledged
            for one in together:
                one.over = True

    def _news(self, came: Came | None, now: datetime) -> Came | None:
        """What of it was not noted for an hour; None if nothing."""
        if came is None:
            return None
        if len(self._noted) > _MOST_NOTED:
            self._noted.clear()
        old = {one for one in (came.hook, came.repository) if one in self._noted and now - self._noted[one] < _HOUR}
        news = Came(None if came.hook in old else came.hook, None if came.repository in old else came.repository)
        return news if news.hook is not None or news.repository is not None else None


class Waiter:
    """The worker's side: starts what waits, at once, and no more than it can carry.

    Args:
        store: where deliveries are kept.
        folder: the data directory.
        engine: what they are started in.
        places: how many may be under way at once; of one lane, a third of them; of one source, two thirds.
        task: makes the task for a delivery's id.
        patience_seconds: after so long without a round that went well it is not going any more.
    """

    def __init__(
        self,
        store: Store,
        folder: Path,
        engine: "Engine",
        places: int,
        task: Callable[[str], "Task"],
        patience_seconds: float = 10.0,
    ) -> None:
        self._store = store
        self._folder = folder
        self._engine = engine
        self._places = places
        self._task = task
        self._under_way: dict[str, tuple[str, str]] = {}  # source and lane of each
        self._lock = threading.Lock()
        self._free = threading.Event()
        self._stop = threading.Event()
        self._patience = patience_seconds
        self._went_well_at = time.monotonic()
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

    def is_going(self) -> bool:
        """Whether what waits is being started: a worker that no longer does that is as good as dead."""
        return time.monotonic() - self._went_well_at < self._patience

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
                    self._went_well_at = time.monotonic()
                self._went_well_at = time.monotonic()
            except StoreUnavailable as error:
                log.warning("inbox_unreadable", why=error.why)
            except Exception as error:  # the engine's own: nobody but this thread would try again
                log.exception("not_started", error=type(error).__name__)
                self._stop.wait(SWEEP_SECONDS)
            readable, _, _ = select.select([self._ear], [], [], SWEEP_SECONDS)
            if readable:
                with suppress(BlockingIOError):  # somebody else has heard it
                    os.read(self._ear, 65536)

    def _start_some(self) -> bool:
        """Start as many as there are places for; True if there may be more."""
        with self._lock:
            room = self._places - len(self._under_way)
        if room <= 0:
            self._free.clear()
            if not self._free.wait(SWEEP_SECONDS):
                self._leave_what_ended()
            return not self._stop.is_set()
        with self._store.alone("inbox"):  # or two workers would start the same ones
            ids = self._choose(room)
            self._begin(ids)
            if ids:
                with self._store.begin("start") as tx:
                    deliveries.start(tx, ids)
        return bool(ids)

    def _begin(self, ids: Sequence[str]) -> None:
        """Hand them to the engine; what it does not take has no place."""
        for number, id_ in enumerate(ids):
            try:
                self._engine.start(self._task(id_))
            except Exception:
                with self._lock:
                    for left in ids[number:]:
                        self._under_way.pop(left, None)
                raise

    def _leave_what_ended(self) -> None:
        """Give back the places of deliveries that another worker brought to an end."""
        with self._lock:
            mine = list(self._under_way)
        with self._store.read() as tx:
            ended = set(mine) - set(deliveries.under_way(tx, mine))
        with self._lock:
            for id_ in ended:
                self._under_way.pop(id_, None)

    def _choose(self, room: int) -> Sequence[str]:
        """The next to be started, at most *room*, which have their places from now on.

        No lane has more than a third of all places, and no source more than two thirds: whoever fills
        one, or many, with work that takes long must not keep the others waiting until it is done.
        """
        of_a_lane, of_a_source = max(1, self._places // 3), max(1, 2 * self._places // 3)
        with self._lock:
            sources = Counter(source for source, _ in self._under_way.values())
            lanes = Counter(lane for _, lane in self._under_way.values())
        full_lanes = [lane for lane, count in lanes.items() if count >= of_a_lane]
        full_sources = [source for source, count in sources.items() if count >= of_a_source]
        with self._store.read() as tx:
            ids = deliveries.next_waiting(tx, room, full_lanes, full_sources)
            queues = deliveries.queues(tx, ids)
        chosen = []
        for id_ in ids:
            source, lane = queues[id_]
            if lanes[lane] < of_a_lane and sources[source] < of_a_source:
                lanes[lane] += 1
                sources[source] += 1
                chosen.append(id_)
        with self._lock:
            self._under_way |= {id_: queues[id_] for id_ in chosen}
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
