"""Takes up what waits in the inbox: at once, fairly, and no more than can be carried."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from responder.bell import Ear, ring
from responder.engine import Engine, Task
from responder.store import Store, StoreUnavailable, deliveries
from responder.store.deliveries import ARRIVALS, Turn

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
_PLANNING_SHARE = 10
"""Who is next is asked so rarely that the asking takes a tenth of the time: it looks at all that wait."""

_PLANNED = 1000
_MOST_SERVED = 10_000


class Pressure:
    """What else this machine is asked to do, looked at ten times a second.

    Attributes:
        arriving: more comes in than can be handled. Who sends it has ten seconds, and what is on disk can wait.
        busy: our processor time is used up. More at once would take turns with what is under way, and all be late.
    """

    _LOOK_SECONDS = 0.1
    _MANY_A_SECOND = 100
    _BUSY = 0.8

    def __init__(self) -> None:
        self.arriving = False
        self.busy = False
        self._rings = 0
        self._since, self._spent = time.monotonic(), time.process_time()

    def feel(self, rings: int) -> None:
        """Take note of so many deliveries that have arrived since the last time."""
        self._rings += rings
        passed = time.monotonic() - self._since
        if passed < self._LOOK_SECONDS:
            return
        spent = time.process_time()
        self.arriving = self._rings / passed > self._MANY_A_SECOND
        self.busy = (spent - self._spent) / passed > self._BUSY
        self._rings, self._since, self._spent = 0, self._since + passed, spent


class Waiter:
    """Starts what waits.

    Args:
        store: where deliveries are kept.
        folder: the data directory.
        engine: what they are started in.
        places: how many may be under way at once; of one lane, a third of them; of one source, two thirds.
        task: makes the task for a delivery's id.
        patience_seconds: after so long without a round that went well it is not going any more.
    """

    _TRICKLE_SECONDS = 0.05

    def __init__(
        self,
        store: Store,
        folder: Path,
        engine: Engine,
        places: int,
        task: Callable[[str], Task],
        patience_seconds: float = 10.0,
    ) -> None:
        self._store = store
        self._engine = engine
        self._places = places
        self._task = task
        self._under_way: dict[str, Turn] = {}
        self._plan: Sequence[Turn] = ()
        self._replan_at = 0.0
        self._served: dict[str, float] = {}  # when each lane had its last turn
        self._pressure = Pressure()
        self._lock = threading.Lock()
        self._free = threading.Event()
        self._stop = threading.Event()
        self._patience = patience_seconds
        self._went_well_at = time.monotonic()
        self._threads = [threading.Thread(target=self._start_for_ever, name="waiter", daemon=True)]
        if store.is_sqlite:
            self._bell = folder / "bell"
        else:
            self._threads.append(threading.Thread(target=self._listen_for_ever, name="listener", daemon=True))
            self._bell = folder / f"bell-{os.getpid()}"
        self._ear = Ear(self._bell)

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def ended(self, delivery_id: str) -> None:
        """Say that a delivery no longer occupies a place."""
        with self._lock:
            self._under_way.pop(delivery_id, None)
        self._free.set()
        self._ear.nudge()  # what was left waiting because its lane was full may go on

    def is_going(self) -> bool:
        """Whether what waits is being started: a worker that no longer does that is as good as dead."""
        return time.monotonic() - self._went_well_at < self._patience

    def close(self) -> None:
        """Stop starting anything."""
        self._stop.set()
        self._free.set()
        self._ear.nudge()
        for thread in self._threads:
            thread.join(timeout=5)
        if not any(thread.is_alive() for thread in self._threads):
            self._ear.close()

    def _start_for_ever(self) -> None:
        while not self._stop.is_set():
            pause = SWEEP_SECONDS
            try:
                pause = self._start_some()
                self._went_well_at = time.monotonic()
            except StoreUnavailable as error:
                log.warning("inbox_unreadable", why=error.why)
            except Exception as error:  # the engine's own: nobody but this thread would try again
                log.exception("not_started", error=type(error).__name__)
                self._stop.wait(SWEEP_SECONDS)
            self._pressure.feel(self._ear.hear(pause))

    def _start_some(self) -> float:
        """Start as many as there are places for; after how many seconds to look again, unless something rings."""
        with self._lock:
            room = self._places - len(self._under_way)
        if room <= 0:
            self._free.clear()
            if not self._free.wait(SWEEP_SECONDS):
                self._leave_what_ended()
            return 0.0
        if self._pressure.arriving:
            self._stop.wait(self._TRICKLE_SECONDS)
            room = 1
        with self._store.alone("inbox"):  # or two workers would start the same ones
            chosen, pause = self._choose(room)
            self._begin(chosen)
            if chosen:
                with self._store.begin("start") as tx:
                    deliveries.start(tx, [turn.id for turn in chosen])
        return pause

    def _begin(self, turns: Sequence[Turn]) -> None:
        """Hand them to the engine; what it does not take has no place, and its lane had no turn."""
        for number, turn in enumerate(turns):
            try:
                self._engine.start(self._task(turn.id))
            except Exception:
                with self._lock:
                    for left in turns[number:]:
                        self._under_way.pop(left.id, None)
                raise
            self._served[turn.lane] = time.monotonic()

    def _leave_what_ended(self) -> None:
        """Give back the places of deliveries that another worker brought to an end."""
        with self._lock:
            mine = list(self._under_way)
        with self._store.read() as tx:
            ended = set(mine) - set(deliveries.under_way(tx, mine))
        with self._lock:
            for id_ in ended:
                self._under_way.pop(id_, None)

    def _choose(self, room: int) -> tuple[Sequence[Turn], float]:
        """The next to be started, at most *room*, which have their places from now on; and when to look again.

        No lane has more than a third of all places, and no source more than two thirds: whoever fills
        one, or many, with work that takes long must not keep the others waiting until it is done.
        While we are busy it is a twelfth and a quarter.
        """
        lane_part, source_part = (12, 4) if self._pressure.busy else (3, 1.5)
        of_a_lane, of_a_source = (max(1, int(self._places / part)) for part in (lane_part, source_part))
        with self._lock:
            sources = Counter(turn.source for turn in self._under_way.values())
            lanes = Counter(turn.lane for turn in self._under_way.values())
        is_new = time.monotonic() >= self._replan_at
        if is_new:
            self._make_plan(
                [lane for lane, count in lanes.items() if count >= of_a_lane],
                [source for source, count in sources.items() if count >= of_a_source],
            )
        chosen: list[Turn] = []
        left = []
        for turn in self._plan:
            if len(chosen) < room and lanes[turn.lane] < of_a_lane and sources[turn.source] < of_a_source:
                lanes[turn.lane] += 1
                sources[turn.source] += 1
                chosen.append(turn)
            else:
                left.append(turn)
        self._plan = left
        if not chosen:
            return (), SWEEP_SECONDS if is_new else max(0.0, self._replan_at - time.monotonic())
        with self._store.read() as tx:
            waiting = deliveries.still_waiting(tx, [turn.id for turn in chosen])
        chosen = [turn for turn in chosen if turn.id in waiting]
        with self._lock:
            self._under_way |= {turn.id: turn for turn in chosen}
        return chosen, 0.0

    def _make_plan(self, full_lanes: Sequence[str], full_sources: Sequence[str]) -> None:
        """Ask who is next, which takes the longer the more there are, and not again for ten times as long."""
        if len(self._served) > _MOST_SERVED:
            self._served.clear()
        began = time.monotonic()
        with self._store.read() as tx:
            self._plan = deliveries.next_waiting(tx, _PLANNED, full_lanes, full_sources, self._served)
        now = time.monotonic()
        self._replan_at = now + _PLANNING_SHARE * (now - began)

    def _listen_for_ever(self) -> None:
        """Pass PostgreSQL's notifications on to our own bell."""
        while not self._stop.is_set():
            try:
                for woken in self._store.listen(ARRIVALS, SWEEP_SECONDS):
                    if woken:
                        ring(self._bell)
                    if self._stop.is_set():
                        return
            except StoreUnavailable as error:
                log.warning("listener_lost", why=error.why)
                self._stop.wait(SWEEP_SECONDS)
