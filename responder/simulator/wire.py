"""HTTP/1.1 on a loopback socket, down to the reset.

Werkzeug's own development server closes every connection after one answer and
hides the socket. This one keeps connections alive, sends an answer in one
piece so that no packet waits for another, and can be stopped with every thread
joined.
"""

import contextlib
import io
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

Serve = Callable[[Request, socket.socket], bool]
"""Answers a request on its socket; False if the connection must not be used again."""


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Listener"

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        chunked = environ.get("wsgi.input_terminated", False)
        body = environ["wsgi.input"].read() if chunked else self.rfile.read(self._length)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        if not self.server.serve(Request(environ), self.connection):
            self.close_connection = True

    @property
    def _length(self) -> int:
        return int(self.headers.get("Content-Length") or 0)

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ANN401 (werkzeug's signature)
        """Say nothing: the journal has it."""


class Listener(ThreadedWSGIServer):
    """A listening socket on 127.0.0.1 with one thread for each connection."""

    request_queue_size = 512

    def __init__(self, port: int, serve: Serve) -> None:
        super().__init__("127.0.0.1", port, Response(), _Handler)
        self.serve = serve
        self._open: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        self._loop = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Refuse new connections, drop the open ones and wait for their threads."""
        self.shutdown()
        self._loop.join()
        self.server_close()
        with self._lock:
            still_open = dict(self._open)
        for connection in still_open.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in still_open:
            thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (socketserver's)
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._lock:
            self._open[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (socketserver's)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                del self._open[threading.current_thread()]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (socketserver's)
        """A client that went away is no event."""


def render(response: Response, head_only: bool = False) -> tuple[bytes, bytes]:
    """The head and the body of *response* as they go over the wire."""
    bodiless = response.status_code in (204, 304)
    body = b"" if bodiless else response.get_data()
    if not bodiless:
        response.headers["Content-Length"] = str(len(body))
    lines = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in response.headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), b"" if head_only else body


def reset(connection: socket.socket) -> None:
    """Close with RST, as a crashed peer or an impatient middlebox does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
