"""Durable execution: what was started is finished, whatever dies in between. DBOS lives only here.

A task is a name and a few ids. It runs as one durable step; what it returns are
the tasks that follow, and they are on disk before it counts as done. A task that
was running when its process died runs again, so every task must bear that.

Arguments are ids, never secrets: the serializer refuses everything else, and
keeps of an exception only its class. Delays are rows, not sleeping threads.
"""

import fcntl
import json
import logging
import os
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from dbos import DBOS, Serializer, SetEnqueueOptions, SetWorkflowID
from dbos import error as dbos_error

from responder import trace

log = structlog.get_logger(__name__)

_VERSION = "1"  # pinned: rows written by an older release of ours must stay runnable
_QUEUE = "tasks"
_URGENT, _USUAL = 1, 2
_THREADS = 48  # more than are ever started and dequeued at once: none waits for a thread
_TRIES = 8
_REAP_SECONDS = 2.0
_LOST_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 30.0
_PURGED_AT_ONCE = 500

_NOTICE = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
"""The lock of a machine that is gone is free after eleven seconds, and its tasks are taken over in the next round."""

Plain = str | int


@dataclass(frozen=True, slots=True)
class Task:
    """Something to be done once.

    Attributes:
        name: a row of the engine's table.
        key: names this task for ever; a second one with the same key is not run.
        args: ids and numbers.
        delay_seconds: not before.
    """

    name: str
    key: str
    args: tuple[Plain, ...] = ()
    delay_seconds: float = 0.0


Work = Callable[..., Sequence[Task]]


class IdsOnly(Serializer):
    """JSON of ids and numbers; an exception is stored as the name of its class."""

    def name(self) -> str:
        """As written beside every value."""
        return "ids-only"

    def serialize(self, data: Any) -> str:  # noqa: ANN401 -- the engine's own signature
        """Write *data*, or refuse with a `TypeError` that does not repeat it."""
        return json.dumps(_flat(data), separators=(",", ":"))

    @classmethod
    def deserialize(cls, serialized_data: str) -> Any:  # noqa: ANN401 -- as above
        """Read what `serialize` wrote."""
        data = json.loads(serialized_data)
        if isinstance(data, dict) and "failed" in data:
            return RuntimeError(data["failed"])
        return data


def _flat(data: object) -> object:
    if data is None or isinstance(data, str | int | float):
        return data
    if isinstance(data, BaseException):
        return {"failed": type(data).__name__}
    if isinstance(data, list | tuple):
        return [_flat(item) for item in data]
    if isinstance(data, dict):
        return {str(key): _flat(value) for key, value in data.items()}
    raise TypeError(f"the engine stores ids only, not {type(data).__name__}")


class Engine:
    """One executing process.

    Args:
        url: where the engine keeps its rows: ``sqlite:///…`` of its own, or ``postgresql://…``.
        leases: a folder in which living processes hold locks (SQLite).
        tries: how often a task that nobody foresaw to fail is tried before a person is told.
        lost_seconds: a task of ours that has not ended, and that we have not run for so long, is begun again.
    """

    def __init__(self, url: str, leases: Path, tries: int = _TRIES, lost_seconds: float = _LOST_SECONDS) -> None:
        self.holder = f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._url = url
        self._tries = tries
        self._table: Mapping[str, Work] = {}
        self._urgent: Collection[str] = ()
        self._give_up: Callable[[Task, str], Sequence[Task]] = lambda _task, _error: ()
        self._leases = _Leases(url, leases)
        self._running: set[str] = set()
        self._idle_since: dict[str, float] = {}
        self._lost_seconds = lost_seconds
        self._stop = threading.Event()
        self._reaper = threading.Thread(target=self._reap_for_ever, name="reaper", daemon=True)

        @DBOS.workflow(name="task.v1")
        def run(name: str, args: Sequence[Plain], failures: int) -> None:
            key = DBOS.workflow_id or ""
            self._running.add(key)
            try:
                self._workflow(key, name, args, failures)
            finally:
                self._running.discard(key)

        self._run = run

    def launch(
        self,
        table: Mapping[str, Work],
        give_up: Callable[[Task, str], Sequence[Task]],
        urgent: Collection[str] = (),
    ) -> None:
        """Begin to execute, taking up what earlier processes left.

        Args:
            table: every task's work by name.
            give_up: called with a task that failed for good, and must tell a person.
            urgent: names of those that go before whatever else waits, however long it has.
        """
        self._table, self._give_up, self._urgent = table, give_up, urgent
        if self._url.startswith("sqlite:///"):
            with sqlite3.connect(self._url.removeprefix("sqlite:///"), timeout=30) as file:
                file.execute("PRAGMA journal_mode=WAL")
            file.close()
        self._leases.take(self.holder)  # before the first row carries this name
        DBOS(
            config={
                "name": "secret-leak-responder",
                "system_database_url": self._url,
                "application_version": _VERSION,
                "executor_id": self.holder,
                "max_executor_threads": _THREADS,
                "sys_db_pool_size": 8,
                "serializer": IdsOnly(),
                "log_level": "WARNING",
                "enable_otlp": False,
            }
        )
        DBOS.launch()
        logging.getLogger("dbos").setLevel(logging.WARNING)
        DBOS.register_queue(_QUEUE, polling_interval_sec=0.1, worker_concurrency=16)
        self._reap()
        self._reaper.start()

    def start(self, task: Task) -> None:
        """Start *task* in this process at once; it is on disk when this returns."""
        with SetWorkflowID(task.key):
            DBOS.start_workflow(self._run, task.name, list(task.args), 0)

    def enqueue(self, task: Task) -> None:
        """Have *task* run by any process, after its delay; it is on disk when this returns."""
        self._enqueue(task, task.key, 0)

    def is_alive(self, holder: str) -> bool:
        """Whether the process called *holder* lives."""
        return holder == self.holder or not self._leases.is_free(holder)

    def pending(self) -> int:
        """How many tasks are running or waiting for a thread, delayed ones apart."""
        rows = DBOS.list_workflows(status=["PENDING", "ENQUEUED"], load_input=False, load_output=False, limit=1000)
        return len(rows)

    def purge(self, age: timedelta) -> int:
        """Forget tasks that began more than *age* ago and have ended; return how many."""
        before = (datetime.now(UTC) - age).isoformat()
        ended = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
        forgotten = 0
        while not self._stop.is_set():
            rows = DBOS.list_workflows(
                status=ended, end_time=before, load_input=False, load_output=False, limit=_PURGED_AT_ONCE
            )
            DBOS.delete_workflows([row.workflow_id for row in rows])
            forgotten += len(rows)
            if len(rows) < _PURGED_AT_ONCE:
                break
        return forgotten

    def close(self, patience_seconds: int = 10) -> None:
        """Stop executing; what is unfinished stays on disk."""
        self._stop.set()
        DBOS.destroy(workflow_completion_timeout_sec=patience_seconds)
        if self._reaper.is_alive():
            self._reaper.join(timeout=10)
        if not self._running:  # or another would begin what we are still doing: it is given back with the process
            self._leases.close()

    def _workflow(self, key: str, name: str, args: Sequence[Plain], failures: int) -> None:
        """One task: one step, then the tasks that follow from it."""
        try:
            following = DBOS.run_step({"name": name}, self._step, name, args, failures, key)
        except dbos_error.DBOSException:
            raise
        except Exception as error:  # the step raises nothing: what it returned could not be written down
            log.exception("result_lost", task=name, key=key, error=type(error).__name__)
            following = self._after_failure(Task(name, key, tuple(args)), failures, type(error).__name__)
        for item in following:
            self._hand_on(Task(item[0], item[1], tuple(item[2]), item[3]), item[4])

    def _hand_on(self, task: Task, failures: int) -> None:
        """Enqueue what follows, however long the database is away: nobody else would."""
        pause = 0.5
        while True:
            try:
                return self._enqueue(task, task.key, failures)
            except dbos_error.DBOSException:
                raise
            except Exception as error:
                log.exception("not_handed_on", task=task.name, key=task.key, error=type(error).__name__)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _step(self, name: str, args: Sequence[Plain], failures: int, key: str) -> list[list[Any]]:
        """Do the work; a failure nobody foresaw is tried again, then handed to a person."""
        task = Task(name, key, tuple(args))
        try:
            with trace.span("task", name, key) as seen:
                following = self._table[name](*args)
                seen.outcome = "done"
            return [[t.name, t.key, list(t.args), t.delay_seconds, 0] for t in following]
        except Exception as error:  # the boundary at which nothing may end silently
            log.exception("task_failed", task=name, key=key, failures=failures + 1, error=type(error).__name__)
            failed = type(error).__name__
        return self._after_failure(task, failures, failed)

    def _after_failure(self, task: Task, failures: int, failed: str) -> list[list[Any]]:
        """The same once more, later; or, after so many times, what tells a person."""
        if failures + 1 >= self._tries:
            try:
                last = self._give_up(task, failed)
                return [[t.name, t.key, list(t.args), t.delay_seconds, 0] for t in last]
            except Exception as error:  # nobody could be told: not given up, then
                log.exception("not_given_up", task=task.name, key=task.key, error=type(error).__name__)
        base = task.key.partition("~")[0]
        return [[task.name, f"{base}~{failures + 1}", list(task.args), min(2.0**failures, 300.0), failures + 1]]

    def _enqueue(self, task: Task, key: str, failures: int) -> None:
        delay = task.delay_seconds if task.delay_seconds > 0 else None
        priority = _URGENT if task.name in self._urgent else _USUAL
        with SetWorkflowID(key), SetEnqueueOptions(delay_seconds=delay, priority=priority):
            DBOS.enqueue_workflow(_QUEUE, self._run, task.name, list(task.args), failures)

    def _reap_for_ever(self) -> None:
        while not self._stop.wait(_REAP_SECONDS):
            with suppress(Exception):  # the database is away: the next round tries again
                self._reap()

    def _reap(self) -> None:
        """Take over the tasks of processes that died, and take up what we lost: nobody else will."""
        self._leases.keep(self.holder)
        begun = self._begun()
        for holder in set(begun.values()) - {self.holder}:
            with self._leases.seize(holder) as is_dead:  # so, of several that live, one takes over
                mine = [key for key, whose in self._begun().items() if whose == holder] if is_dead else []
                if mine:
                    log.warning("tasks_taken_over", count=len(mine), holder=holder)
                    DBOS.resume_workflows(mine, queue_name=_QUEUE)
        self._take_up(key for key, holder in begun.items() if holder == self.holder)

    def _begun(self) -> Mapping[str, str]:
        """Who has begun which task, and not ended it."""
        rows = DBOS.list_workflows(status=["PENDING"], load_input=False, load_output=False, limit=1000)
        return {row.workflow_id: row.executor_id for row in rows if row.executor_id}

    def _take_up(self, ours: Iterable[str]) -> None:
        """Begin again what we began and do not run any more: that it has ended could not be written down."""
        now = time.monotonic()
        self._idle_since = {key: self._idle_since.get(key, now) for key in ours if key not in self._running}
        lost = [key for key, since in self._idle_since.items() if now - since >= self._lost_seconds]
        if lost:
            log.warning("tasks_taken_up_again", count=len(lost))
            DBOS.resume_workflows(lost, queue_name=_QUEUE)


class _Leases:
    """Locks that vanish with their process: files on one machine, advisory locks on PostgreSQL."""

    def __init__(self, url: str, folder: Path) -> None:
        self._folder = folder
        self._postgres = None if url.startswith("sqlite") else url
        self._held: Any = None

    def take(self, holder: str) -> None:
        if self._postgres is not None:
            self._held = self._connect()
            self._held.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (holder,))
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._held = (self._folder / holder).open("w")
        fcntl.flock(self._held, fcntl.LOCK_EX)

    def keep(self, holder: str) -> None:
        """Take it again if it was lost: a server that was started anew has forgotten every lock."""
        if self._postgres is None:
            return
        import psycopg  # noqa: PLC0415 -- nothing that SQLite needs

        try:
            self._held.execute("SELECT 1")
        except psycopg.Error as error:  # the lock went with the connection
            log.warning("lease_lost", error=type(error).__name__)
            self._held.close()
            self.take(holder)

    def is_free(self, holder: str) -> bool:
        with self.seize(holder) as is_dead:
            return is_dead

    @contextmanager
    def seize(self, holder: str) -> Iterator[bool]:
        """Whether nobody holds it; if so, nobody else finds that out within the block."""
        if self._postgres is not None:
            with self._connect() as connection:
                row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (holder,)).fetchone()
                yield bool(row and row[0])  # closing the connection gives it back
            return
        try:
            with (self._folder / holder).open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield True
                (self._folder / holder).unlink(missing_ok=True)
        except FileNotFoundError:
            yield True
        except BlockingIOError:
            yield False

    def close(self) -> None:
        if self._held is not None:
            self._held.close()

    def _connect(self) -> Any:  # noqa: ANN401 -- a connection of a driver that SQLite does not need
        """A connection whose loss the server notices: a machine that is gone says no goodbye."""
        import psycopg  # noqa: PLC0415 -- as above

        return psycopg.connect(self._postgres or "", autocommit=True, connect_timeout=5, options=_NOTICE)
