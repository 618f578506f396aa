"""Delete one key by hand, as carefully as the worker does.

The intent is on disk before the provider is asked. A request whose outcome is
unknown is never repeated before the provider's own list has been read, and
"gone" is said only after the list did not show the key several times in a row.
"""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from responder.core.errors import Refused, Unavailable
from responder.core.key import KnownKey
from responder.core.revocation import Outcome, Revocation
from responder.proof import Account
from responder.providers import Provider
from responder.store import Store, audit, keys, revocations

LOOKS_IN_A_ROW = 3
_LOOK_SECONDS = 1.0
_PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
_LONGEST_PAUSE_SECONDS = 30.0
_BY_HAND = "manual:"


@dataclass(frozen=True, slots=True)
class Watch:
    """Whether a key was seen gone.

    Attributes:
        gone: the list did not show it `LOOKS_IN_A_ROW` times in a row.
        seconds: how long was looked.
        last: what the last look said.
    """

    gone: bool
    seconds: float
    last: str


def journalled_as() -> str:
    """Who deletes, as the journal names them: ``manual:alice``."""
    import getpass

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in many containers
        user = str(os.getuid())
    return _BY_HAND + "".join(c for c in user if c.isascii() and c.isprintable())[:64]


class Deletion:
    """One deletion by one person.

    Args:
        store: where the intent is written.
        account: of the key.
        key: to be deleted.
        say: tells the person what is going on.
        now: UTC.
    """

    def __init__(
        self, store: Store, account: Account, key: KnownKey, say: Callable[[str], None], now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._provider: Provider = account.provider
        self._key = key
        self._say = say
        self._now = now
        self._who = (key.provider, key.account, key.id)

    def incident(self) -> str | None:
        """The incident that asked for this key to be deleted before us, if one did."""
        with self._store.read() as tx:
            intent = revocations.get(tx, *self._who)
        return None if intent is None or intent.incident_id.startswith(_BY_HAND) else intent.incident_id

    def delete(self) -> Revocation:
        """Ask for the deletion until the answer is clear, or patience is over."""
        ours = self._intend()
        answer = self._provider.revoke(self._key)
        for pause in _PAUSES_SECONDS:
            self._settle(answer, ours=ours)
            if answer.outcome is not Outcome.UNKNOWN:
                return answer
            wait = min(max(pause, answer.retry_after_seconds or 0.0), _LONGEST_PAUSE_SECONDS)
            self._say(
                f"No clear answer ({answer.detail}). Reading the list in {wait:.0f} s, before anything is repeated …"
            )
            time.sleep(wait)
            answer = self._read_then_repeat()
        self._settle(answer, ours=ours)
        return answer

    def watch(self, patience_seconds: float) -> Watch:
        """Look until the list did not show the key often enough in a row; then it is written down as gone."""
        started = time.monotonic()
        row, last = 0, "not looked"
        while True:
            try:
                listed = self._provider.is_listed(self._key)
                row, last = (0, "still listed") if listed else (row + 1, "not listed")
                known = True
            except (Refused, Unavailable) as error:
                known, last = False, str(error)
            seconds = time.monotonic() - started
            if row >= LOOKS_IN_A_ROW:
                with self._store.begin("gone_by_hand") as tx:
                    keys.bury_one(tx, *self._who, self._now())
                return Watch(True, seconds, last)
            if seconds >= patience_seconds and (row == 0 or not known):
                return Watch(False, seconds, last)
            time.sleep(_LOOK_SECONDS)

    def _read_then_repeat(self) -> Revocation:
        try:
            if not self._provider.is_listed(self._key):
                return Revocation(Outcome.REVOKED, "seen gone from the list after the request")
        except Unavailable as error:
            return Revocation(Outcome.UNKNOWN, error.why, retry_after_seconds=error.retry_after_seconds)
        except Refused as error:
            return Revocation(Outcome.UNKNOWN, f"status {error.status} {error.code}".rstrip(), error.status)
        return self._provider.revoke(self._key)

    def _intend(self) -> bool:
        """Write the intent down; whether it is ours, and not an incident's, whose worker settles it itself."""
        holder, by = f"{socket.gethostname()}-{os.getpid()}", journalled_as()
        with self._store.begin("intend_by_hand") as tx:
            audit.record(tx, self._now(), "revoke_requested", self._key.id, {"by": by})
            if revocations.intend(tx, *self._who, by, holder, self._now()):
                return True
            before = revocations.get(tx, *self._who)
            ours = before is not None and before.incident_id.startswith(_BY_HAND)
            if ours:
                revocations.reopen(tx, *self._who, holder)
            return ours

    def _settle(self, answer: Revocation, *, ours: bool) -> None:
        unknown = answer.outcome is Outcome.UNKNOWN or was_denied(answer)
        with self._store.begin("settle_by_hand") as tx:
            detail = {"by": journalled_as(), "outcome": answer.outcome.value}
            audit.record(tx, self._now(), "revoke_answered", self._key.id, detail)
            if not ours:
                return
            revocations.settle(tx, *self._who, None if unknown else answer.outcome, self._now())


def was_denied(answer: Revocation) -> bool:
    """Whether it was our own credential that was refused."""
    return answer.outcome is Outcome.REFUSED and answer.status in (401, 403)
