"""A vendor's HTTP API on loopback, with a journal, a latency and a plan of faults.

The journal keeps times, methods, paths and a few harmless headers; never a
credential and never a body.
"""

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, cast

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from responder.simulator import fault, wire
from responder.simulator.fault import Fault, Faults

_compiling = threading.Lock()
"""Routes are compiled, and CPython 3.11 cannot build two syntax trees at once: it counts their depth together."""

Json = dict[str, object]
Tamper = Callable[[Request, Fault], Response]
"""A vendor's own kind of fault: makes the answer, calling `Server.dispatch` if the request counts."""

_HARMLESS = (
    "Accept",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "OpenAI-Organization",
    "OpenAI-Project",
    "User-Agent",
    "X-GitHub-Api-Version",
)


@dataclass(slots=True)
class Seen:
    """One request in the journal.

    Attributes:
        monotonic_seconds: ``time.monotonic()`` when its last byte had arrived.
        at: the same moment on the wall clock, UTC.
        method: such as ``"GET"``.
        path: without the query.
        query: the query string as sent.
        headers: the harmless ones.
        status: what was answered; None while it is being answered or if no answer was sent.
        fault: the kind of fault that struck, if any.
    """

    monotonic_seconds: float
    at: datetime
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None
    fault: str | None = None

    @property
    def line(self) -> str:
        """What routes of faults are matched against: ``"GET /v1/models"``."""
        return f"{self.method} {self.path}"


def reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(json.dumps(value), status=status, mimetype="application/json", headers=dict(headers or {}))


class Server:
    """One simulated service; subclasses give it `routes` and a way to say `error`.

    Args:
        port: 0 for any free one.

    Attributes:
        latency_seconds: slept before every answer, the simulated round trip.
        faults: the plan.
        journal: every request in order of arrival.
        bugs: exceptions raised by the simulator itself; a test that leaves any behind has failed.
        decoy_url: where redirects lead by default.
        lock: held while an answer is made.
    """

    def __init__(self, port: int = 0) -> None:
        self.latency_seconds = 0.0
        self.tampers: dict[str, Tamper] = {}
        self.faults = Faults((*fault.REPLACING, *fault.SILENT, *fault.BREAKING))
        self.journal: list[Seen] = []
        self.bugs: list[Exception] = []
        self.decoy_url = ""
        self.lock = threading.RLock()
        self._port = port
        self._listener: wire.Listener | None = None
        self._stopping = threading.Event()
        with _compiling:
            self._map = Map(self.routes(), merge_slashes=False)

    def routes(self) -> Sequence[Rule]:
        """What it answers; an endpoint is called with the request and the parts of its path."""
        return ()

    def error(self, status: int) -> Response:
        """An answer of *status* in the vendor's envelope."""
        return reply({"error": status}, status)

    def received(self, request: Request) -> None:
        """Called for each request before any fault strikes."""

    def admit(self, request: Request) -> Response | None:
        """An answer that turns the caller away, or None."""
        del request
        return None

    @property
    def port(self) -> int:
        """The port it listens on; 0 before the first start."""
        return self._port

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; after a stop, on the same port."""
        self._stopping.clear()
        self._listener = wire.Listener(self._port, self._serve)
        self._port = self._listener.server_port
        self._listener.start()

    def stop(self) -> None:
        """Close everything and wait for it; hanging requests are let go."""
        self._stopping.set()
        if self._listener is not None:
            self._listener.stop()
            self._listener = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Connections are refused inside this block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def count(self, route: str) -> int:
        """How many requests in the journal have *route* (a regular expression) in their line."""
        pattern = re.compile(route)
        return sum(1 for seen in list(self.journal) if pattern.search(seen.line))

    def dispatch(self, request: Request) -> Response:
        """The true answer; this is where a request takes effect."""
        with self.lock:
            try:
                endpoint, parts = self._map.bind_to_environ(request.environ).match()
            except HTTPException as error:
                return self.error(error.code or 404)
            turned_away = self.admit(request)
            if turned_away is not None:
                return turned_away
            return cast(Callable[..., Response], endpoint)(request, **parts)

    def answer(self, request: Request, struck: Fault | None) -> Response | None:
        """What *struck* leaves of the answer; None is silence, and what will break on its way is whole yet."""
        if struck is None or struck.kind in fault.BREAKING:
            return self.dispatch(request)
        if struck.kind in self.tampers:
            return self.tampers[struck.kind](request, struck)
        if struck.applied:
            self.dispatch(request)
        if struck.kind in fault.SILENT:
            return None
        response = self._replaced(struck)
        response.headers.update(struck.headers)
        return response

    def finish(self, request: Request, response: Response) -> None:
        """Add the headers that stand on every answer."""

    def _serve(self, request: Request, connection: socket.socket) -> bool:
        seen = Seen(
            time.monotonic(),
            datetime.now(UTC),
            request.method,
            request.path,
            request.query_string.decode("latin-1"),
            {name: request.headers[name] for name in _HARMLESS if name in request.headers},
        )
        self.journal.append(seen)
        try:
            self.received(request)
            struck = self.faults.take(seen.line)
            seen.fault = struck.kind if struck else None
            response = self.answer(request, struck)
        except Exception as error:  # noqa: BLE001 (a bug of ours must reach the test, not the client)
            self.bugs.append(error)
            struck, response = None, self.error(500)
        if self.latency_seconds:
            self._stopping.wait(self.latency_seconds)
        with contextlib.suppress(OSError):
            return self._send(request, response, struck, seen, connection)
        return False

    def _replaced(self, struck: Fault) -> Response:
        if struck.kind == "redirect":
            status = struck.status if 300 <= struck.status < 400 else 307
            return Response(status=status, headers={"Location": struck.location or f"{self.decoy_url}/decoy"})
        if struck.kind == "html":
            page = struck.body if isinstance(struck.body, str) else "<html><body>Please sign in</body></html>"
            return Response(page, mimetype="text/html")
        if struck.kind == "huge":
            return reply({"padding": "x" * struck.size_bytes})
        if struck.kind == "wrong_schema":
            return reply({"unexpected": [1, None, {}]} if struck.body is None else struck.body)
        if struck.body is None:
            return self.error(struck.status)
        if isinstance(struck.body, str):
            return Response(struck.body, status=struck.status, mimetype="text/plain")
        return reply(struck.body, struck.status)

    def _send(
        self,
        request: Request,
        response: Response | None,
        struck: Fault | None,
        seen: Seen,
        connection: socket.socket,
    ) -> bool:
        if response is None:
            if struck is not None and struck.kind == "timeout":
                self._stopping.wait(struck.seconds)
            else:
                wire.reset(connection)
            return False
        self.finish(request, response)
        seen.status = response.status_code
        if struck is not None and struck.kind == "cut_json":
            whole = response.get_data()
            response.set_data(whole[: len(whole) // 2])
        head, body = wire.render(response, head_only=request.method == "HEAD")
        if struck is not None and struck.kind in ("drip", "cut_body", "reset_mid_body"):
            return self._send_badly(struck, head, body, connection)
        connection.sendall(head + body)
        return True

    def _send_badly(self, struck: Fault, head: bytes, body: bytes, connection: socket.socket) -> bool:
        if struck.kind == "drip":
            everything = head + body
            for position in range(len(everything)):
                connection.sendall(everything[position : position + 1])
                if self._stopping.wait(struck.seconds / len(everything)):
                    return False
            return True
        connection.sendall(head + body[: len(body) // 2])
        if struck.kind == "reset_mid_body":
            self._stopping.wait(0.02)
            wire.reset(connection)
        return False
