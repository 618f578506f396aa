"""Bodies of requests, read so that those who send them can neither hold our memory for long nor fill it.

Anybody may send one: who it is from is known only once it is here. A body has so many seconds. A small one always has
room, since there are only so many connections; what is larger shares a budget of the process, so that whoever uses it
up keeps out nothing but other large bodies, and those for seconds.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from flask import g, request
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout, ServiceUnavailable

_SECONDS = 10.0  # GitHub and GitLab wait no longer either
_SMALL = 64 * 1024
_BUDGET = 64 * 1024 * 1024
_PIECE = 16 * 1024
"""What a body may take before it has come: all connections together take less than the budget."""


class Bodies:
    """Those of one process.

    Args:
        within: ends its block with `TimeoutError` after so many seconds.
    """

    def __init__(self, within: Callable[[float], AbstractContextManager[None]]) -> None:
        self._within = within
        self._left = _BUDGET

    def read(self, most: int) -> bytes:
        """The whole body of this request.

        Raises:
            RequestEntityTooLarge: it has more than *most* bytes.
            RequestTimeout: it was not here in time.
            ServiceUnavailable: too many large ones are here or on their way.
        """
        length = request.content_length or 0
        if length > most:
            raise RequestEntityTooLarge
        try:
            with self._within(_SECONDS):
                return request.get_data(cache=False) if length <= _SMALL else self._read_large(length)
        except TimeoutError:
            raise RequestTimeout from None

    def release(self, _error: BaseException | None) -> None:
        """Give back what this request had of the budget, at its end."""
        self._left += g.pop("held", 0)

    def _read_large(self, length: int) -> bytes:
        """Piece by piece: what was announced takes no room, only what has come."""
        body = bytearray()
        while len(body) < length:
            if self._left < _PIECE:
                raise ServiceUnavailable
            self._hold(_PIECE)
            time.sleep(0)  # who sends fast enough would never have to be waited for, and nobody else have a turn
            piece = request.stream.read(_PIECE)
            self._hold(len(piece) - _PIECE)
            if not piece:  # whoever sent it has gone: what there is bears no signature
                break
            body += piece
        return bytes(body)

    def _hold(self, size: int) -> None:
        self._left -= size
        g.held = g.get("held", 0) + size
