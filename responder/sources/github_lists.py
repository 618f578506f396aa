"""What GitHub lists, page by page: commits, branches, trees, alerts, repositories, deliveries of webhooks.

Peculiar: commits and alerts are paged by number, deliveries by a cursor, and both
are taken from the link header, never the address in it. A comparison is of what
the head has and the base has not, so a forced push is compared like any other.

Source: https://docs.github.com/rest
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from responder.core.errors import Unavailable
from responder.sources.github_api import next_page
from responder.sources.github_call import Caller

_PAGE = 100
_MOST_PAGES = 9999
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_CURSOR = re.compile(r'[?&]cursor=([A-Za-z0-9_-]{1,200})(?:&[^>]*)?>;\s*rel="next"')
_HOMES = {"repository": "/repositories/{}/hooks/{}", "organization": "/organizations/{}/hooks/{}"}


@dataclass(frozen=True, slots=True)
class Home:
    """A repository as it is listed.

    Attributes:
        id: its number.
        pushed_at: when something was last pushed, as GitHub writes it; None: never.
        created_at: UTC.
        default_branch: the branch others are compared with.
    """

    id: int
    pushed_at: str | None
    created_at: datetime | None
    default_branch: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An open alert: its number, GitHub's word for the kind of secret, and since when it is open."""

    number: int
    kind: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of GitHub's to deliver an event; *guid* is shared by all attempts of one event."""

    id: int
    guid: str
    event: str
    action: str | None
    at: datetime | None
    failed: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """What a name in a tree stands for: a ``blob``, a ``tree``, or a ``commit`` of another repository."""

    kind: str
    sha: str


def between(caller: Caller, repository: int, base: str, head: str) -> Iterator[list[str]]:
    """Ids of the commits that *head* has and *base* has not, oldest first.

    Raises:
        Refused, Unavailable: as `GitHub.commit`.
    """
    path = f"/repositories/{repository}/compare/{base}...{head}"
    for _, content in _pages(caller, "github.compare", path):
        yield _ids(content.get("commits") if isinstance(content, dict) else None, "github.compare")


def history(caller: Caller, repository: int, head: str, first: int = 1) -> Iterator[tuple[int, list[str]]]:
    """Ids of *head* and everything below it, newest first, with the number of each page.

    Raises:
        Refused, Unavailable: as `GitHub.commit`.
    """
    for page, content in _pages(
        caller, "github.list_commits", f"/repositories/{repository}/commits", first, sha=head
    ):
        yield page, _ids(content, "github.list_commits")


def heads(caller: Caller, repository: int, kind: str) -> Iterator[tuple[str, str]]:
    """Name and commit of each of the repository's ``branches`` or ``tags``.

    Raises:
        Refused, Unavailable: as `GitHub.commit`.
    """
    for _, content in _pages(caller, f"github.list_{kind}", f"/repositories/{repository}/{kind}"):
        for item in _items(content):
            name, commit = item.get("name"), item.get("commit")
            id_ = commit.get("sha") if isinstance(commit, dict) else None
            if isinstance(name, str) and isinstance(id_, str) and _SHA.match(id_):
                yield name, id_


def repository(caller: Caller, number: int) -> Home:
    """One repository.

    Raises:
        Refused, Unavailable: as `GitHub.commit`.
    """
    content, _ = caller.read("github.get_repository", "GET", f"/repositories/{number}")
    home = _home(content) if isinstance(content, dict) else None
    if home is None:
        raise Unavailable("github", "github.get_repository", "unexpected body")
    return home


def repositories(caller: Caller, organization: int | None = None) -> Iterator[list[Home]]:
    """The repositories of an organization, last pushed first; or, without one, those an app is installed on.

    Raises:
        Refused, Unavailable: as `GitHub.commit`.
    """
    what = "github.list_repositories"
    if organization is None:
        found = _pages(caller, what, "/installation/repositories")
    else:
        found = _pages(caller, what, f"/organizations/{organization}/repos", sort="pushed", direction="desc")
    for _, content in found:
        items = content.get("repositories") if isinstance(content, dict) else content
        yield [home for item in _items(items) if (home := _home(item)) is not None]


def open_alerts(caller: Caller, repository: int) -> Iterator[Listed]:
    """Open alerts, newest first, without their secrets.

    Raises:
        Refused, Unavailable: as `GitHub.commit`.
    """
    path = f"/repositories/{repository}/secret-scanning/alerts"
    for _, content in _pages(caller, "github.list_alerts", path, state="open", hide_secret="true"):  # noqa: S106 -- a word
        for item in _items(content):
            number, kind = item.get("number"), item.get("secret_type")
            if isinstance(number, int) and isinstance(kind, str):
                yield Listed(number, kind, _instant(item.get("created_at")))


def attempts(caller: Caller, kind: str, target: int, hook: int) -> Iterator[list[Attempt]]:
    """Failed attempts to deliver what a webhook was to deliver, newest first.

    Args:
        caller: for an App's own webhook, with the App's own credential.
        kind: ``repository``, ``organization`` or ``integration``: where the webhook is installed.
        target: of that, the number.
        hook: the webhook's number.

    Raises:
        Refused, Unavailable: as `GitHub.commit`.
    """
    cursor: str | None = ""
    while cursor is not None:
        query: dict[str, str | int] = {"per_page": _PAGE, "status": "failure"}
        if cursor:
            query["cursor"] = cursor
        content, answer = caller.read("github.list_deliveries", "GET", _deliveries(kind, target, hook), params=query)
        yield [attempt for item in _items(content) if (attempt := _attempt(item)) is not None]
        found = _CURSOR.search(answer.headers.get("link", ""))
        cursor = found.group(1) if found and found.group(1) != cursor else None


def deliver_again(caller: Caller, kind: str, target: int, hook: int, attempt: Attempt) -> None:
    """Have GitHub deliver an event once more, under its own GUID.

    Raises:
        Refused, Unavailable: as `GitHub.commit`.
    """
    caller.read("github.deliver_again", "POST", f"{_deliveries(kind, target, hook)}/{attempt.id}/attempts")


def tree_of(caller: Caller, repository: int, commit: str) -> tuple[str, str | None, str]:
    """The tree of a commit, its first parent if it has one, and its message.

    Raises:
        Refused, Unavailable: as `GitHub.commit`.
    """
    content, _ = caller.read("github.get_git_commit", "GET", f"/repositories/{repository}/git/commits/{commit}")
    tree = content.get("tree") if isinstance(content, dict) else None
    if not isinstance(tree, dict) or not isinstance(tree.get("sha"), str) or not _SHA.match(tree["sha"]):
        raise Unavailable("github", "github.get_git_commit", "unexpected body")
    parents, message = content.get("parents"), content.get("message")
    above = _ids(parents, "github.get_git_commit")
    return tree["sha"], above[0] if above else None, message if isinstance(message, str) else ""


def tree(caller: Caller, repository: int, sha: str, *, whole: bool) -> tuple[Mapping[str, Entry], bool]:
    """The entries of a tree by name, and whether GitHub left some out.

    Args:
        caller: to the API.
        repository: its number.
        sha: of the tree.
        whole: with everything below, by path.

    Raises:
        Refused, Unavailable: as `GitHub.commit`.
    """
    path = f"/repositories/{repository}/git/trees/{sha}"
    content, _ = caller.read("github.get_tree", "GET", path, params={"recursive": 1} if whole else {})
    if not isinstance(content, dict) or not isinstance(content.get("tree"), list):
        raise Unavailable("github", "github.get_tree", "unexpected body")
    found = {}
    for item in _items(content["tree"]):
        name, kind, id_ = item.get("path"), item.get("type"), item.get("sha")
        if isinstance(name, str) and isinstance(kind, str) and isinstance(id_, str) and _SHA.match(id_):
            found[name] = Entry(kind, id_)
    return found, content.get("truncated") is not False


def _pages(caller: Caller, what: str, path: str, first: int = 1, **query: str) -> Iterator[tuple[int, Any]]:
    page: int | None = first
    while page is not None:
        content, answer = caller.read(what, "GET", path, params={"per_page": _PAGE, "page": page, **query})
        yield page, content
        page = next_page(answer, page, _MOST_PAGES)


def _items(content: object) -> Iterator[dict[str, Any]]:
    yield from (item for item in content if isinstance(item, dict)) if isinstance(content, list) else ()


def _ids(content: object, what: str) -> list[str]:
    """The commits' ids: a list that lacks one would be a gap that nobody hears of."""
    found = [item.get("sha") for item in _items(content)]
    if not isinstance(content, list) or len(found) != len(content):
        raise Unavailable("github", what, "unexpected body")
    ids = [id_ for id_ in found if isinstance(id_, str) and _SHA.match(id_)]
    if len(ids) != len(found):
        raise Unavailable("github", what, "unexpected body")
    return ids


def _home(item: Mapping[str, Any]) -> Home | None:
    number, pushed, branch = item.get("id"), item.get("pushed_at"), item.get("default_branch")
    if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
        return None
    pushed_at = pushed[:40] if isinstance(pushed, str) and _instant(pushed) else None
    return Home(number, pushed_at, _instant(item.get("created_at")), branch if isinstance(branch, str) else "")


def _attempt(item: Mapping[str, Any]) -> Attempt | None:
    number, guid, event, action = (item.get(name) for name in ("id", "guid", "event", "action"))
    if not isinstance(number, int) or not isinstance(guid, str) or not re.fullmatch(r"[A-Za-z0-9-]{1,64}", guid):
        return None
    status = item.get("status_code")
    failed = not (isinstance(status, int) and 200 <= status < 400)
    return Attempt(
        number,
        guid,
        event if isinstance(event, str) else "",
        action if isinstance(action, str) else None,
        _instant(item.get("delivered_at")),
        failed,
    )


def _deliveries(kind: str, target: int, hook: int) -> str:
    home = "/app/hook" if kind == "integration" else _HOMES[kind].format(target, hook)
    return f"{home}/deliveries"


def _instant(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and value.endswith("Z") else None
    except ValueError:
        return None
