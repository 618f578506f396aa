"""gunicorn, as the receiver runs under it; gunicorn and gevent live only here.

The worker class is gevent, so that a slow client holds a greenlet and not a
thread. Nothing is opened before the fork, and there is no control socket.
"""

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import gevent
import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.util import write_nonblock
from gunicorn.workers.ggevent import GeventWorker

log = structlog.get_logger(__name__)

_REFUSAL = (
    b"HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n%s"
)


class PlainLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's log through ours, so that one redaction sees it all."""

    def setup(self, cfg: object) -> None:  # noqa: ARG002 -- gunicorn's own signature
        """Hand everything on to the root logger; requests are logged by the routes."""
        self.error_log.handlers = []
        self.error_log.propagate = True
        self.access_log.handlers = []
        self.access_log.propagate = False


class PlainWorker(GeventWorker):  # type: ignore[misc]
    """gunicorn's worker, with our one form of errors for what is no HTTP: its own repeat what was sent, and log it.

    A connection ends with the request that has a large body, or one of unknown length: where it was answered before
    all was read, gunicorn would read the rest, however much comes and for as long as it comes, and serve nobody else.
    """

    def handle_request(self, listener_name: object, req: Any, sock: Any, addr: object) -> None:  # noqa: ANN401 -- gunicorn's own signature
        """Answer one request, and see off whoever has not sent all of a large one."""
        if is_large := getattr(req.body.reader, "length", _SMALL + 1) > _SMALL:  # what is chunked has none
            req.force_close()
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            if is_large:
                _see_off(sock)

    def handle_error(self, req: object, client: Any, addr: object, exc: BaseException) -> None:  # noqa: ANN401, ARG002 -- gunicorn's own signature
        """Refuse a request that could not be read."""
        status, title = next((answer for kind, answer in _REFUSALS if isinstance(exc, kind)), _BUG)
        (log.error if status >= 500 else log.warning)("request_unreadable", error=type(exc).__name__)
        content = json.dumps({"type": "about:blank", "title": title, "status": status}).encode()
        with suppress(OSError):  # whoever sent it has gone
            write_nonblock(client, _REFUSAL % (status, title.encode(), len(content), content))


_REFUSALS: Sequence[tuple[type[Exception], tuple[int, str]]] = (
    (errors.LimitRequestLine, (414, "URI Too Long")),
    (errors.LimitRequestHeaders, (431, "Request Header Fields Too Large")),
    (errors.ParseException, (400, "Bad Request")),
)
_BUG = (500, "Internal Server Error")
_LAST_SECONDS = 2.0
_SMALL = _PIECE = 64 * 1024


def _see_off(sock: Any) -> None:  # noqa: ANN401 -- gevent has no types
    """Let whoever is still sending hear the answer: closed on bytes that nobody read, a connection takes it back."""
    with gevent.Timeout(_LAST_SECONDS, False), suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(_PIECE):
            gevent.sleep(0)  # recv waits only where nothing has come, and lets nobody else go on otherwise


class _Application(BaseApplication):  # type: ignore[misc]
    def __init__(self, bind: str, make: Callable[[], Any]) -> None:
        self._bind = bind
        self._make = make
        super().__init__()

    def load_config(self) -> None:
        for name, value in options(self._bind).items():
            self.cfg.set(name, value)

    def load(self) -> Any:  # noqa: ANN401 -- a WSGI application
        return self._make()


def options(bind: str) -> dict[str, object]:
    """Gunicorn's settings for a receiver."""
    return {
        "bind": bind,
        "workers": 2,
        "worker_class": PlainWorker,
        "worker_connections": 1000,
        "timeout": 60,
        "graceful_timeout": 10,  # no answer takes longer, and a worker told to stop while it boots does not hear it
        "backlog": 2048,
        "keepalive": 5,
        "forwarder_headers": "",  # nothing that a header says of a proxy is believed, whoever sends it
        "secure_scheme_headers": {},
        "control_socket_disable": True,
        "accesslog": None,
        "logger_class": PlainLogger,
        "proc_name": "responder",
    }


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """End the block with `TimeoutError` after so many seconds, if it waits for anything then."""
    try:
        with gevent.Timeout(seconds):
            yield
    except gevent.Timeout:
        raise TimeoutError from None


def serve(bind: str, make: Callable[[], Any]) -> None:
    """Serve until told to stop.

    Args:
        bind: ``host:port``.
        make: makes the application, once in every worker process.
    """
    _Application(bind, make).run()
