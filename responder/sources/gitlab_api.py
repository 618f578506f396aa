"""GitLab's REST API, as far as we fetch from it.

Peculiar: projects are addressed by their number; what we may not see is a 404; a
diff may be left out (``too_large``, ``collapsed``, empty), and whole files of a
large commit are left out without a word, which only the commit's own count of
added lines gives away.

Source: https://docs.gitlab.com/api/commits/ and https://docs.gitlab.com/api/repository_files/
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from responder.core.errors import Refused, Unavailable
from responder.core.sighting import readable_address
from responder.outbound import Answer, Door, segment

_MOST_PAGES = 50
_A_PAGE = 100
_CUT_AT_FILES = 1000
"""GitLab shows so many files of a commit, unless its administrator chose otherwise."""

_LARGEST_FILE = 32 * 1024 * 1024
_LARGEST_PAGE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class File:
    """One file of a commit.

    Attributes:
        path: in the repository.
        diff: header-less unified diff, empty if nothing was added; None where GitLab leaves it out.
    """

    path: str
    diff: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit, fetched whole; or not quite, if GitLab keeps something of it back."""

    sha: str
    message: str = field(repr=False)
    where: str | None
    files: tuple[File, ...] = field(repr=False)
    whole: bool


class GitLab:
    """The API of one GitLab, with one credential.

    Args:
        door: to the API's base URL, which ends in ``/api/v4``.
        token: sent as ``PRIVATE-TOKEN``.
        clock: monotonic seconds.
    """

    def __init__(self, door: Door, token: str, clock: Any = time.monotonic) -> None:  # noqa: ANN401
        self._door = door
        self._headers = {"private-token": token, "accept": "*/*", "user-agent": "secret-leak-responder"}
        self._clock = clock
        self._closed_until = 0.0

    def check(self) -> None:
        """See whether our credential is taken.

        Raises:
            Refused, Unavailable: as `commit`.
        """
        self._read("gitlab.list_projects", "/projects", {"membership": "true", "simple": "true", "per_page": 1})

    def default_branch(self, project: int) -> str | None:
        """The name of a project's default branch, if it has one.

        Raises:
            Refused, Unavailable: as `commit`.
        """
        content, _ = self._read("gitlab.get_project", f"/projects/{project}")
        branch = content.get("default_branch") if isinstance(content, dict) else None
        return branch if isinstance(branch, str) and branch else None

    def commits(self, project: int, revisions: str, most: int) -> list[str]:
        """The ids of the newest *most* commits of *revisions*, a commit or a range ``a..b``, newest first.

        Raises:
            Refused, Unavailable: as `commit`.
        """
        what, found = "gitlab.list_commits", list[str]()
        page: int | None = 1
        while page is not None and len(found) < most:
            params: dict[str, str | int] = {"ref_name": revisions, "per_page": _A_PAGE, "page": page}
            items, answer = self._list(what, f"/projects/{project}/repository/commits", params)
            ids = [item.get("id") for item in items if isinstance(item, dict)]
            if len(ids) != len(items) or not all(isinstance(id_, str) and id_.isalnum() for id_ in ids):
                raise Unavailable("gitlab", what, "unexpected body")
            found += [str(id_) for id_ in ids]
            page = _next_page(answer, page, len(items))
        return found[:most]

    def commit(self, project: int, sha: str) -> Commit:
        """One commit with every file of it, over all pages.

        Raises:
            Refused: it cannot be had, or our credential is not good for it.
            Unavailable: not now; the rate limit's own time is in `retry_after_seconds`.
        """
        what, path = "gitlab.get_commit", f"/projects/{project}/repository/commits/{sha}"
        content, _ = self._read(what, path)
        if not isinstance(content, dict) or content.get("id") != sha:
            raise Unavailable("gitlab", what, "unexpected body")
        items: list[Any] = []
        page: int | None = 1
        while page is not None and page <= _MOST_PAGES:
            more, answer = self._list("gitlab.get_diff", f"{path}/diff", {"per_page": _A_PAGE, "page": page})
            items += more
            page = _next_page(answer, page, len(more))
        files = [_file(item) for item in items]
        known = tuple(file for file in files if file is not None)
        whole = page is None and len(known) == len(items) and not _is_cut(content, items, known)
        message = content.get("message")
        where = readable_address(content.get("web_url"))
        return Commit(sha, message if isinstance(message, str) else "", where, known, whole)

    def file(self, project: int, sha: str, path: str) -> bytes:
        """The content of one file, as it is in a commit.

        Raises:
            Refused, Unavailable: as `commit`.
        """
        where = f"/projects/{project}/repository/files/{segment(path)}/raw"
        return self._ask("gitlab.get_file", where, {"ref": sha}, _LARGEST_FILE).body

    def _list(self, what: str, path: str, params: Mapping[str, str | int]) -> tuple[list[Any], Answer]:
        content, answer = self._read(what, path, params)
        if not isinstance(content, list):
            raise Unavailable("gitlab", what, "unexpected body")
        return content, answer

    def _read(self, what: str, path: str, params: Mapping[str, str | int] | None = None) -> tuple[Any, Answer]:
        answer = self._ask(what, path, params, _LARGEST_PAGE)
        content = answer.json()
        if content is None:
            raise Unavailable("gitlab", what, "not JSON")
        return content, answer

    def _ask(self, what: str, path: str, params: Mapping[str, str | int] | None, cap: int) -> Answer:
        wait = self._closed_until - self._clock()
        if wait > 0:
            raise Unavailable("gitlab", what, "rate limit", wait)
        answer = self._door.exchange(what, "GET", path, headers=self._headers, params=params, cap=cap)
        if answer.status == 429:
            limit = _rate_limit(answer)
            self._closed_until = self._clock() + limit
            raise Unavailable("gitlab", what, "rate limit", limit)
        if answer.status >= 500 or answer.status in (304, 408, 425):
            raise Unavailable("gitlab", what, f"status {answer.status}", answer.retry_after_seconds)
        if answer.status >= 400:
            raise Refused("gitlab", what, answer.status)
        return answer


def _rate_limit(answer: Answer) -> float:
    """Seconds to wait: ``Retry-After``; else until ``RateLimit-Reset``, in Unix seconds; else a minute."""
    if answer.retry_after_seconds is not None:
        return max(answer.retry_after_seconds, 1.0)
    reset = answer.headers.get("ratelimit-reset", "")
    if reset.isdecimal() and len(reset) < 12:
        return min(max(float(reset) - time.time(), 1.0), 3600.0)
    return 60.0


def _next_page(answer: Answer, page: int, count: int) -> int | None:
    """The number of the next page: a number and never an address, and always a later one."""
    said = answer.headers.get("x-next-page")
    if said is None:  # a proxy may drop it; a page that is not full is the last one anyway
        return page + 1 if count >= _A_PAGE else None
    return int(said) if said.isdecimal() and len(said) < 9 and int(said) > page else None


def _file(item: object) -> File | None:
    """One entry of a diff; None if it makes no sense."""
    if not isinstance(item, dict) or not isinstance(item.get("new_path"), str):
        return None
    path, diff = item["new_path"], item.get("diff")
    kept_back = item.get("too_large") is True or item.get("collapsed") is True
    if item.get("deleted_file") is True or _is_mere_move(item):
        return File(path, "")
    return File(path, diff if isinstance(diff, str) and "@@" in diff and not kept_back else None)


def _is_mere_move(item: Mapping[str, object]) -> bool:
    """Whether a file was renamed and nothing else, which older versions cannot say."""
    said = item.get("too_large") is False and item.get("collapsed") is False
    return said and item.get("renamed_file") is True and item.get("diff") == ""


def _is_cut(content: Mapping[str, Any], items: list[Any], files: tuple[File, ...]) -> bool:
    """Whether files are missing: fewer lines are shown than the commit added.

    Where something else hides lines, or a rename makes the two counts differ, only
    the number of files can tell.
    """
    stats = content.get("stats")
    added = stats.get("additions") if isinstance(stats, dict) else None
    moved = any(isinstance(item, dict) and item.get("renamed_file") is True for item in items)
    if not isinstance(added, int) or moved or any(file.diff is None for file in files):
        return len(files) >= _CUT_AT_FILES
    return sum(file.diff.count("\n+") for file in files if file.diff) < added
