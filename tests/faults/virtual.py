"""Time that passes only when somebody waits, and vendors reached without a socket.

The story runs here as the engine runs it, task by task, in virtual time: three
days take a second. The simulator's own faults strike, carried out by `Wire`.
"""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from responder.engine import Task, Work
from responder.simulator import fault
from responder.simulator.fault import Fault
from responder.simulator.server import Server

PATIENCE_SECONDS = 10.0
"""What a silent exchange costs: the deadline of a real one."""
TRIES = 8
NOBODY_THERE = "refused"
"""A fault of the wire itself: no connection."""


class Clock:
    """Now, UTC, and monotonic seconds; only the first can be put forward or back."""

    def __init__(self) -> None:
        self.monotonic = 0.0
        self._epoch = datetime.now(UTC)  # the vendors' own
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        return self._epoch + timedelta(seconds=self.monotonic)

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.monotonic += max(seconds, 0.0)

    def read(self) -> float:
        return self.monotonic

    def jump(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self._epoch += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the vendor saw it.

    Attributes:
        at: virtual monotonic seconds.
        line: ``"GET /v1/models"``.
        fault: the kind that struck, None if it was answered truly.
        wait: the ``Retry-After`` of the answer, as sent.
    """

    at: float
    line: str
    fault: str | None
    wait: str | None


class Wire(httpx.BaseTransport):
    """A simulated vendor in this process.

    Args:
        server: the vendor, not started.
        clock: passes while the vendor is silent.

    Attributes:
        calls: every request, in order.
        down: nobody is there at all.
    """

    def __init__(self, server: Server, clock: Clock) -> None:
        server.faults.kinds = (*server.faults.kinds, NOBODY_THERE)
        self._server = server
        self._clock = clock
        self._lock = threading.Lock()
        self.calls: list[Call] = []
        self.down = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path, _, query = request.url.raw_path.decode().partition("?")
        body = request.read()
        headers = [(name, value) for name, value in request.headers.items() if name != "content-length"]
        asked = Request(
            EnvironBuilder(
                path, method=request.method, query_string=query, headers=headers, data=body or None
            ).get_environ()
        )
        line = f"{asked.method} {asked.path}"
        with self._lock:
            struck = self._server.faults.take(line)
            if self.down or (struck is not None and struck.kind == NOBODY_THERE):
                self.calls.append(Call(self._clock.monotonic, line, NOBODY_THERE, None))
                raise httpx.ConnectError("refused")
            self._server.received(asked)
            answer = self._server.answer(asked, struck)
            kind = struck.kind if struck is not None else None
            wait = answer.headers.get("Retry-After") if answer is not None else None
            self.calls.append(Call(self._clock.monotonic, line, kind, wait))
        if answer is None:
            return self._silent(struck)
        self._server.finish(asked, answer)
        return self._carried(answer, struck)

    def asked(self, route: str) -> list[Call]:
        """Every call whose line begins with *route*."""
        return [call for call in self.calls if call.line.startswith(route)]

    def _silent(self, struck: Fault | None) -> httpx.Response:
        if struck is not None and struck.kind == "timeout":
            self._clock.sleep(PATIENCE_SECONDS)
            raise httpx.ReadTimeout("silence")
        raise httpx.ReadError("reset")

    def _carried(self, answer: Response, struck: Fault | None) -> httpx.Response:
        """The answer as it arrives, broken on its way if that is the fault."""
        whole, headers = answer.get_data(), list(answer.headers)
        if struck is not None and struck.kind in fault.BREAKING:
            if struck.kind == "drip":
                self._clock.sleep(PATIENCE_SECONDS)
                raise httpx.ReadTimeout("drip")
            if struck.kind != "cut_json":
                error = httpx.ReadError if struck.kind == "reset_mid_body" else httpx.RemoteProtocolError
                return httpx.Response(answer.status_code, headers=headers, stream=_Cut(whole, error))
            whole = whole[: len(whole) // 2]
            headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        return httpx.Response(answer.status_code, headers=headers, content=whole)


class _Cut(httpx.SyncByteStream):
    """Half a body, and then the end of the connection."""

    def __init__(self, whole: bytes, error: type[httpx.TransportError]) -> None:
        self._half = whole[: len(whole) // 2]
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield self._half
        raise self._error("cut")


class Runner:
    """Runs tasks when they are due, each key once, and those that fail again, as the engine does.

    Args:
        clock: passes to what is due next.
        table: every task's work by name.
        give_up: as of the engine.

    Attributes:
        failed: names of exceptions that nobody foresaw, with the tasks that raised them.
        ran: how many tasks were run.
    """

    def __init__(
        self, clock: Clock, table: Mapping[str, Work], give_up: Callable[[Task, str], Sequence[Task]]
    ) -> None:
        self._clock = clock
        self._table = table
        self._give_up = give_up
        self._waiting: list[tuple[datetime, int, Task, int]] = []
        self._keys: set[str] = set()
        self._numbers = itertools.count()
        self.failed: list[tuple[str, str]] = []
        self.ran = 0

    def use(self, table: Mapping[str, Work]) -> None:
        """From now on, run the tasks of another table."""
        self._table = table

    def add(self, *tasks: Task, failures: int = 0) -> None:
        for task in tasks:
            if task.key not in self._keys:
                self._keys.add(task.key)
                due = self._clock() + timedelta(seconds=task.delay_seconds)
                heapq.heappush(self._waiting, (due, next(self._numbers), task, failures))

    def run(self, seconds: float, after_each: Callable[[Task], None]) -> None:
        """Run what is due within so many seconds of monotonic time."""
        end = self._clock.monotonic + seconds
        while self._waiting:
            wait = (self._waiting[0][0] - self._clock()).total_seconds()
            if self._clock.monotonic + wait > end:
                break
            _, _, task, failures = heapq.heappop(self._waiting)
            self._clock.sleep(wait)
            self.add_all(task, failures)
            self.ran += 1
            after_each(task)
        self._clock.sleep(end - self._clock.monotonic)

    def add_all(self, task: Task, failures: int) -> None:
        """Run one task, and add what follows from it."""
        try:
            self.add(*self._table[task.name](*task.args))
        except Exception as error:  # noqa: BLE001 -- the engine's own boundary
            self.failed.append((task.name, type(error).__name__))
            if failures + 1 >= TRIES:
                try:
                    self.add(*self._give_up(task, type(error).__name__))
                except Exception:  # noqa: BLE001 -- nobody could be told: not given up, then
                    pass
                else:
                    return
            again = f"{task.key.partition('~')[0]}~{failures + 1}"
            later = Task(task.name, again, task.args, min(2.0**failures, 300.0))
            self.add(later, failures=failures + 1)
