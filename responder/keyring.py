"""The receiver's side of partners' public keys: looks them up, and has them fetched by a worker.

It opens no connection. What it does not know it asks for through the inbox, in a delivery named after the origin and
the minute: whatever the number of processes and strangers that ask, one is accepted a minute.
"""

import threading
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from responder.core.errors import Unavailable
from responder.inbox import Inbox
from responder.store import Store, deliveries, public_keys
from responder.store.deliveries import Delivery

BELIEVED_FOR = timedelta(hours=48)
"""Keys that their origin has not confirmed for so long are not used: one of them may have been withdrawn."""

_PATIENCE_SECONDS = 5.0
_NAP_SECONDS = 0.05


class Keyring:
    """Keys by origin and identifier.

    Args:
        store: where a worker keeps them.
        inbox: through which it is asked.
        origins: those that may sign.
        clock: now, UTC.
        sleep: waits for seconds, and lets other requests go on meanwhile.
    """

    def __init__(
        self,
        store: Store,
        inbox: Inbox,
        origins: Collection[str],
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        self.origins = frozenset(origins)
        self._store = store
        self._inbox = inbox
        self._clock = clock
        self._sleep = sleep
        self._alone = {origin: threading.Lock() for origin in origins}
        self._in_vain: dict[str, str] = {}

    def find(self, origin: str, identifier: str) -> str | None:
        """The key as PEM; None if its origin, asked within the last minute, says it has no such key.

        Raises:
            Unavailable: the origin's keys cannot be had right now.
            StoreUnavailable: nor can the database.
        """
        now = self._clock()
        question = f"keys_{origin}_{now:%Y%m%d%H%M}"
        state, found = self._look(origin, identifier, question)
        if found is None and state not in deliveries.ENDED:
            if state is None:
                self._inbox.accept(Delivery(question, "partner_keys", "partner_keys", {"origin": origin}, now))
            self._wait(origin, question)
            state, found = self._look(origin, identifier, question)
        if found is None and state != "done":
            raise Unavailable(origin, "partner.get_keys", "no answer")
        return found

    def _look(self, origin: str, identifier: str, question: str) -> tuple[str | None, str | None]:
        """What became of the question, and the key; in this order, so that an answer is never older than its end."""
        with self._store.read() as tx:
            state = deliveries.state(tx, question)
            kept = public_keys.get(tx, origin)
        if kept is None or kept.fetched_at is None or self._clock() - kept.fetched_at > BELIEVED_FOR:
            return state, None
        return state, kept.keys.get(identifier)

    def _wait(self, origin: str, question: str) -> None:
        """One request waits, and the others for it: a crowd of strangers must not keep the database busy."""
        if not self._alone[origin].acquire(timeout=_PATIENCE_SECONDS):
            return
        try:
            for _ in range(int(_PATIENCE_SECONDS / _NAP_SECONDS)):
                with self._store.read() as tx:
                    ended = deliveries.state(tx, question) in deliveries.ENDED
                if ended or self._in_vain.get(origin) == question:
                    return
                self._sleep(_NAP_SECONDS)
            self._in_vain[origin] = question
        finally:
            self._alone[origin].release()
