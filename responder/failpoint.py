"""Named places where a test may ask the process to die, fail or hang.

Armed only by the program's start, only when every configured service is on this
machine; otherwise `hit` costs one comparison with None.
"""

import os
import signal
import threading
import time
from pathlib import Path

from responder.core.errors import Unavailable

_HANG_SECONDS = 5.0


class _Armed:
    def __init__(self, name: str, action: str, count: int, spent: Path) -> None:
        self.name = name
        self.action = action
        self.left = count
        self.spent = spent
        self.lock = threading.Lock()


_armed: _Armed | None = None


def arm(spec: str, spent: Path) -> None:
    """Arm ``name:action[:n]``: at the n-th passing of *name*, ``kill``, ``fail`` or ``hang``.

    Args:
        spec: as above; an empty string disarms.
        spent: a file that remembers that it fired, so that a restarted process goes on.

    Raises:
        ValueError: the spec has another form.
    """
    global _armed  # noqa: PLW0603 -- one process, one failpoint
    _armed = None
    if not spec or spent.exists():
        return
    name, _, rest = spec.partition(":")
    action, _, count = rest.partition(":")
    if action not in ("kill", "fail", "hang") or not (count or "1").isdigit():
        raise ValueError("RESPONDER_FAILPOINT must be name:kill|fail|hang[:n]")
    _armed = _Armed(name, action, int(count or "1"), spent)


def hit(name: str) -> None:
    """Pass the place called *name*."""
    armed = _armed
    if armed is None or armed.name != name:
        return
    with armed.lock:
        armed.left -= 1
        if armed.left != 0:
            return
        armed.spent.touch()
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if armed.action == "hang":
        time.sleep(_HANG_SECONDS)
        return
    raise Unavailable("failpoint", name, "asked to fail")
