"""Clients that send one byte a second, as many as like, on connections that they keep open."""

import itertools
import select
import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.hostile import MIB

_HEADS = (
    b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{" % MIB,
    b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{" % MIB,
    b"POST /hooks/gitlab HTTP/1.1\r\nX-Slow: ",
    b"P",
)
"""Slow from the body, from a header, and from the first letter."""


class Slow:
    """So many of them.

    Args:
        origin: whom they all want something from.
        count: how many.
    """

    def __init__(self, origin: str, count: int) -> None:
        host, port = origin.removeprefix("http://").split(":")
        self._address = (host, int(port))
        self._count = count
        self._open: list[socket.socket] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._trickle, daemon=True)

    def __enter__(self) -> Self:
        for head in itertools.islice(itertools.cycle(_HEADS), self._count):
            connection = socket.create_connection(self._address, timeout=20)
            self._open.append(connection)
            connection.sendall(head)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join(timeout=30)
        for connection in self._open:
            connection.close()

    def answered(self) -> Sequence[socket.socket]:
        """Those who were answered, or hung up on."""
        poll = select.poll()
        by_number = {connection.fileno(): connection for connection in self._open}
        for number in by_number:
            poll.register(number, select.POLLIN)
        return [by_number[number] for number, _ in poll.poll(0)]

    def _trickle(self) -> None:
        while not self._end.wait(1.0):
            for connection in self._open:
                try:
                    connection.send(b"a", socket.MSG_DONTWAIT)
                except OSError:
                    continue
