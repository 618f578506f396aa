"""GitHub's REST API, as far as we fetch from it and close alerts through it.

Peculiar: repositories are addressed by their number, which survives renaming and
cannot be made to point elsewhere; "forbidden" is also how a rate limit looks; a
large or binary file has no patch; an alert may hide its secret.

Source: https://docs.github.com/rest
"""

import base64
import binascii
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from responder.core.errors import Refused, Unavailable
from responder.core.sighting import Alert, readable_address
from responder.outbound import Answer, Door

_MOST_PAGES = 40
_NEXT_PAGE = re.compile(r'[?&]page=(\d{1,4})[^>]*>;\s*rel="next"')
_ACCEPT = "application/vnd.github+json"


@dataclass(frozen=True, slots=True)
class File:
    """One file of a commit.

    Attributes:
        path: in the repository.
        patch: header-less unified diff, None where GitHub leaves it out.
        blob: id of its new content, None if it was removed.
    """

    path: str
    patch: str | None = field(repr=False)
    blob: str | None


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit, fetched whole."""

    sha: str
    message: str = field(repr=False)
    where: str | None
    files: tuple[File, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AlertDetail:
    """A secret-scanning alert with its secret.

    Attributes:
        secret: None if GitHub does not show it to us.
        encoded: the secret stood there in base64.
    """

    secret: str | None = field(repr=False)
    state: str
    where: str | None
    created_at: datetime | None
    encoded: bool


class GitHub:
    """The API of one GitHub, with one credential.

    Args:
        door: to the API's base URL.
        token: sent as a bearer token; its length means nothing.
        clock: monotonic seconds.
    """

    def __init__(self, door: Door, token: str, clock: Any = time.monotonic) -> None:  # noqa: ANN401
        self._door = door
        self._headers = {
            "authorization": f"Bearer {token}",
            "accept": _ACCEPT,
            "x-github-api-version": "2022-11-28",
            "user-agent": "secret-leak-responder",
        }
        self._clock = clock
        self._closed_until = 0.0

    def check(self) -> None:
        """See whether our credential is taken; costs nothing of the rate limit.

        Raises:
            Refused, Unavailable: as `commit`.
        """
        self._read("github.get_rate_limit", "GET", "/rate_limit")

    def commit(self, repository: int, sha: str) -> Commit:
        """One commit with every file of it, over all pages.

        Raises:
            Refused: it cannot be had (404, 409, 422, 451) or our credential is not good for it.
            Unavailable: not now; the rate limit's own time is in `retry_after_seconds`.
        """
        files: list[File] = []
        page: int | None = 1
        first: dict[str, Any] = {}
        while page is not None:
            query = {"page": page} if page > 1 else {}
            content, answer = self._read(
                "github.get_commit", "GET", f"/repositories/{repository}/commits/{sha}", params=query
            )
            if not isinstance(content, dict) or content.get("sha") != sha:
                raise Unavailable("github", "github.get_commit", "unexpected body")
            first = first or content
            files += _files(content)
            page = _next_page(answer, page)
        commit = first.get("commit")
        message = commit.get("message") if isinstance(commit, dict) else None
        return Commit(
            sha, message if isinstance(message, str) else "", readable_address(first.get("html_url")), tuple(files)
        )

    def blob(self, repository: int, blob: str) -> bytes:
        """The content of one file.

        Raises:
            Refused, Unavailable: as `commit`.
        """
        content, _ = self._read("github.get_blob", "GET", f"/repositories/{repository}/git/blobs/{blob}")
        text = content.get("content") if isinstance(content, dict) else None
        if not isinstance(text, str) or content.get("encoding") != "base64":
            raise Unavailable("github", "github.get_blob", "unexpected body")
        try:
            return base64.b64decode(text)
        except (binascii.Error, ValueError):
            raise Unavailable("github", "github.get_blob", "unexpected body") from None

    def alert(self, alert: Alert) -> AlertDetail:
        """An alert, with its secret.

        Raises:
            Refused, Unavailable: as `commit`.
        """
        content, _ = self._read("github.get_alert", "GET", _path(alert))
        if not isinstance(content, dict) or content.get("number") != alert.number:
            raise Unavailable("github", "github.get_alert", "unexpected body")
        secret = content.get("secret")
        return AlertDetail(
            secret if isinstance(secret, str) and secret else None,
            str(content.get("state")),
            readable_address(content.get("html_url")),
            _instant(content.get("created_at")),
            content.get("is_base64_encoded") is True,
        )

    def close_alert(self, alert: Alert, comment: str) -> None:
        """Close an alert as revoked; one that is closed already stays as it is.

        Raises:
            Refused, Unavailable: as `commit`.
        """
        if self.alert(alert).state == "resolved":
            return
        body = {"state": "resolved", "resolution": "revoked", "resolution_comment": comment, "validity": "inactive"}
        self._read("github.close_alert", "PATCH", _path(alert), body=body)

    def _read(
        self,
        what: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: object = None,
    ) -> tuple[Any, Answer]:
        wait = self._closed_until - self._clock()
        if wait > 0:
            raise Unavailable("github", what, "rate limit", wait)
        answer = self._door.exchange(
            what, method, path, headers=self._headers, params=params, body=body, cap=64 * 1024 * 1024
        )
        if answer.status in (403, 429) and (limit := _rate_limit(answer)) is not None:
            self._closed_until = self._clock() + limit
            raise Unavailable("github", what, "rate limit", limit)
        if answer.status >= 500 or answer.status in (304, 408, 425, 429):
            raise Unavailable("github", what, f"status {answer.status}", answer.retry_after_seconds)
        if answer.status >= 400:
            raise Refused("github", what, answer.status)
        content = answer.json()
        if content is None:
            raise Unavailable("github", what, "not JSON")
        return content, answer


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


def _files(content: Mapping[str, Any]) -> Iterator[File]:
    files = content.get("files")
    for item in files if isinstance(files, list) else ():
        if not isinstance(item, dict):
            continue
        path, patch, blob = item.get("filename"), item.get("patch"), item.get("sha")
        removed = item.get("status") == "removed"
        yield File(
            path[:1000] if isinstance(path, str) else "",
            patch if isinstance(patch, str) else None,
            blob if isinstance(blob, str) and re.fullmatch(r"[0-9a-f]{40,64}", blob) and not removed else None,
        )


def _next_page(answer: Answer, page: int) -> int | None:
    """The number of the next page; only the number is taken from the link, never the address."""
    found = _NEXT_PAGE.search(answer.headers.get("link", ""))
    if found is None:
        return None
    following = int(found.group(1))
    return following if page < following <= _MOST_PAGES else None


def _path(alert: Alert) -> str:
    return f"/repositories/{alert.repository}/secret-scanning/alerts/{alert.number}"


def _instant(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and value.endswith("Z") else None
    except ValueError:
        return None
