"""One call to GitHub's REST API: with a credential, and with everything that "forbidden" can mean.

Peculiar: a refusal with 403 is also how a rate limit looks; a 401 may mean only that
a short-lived token was taken away early, so that another one is asked for, once.

Source: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from responder.core.errors import Refused, Unavailable
from responder.outbound import Answer, Door

_CAP = 64 * 1024 * 1024


class Credential(Protocol):
    """What a call is made with."""

    def __call__(self) -> str:
        """A bearer token that is good now; its length means nothing.

        Raises:
            Refused: there is none to be had: our own credential is not good.
            Unavailable: not now.
        """

    def forget(self, token: str) -> bool:
        """GitHub refused *token*: do not give it out again; whether another may be had."""


@dataclass(frozen=True, slots=True)
class PlainToken:
    """A token that somebody made by hand: there is no other."""

    token: str = field(repr=False)

    def __call__(self) -> str:
        """Return it."""
        return self.token

    def forget(self, token: str) -> bool:  # noqa: ARG002 -- the one there is, is kept
        """Nothing else is to be had."""
        return False


class Caller:
    """Whoever calls one GitHub with one credential, and waits together for its rate limit.

    Args:
        door: to the API's base URL.
        credential: to call with.
        clock: monotonic seconds.
    """

    def __init__(self, door: Door, credential: Credential, clock: Callable[[], float] = time.monotonic) -> None:
        self._door = door
        self._credential = credential
        self._clock = clock
        self._closed_until = 0.0

    def read(
        self,
        what: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: object = None,
    ) -> tuple[Any, Answer]:
        """Send one request that must succeed and answer JSON; return that and the answer.

        Raises:
            Refused: a plain no; 401 and 403 concern our own credential.
            Unavailable: not now; the rate limit's own time is in `retry_after_seconds`.
        """
        wait = self._closed_until - self._clock()
        if wait > 0:
            raise Unavailable("github", what, "rate limit", wait)
        token = self._credential()
        answer = self._send(token, what, method, path, params, body)
        if answer.status == 401 and self._credential.forget(token):
            answer = self._send(self._credential(), what, method, path, params, body)
        if answer.status in (403, 429) and (limit := _rate_limit(answer)) is not None:
            self._closed_until = self._clock() + limit
            raise Unavailable("github", what, "rate limit", limit)
        if answer.status >= 500 or answer.status in (304, 408, 425, 429):
            if method != "GET" and answer.retry_after_seconds:  # whoever asks next; reading has no time to lose
                self._door.leave_alone(what, answer.retry_after_seconds)
            raise Unavailable("github", what, f"status {answer.status}", answer.retry_after_seconds)
        if answer.status >= 400:
            raise Refused("github", what, answer.status)
        content = answer.json()
        if content is None:
            raise Unavailable("github", what, "not JSON")
        return content, answer

    def _send(
        self, token: str, what: str, method: str, path: str, params: Mapping[str, str | int] | None, body: object
    ) -> Answer:
        headers = {
            "authorization": f"Bearer {token}",
            "accept": "application/vnd.github+json",
            "x-github-api-version": "2022-11-28",
            "user-agent": "secret-leak-responder",
        }
        return self._door.exchange(what, method, path, headers=headers, params=params, body=body, cap=_CAP)


def instant(value: object) -> datetime | None:
    """A moment as GitHub writes it: ``2026-11-23T06:12:07Z``; None if it is none."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and value.endswith("Z") else None
    except ValueError:
        return None


def _rate_limit(answer: Answer) -> float | None:
    """Seconds to wait if this is a rate limit, None if it is a plain refusal.

    Order as documented: ``retry-after``; else, with nothing remaining, the time of
    reset; else, for a secondary limit, a minute.
    """
    if answer.retry_after_seconds is not None:
        return max(answer.retry_after_seconds, 1.0)
    if answer.headers.get("x-ratelimit-remaining") == "0":
        reset = answer.headers.get("x-ratelimit-reset", "")
        if reset.isdecimal() and len(reset) < 12:
            return min(max(float(reset) - time.time(), 1.0), 3600.0)
        return 60.0
    if answer.status == 429 or b"rate limit" in answer.body[:2000].lower():
        return 60.0
    return None
