"""gunicorn, as the receiver runs under it; gunicorn lives only here.

The worker class is gevent, so that a slow client holds a greenlet and not a
thread. Nothing is opened before the fork, and there is no control socket.
"""

from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger


class PlainLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's log through ours, so that one redaction sees it all."""

    def setup(self, cfg: object) -> None:  # noqa: ARG002 -- gunicorn's own signature
        """Hand everything on to the root logger; requests are logged by the routes."""
        self.error_log.handlers = []
        self.error_log.propagate = True
        self.access_log.handlers = []
        self.access_log.propagate = False


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
        "worker_class": "gevent",
        "worker_connections": 1000,
        "timeout": 60,
        "graceful_timeout": 30,
        "backlog": 2048,
        "keepalive": 5,
        "control_socket_disable": True,
        "accesslog": None,
        "logger_class": PlainLogger,
        "proc_name": "responder",
    }


def serve(bind: str, make: Callable[[], Any]) -> None:
    """Serve until told to stop.

    Args:
        bind: ``host:port``.
        make: makes the application, once in every worker process.
    """
    _Application(bind, make).run()
