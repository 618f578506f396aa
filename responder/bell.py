"""A named pipe that the receiver rings and the worker listens to.

It only saves time: a lost ring costs one sweep, never a delivery.
"""

import errno
import os
import select
import threading
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_RING, _NUDGE = b"!", b"."
_MOST_READ = 65536


def ring(path: Path, times: int = 1) -> None:
    """Say that so many deliveries have arrived; if nobody is there to hear it, the sweep will find them."""
    try:
        bell = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ENOENT):
            log.warning("bell_broken", errno=error.errno)
        return
    try:
        with suppress(BlockingIOError, BrokenPipeError):  # full of rings, or nobody is there any more
            os.write(bell, times * _RING)
    finally:
        os.close(bell)


class Ear:
    """Hears a bell.

    Once closed it touches nothing: its number then belongs to whatever was opened next.

    Args:
        path: of the pipe, which is made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        with suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        self._pipe: int | None = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # for writing too, so that it never ends
        self._lock = threading.Lock()

    def nudge(self) -> None:
        """Have `hear` return, though nothing has arrived."""
        with self._lock, suppress(BlockingIOError):
            if self._pipe is not None:
                os.write(self._pipe, _NUDGE)

    def hear(self, seconds: float) -> int:
        """Wait until somebody rings or nudges, at most so long; how many deliveries were rung for.

        For one thread only, which must have ended before `close`.
        """
        if self._pipe is None:
            return 0
        readable, _, _ = select.select([self._pipe], [], [], seconds)
        if not readable:
            return 0
        with suppress(BlockingIOError):
            return os.read(self._pipe, _MOST_READ).count(_RING)
        return 0

    def close(self) -> None:
        """Hear nothing any more."""
        with self._lock:
            pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)
