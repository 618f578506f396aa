"""How often a service is asked, and whether it is worth asking at all.

Knows rates, failures and wishes to wait; no service, and no reason for a call. One
`Budget` and one `Circuit` stand for one service, whichever thread asks.
"""

import threading
import time
from collections.abc import Callable


class Budget:
    """At most so many calls a second, evenly spaced; whoever must not wait does not ask.

    Args:
        calls_per_second: the rate.
        clock: monotonic seconds.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        calls_per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap = 1.0 / calls_per_second
        self._parts = 1
        self._burst = 1.0  # seconds' worth that may be spent at once
        self._clock = clock
        self._sleep = sleep
        self._next = clock() - self._burst
        self._lock = threading.Lock()

    def share(self, between: int) -> None:
        """Keep to one part of the rate: the others are other processes'."""
        self._parts = max(between, 1)

    def wait(self) -> None:
        """Take one call, waiting for its turn."""
        with self._lock:
            now = self._clock()
            self._next = max(self._next, now - self._burst) + self._gap * self._parts
            wait = self._next - now
        if wait > 0:
            self._sleep(wait)


class Circuit:
    """Whether a service is worth asking: after some failures in a row it is left alone for a while.

    So is one operation of it, for as long as the service itself asked for. Who asks meanwhile is
    told at once, so that a broken service costs the others no thread that waits; one call is let
    through when the rest is over.

    Args:
        failures: so many calls in a row without an answer; a refusal, even a 5xx, costs nobody a wait.
        rest_seconds: how long it is left alone.
        clock: monotonic seconds.
    """

    def __init__(
        self, failures: int = 5, rest_seconds: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = failures
        self._rest = rest_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._open_until = 0.0
        self._alone_until: dict[str, float] = {}

    def leave_alone(self, what: str, seconds: float) -> None:
        """The service asked us to wait with the operation *what*."""
        with self._lock:
            self._alone_until[what] = self._clock() + seconds

    def rest_seconds(self, what: str = "") -> float:
        """How long it is still to be left alone with the operation *what*; 0: it may be asked."""
        with self._lock:
            left = max(self._open_until, self._alone_until.get(what, 0.0)) - self._clock()
            if left > 0:
                return left
            if self._failed >= self._most:
                self._open_until = self._clock() + self._rest  # for everybody but the one who asks now
            return 0.0

    def answered(self, *, well: bool) -> None:
        """Say what became of a call."""
        with self._lock:
            self._failed = 0 if well else self._failed + 1
            if well:
                self._open_until = 0.0
            elif self._failed >= self._most:
                self._open_until = self._clock() + self._rest
