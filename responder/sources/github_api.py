"""GitHub's REST API, as far as we fetch from it and close alerts through it.

Peculiar: repositories are addressed by their number, which survives renaming and
cannot be made to point elsewhere; a large or binary file has no patch; an alert may
hide its secret.

Source: https://docs.github.com/rest
"""

import base64
import binascii
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from responder.core.errors import Refused, Unavailable
from responder.core.sighting import Alert, readable_address
from responder.outbound import Answer, Door
from responder.sources.github_alerts_api import AlertDetail, AlertLocation, read_alert, read_location
from responder.sources.github_call import Caller, Credential

_MOST_PAGES = 40
_NEXT_PAGE = re.compile(r'[?&]page=(\d{1,4})[^>]*>;\s*rel="next"')


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


class GitHub:
    """The API of one GitHub, with one credential.

    Args:
        door: to the API's base URL, that of a GitHub Enterprise Server too.
        credential: what to call with.
        clock: monotonic seconds.

    Attributes:
        caller: for what is listed (see `github_lists`): all wait together for the rate limit.
    """

    def __init__(self, door: Door, credential: Credential, clock: Callable[[], float] = time.monotonic) -> None:
        self.caller = Caller(door, credential, clock)
        self._read = self.caller.read

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
            page = next_page(answer, page)
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
        return read_alert(content)

    def locations(self, alert: Alert) -> Sequence[AlertLocation]:
        """Every place in which an alert's secret was seen, over all pages.

        Raises:
            Refused, Unavailable: as `commit`.
        """
        found: list[AlertLocation] = []
        page: int | None = 1
        while page is not None:
            query = {"per_page": 100, "page": page}
            content, answer = self._read("github.list_locations", "GET", f"{_path(alert)}/locations", params=query)
            if not isinstance(content, list):
                raise Unavailable("github", "github.list_locations", "unexpected body")
            found += [location for item in content if (location := read_location(item)) is not None]
            page = next_page(answer, page)
        return found

    def close_alert(self, alert: Alert, comment: str) -> None:
        """Close an alert as revoked; one that is closed already stays as it is.

        Raises:
            Refused, Unavailable: as `commit`.
        """
        if self.alert(alert).state == "resolved":
            return
        body = {"state": "resolved", "resolution": "revoked", "resolution_comment": comment, "validity": "inactive"}
        try:
            content, _ = self._read("github.close_alert", "PATCH", _path(alert), body=body)
        except Refused as error:
            if error.status not in (400, 422) or self.alert(alert).state != "resolved":
                raise  # else somebody closed it in between
            return
        if not isinstance(content, dict) or content.get("state") != "resolved":
            raise Unavailable("github", "github.close_alert", "unexpected body")


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


def next_page(answer: Answer, page: int, most: int = _MOST_PAGES) -> int | None:
    """The number of the next page; only the number is taken from the link, never the address."""
    found = _NEXT_PAGE.search(answer.headers.get("link", ""))
    if found is None:
        return None
    following = int(found.group(1))
    return following if page < following <= most else None


def _path(alert: Alert) -> str:
    return f"/repositories/{alert.repository}/secret-scanning/alerts/{alert.number}"
